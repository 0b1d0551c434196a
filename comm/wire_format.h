#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace longship {

/// How values of a sum look while they travel between hosts. Anything but kF32 changes results: every addend and the
/// sum are rounded, the same on every rank and for every number of rows.
enum class WireFormat : uint8_t {
  kF32,
  kBF16,
  kQ8,  ///< Blocks of 32 values: a bf16 scale and 32 signed bytes.
};

/// Errors: kUsage for another name than "f32", "bf16" and "q8".
WireFormat wire_format_of(std::string_view name);

/// Values that share a scale. Where a tensor is cut for its journey, it is cut at multiples of this.
inline constexpr int64_t kWireBlock = 32;

/// Bytes of `count` values.
int64_t wire_bytes(WireFormat format, int64_t count);
/// `count` values at `from` to wire_bytes(count) bytes at `to`. Not finite values stay so.
void to_wire(WireFormat format, const float* from, int64_t count, std::byte* to);
void from_wire(WireFormat format, const std::byte* from, int64_t count, float* to);

}  // namespace longship
