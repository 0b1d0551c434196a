#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/backend/cuda/kernels/elementwise.h"

namespace longship::cuda {

/// Types of keys and values.
enum class KvType : uint8_t { kF32, kF16, kBF16, kQ8 };

/// Keys in a page and in a chunk of attention; values that share a scale in kQ8.
inline constexpr int kChunkKeys = 64;
inline constexpr int kScaleBlock = 32;

/// Rows of a step that belong to one sequence, and where the numbers of its pages begin.
struct StepSlice {
  int32_t first_row = 0;
  int32_t rows = 0;
  int32_t begin = 0;
  int32_t first_page = 0;
};

/// Up to `rows` rows of one slice, the first `row` of the batch and `slot` of the rows that a launch is for. No rows:
/// `row` belongs to no sequence.
struct alignas(16) RowTile {
  int32_t row = 0;
  int32_t rows = 0;
  int32_t slice = 0;
  int32_t slot = 0;
  int32_t position = 0;    ///< Of the first row in its sequence.
  int32_t first_page = 0;  ///< Of the slice: here too, so that it need not be looked up.
};

/// What kernels need to know of a step, in the device's memory.
struct StepView {
  const StepSlice* slices = nullptr;
  const RowTile* rows = nullptr;  ///< Of one row each.
  const int32_t* pages = nullptr;
};

/// Keys and values of a layer; kv_page.h says where each value stands.
struct KvView {
  std::byte* keys = nullptr;
  std::byte* values = nullptr;
  int64_t page_bytes = 0;  ///< Of the keys, or of the values, of one head in one page.
  int heads = 0;
  int head_dim = 0;
  KvType type = KvType::kF32;
};

/// See Kernels::kv_write.
void launch_kv_write(const HeadRows& keys, const HeadRows& values, const StepView& step, const KvView& kv,
                     StreamHandle stream);

/// See Kernels::rope_kv_write; not for kQ8. cos, sin [rows, head_dim / 2].
struct RotaryArguments {
  HeadRows query;
  HeadRows keys;
  HeadRows values;
  const float* cos = nullptr;
  const float* sin = nullptr;
};
void launch_rope_kv_write(const RotaryArguments& arguments, const StepView& step, const KvView& kv,
                          StreamHandle stream);

}  // namespace longship::cuda
