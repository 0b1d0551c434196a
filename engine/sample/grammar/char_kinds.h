#pragma once

#include <cstdint>
#include <span>

namespace longship {

struct ByteRange {
  uint8_t first = 0;
  uint8_t last = 0;

  bool has(uint8_t byte) const { return first <= byte && byte <= last; }
};

/// A kind of characters that grammars rarely tell apart: some of ASCII, or all of UTF-8 (RFC 3629 section 4) that begin
/// with some bytes.
struct CharKind {
  uint64_t bit = 0;
  std::span<const ByteRange> bytes;  ///< For each byte of such a character what it may be.
};

/// Text that is no UTF-8, which is of no kind.
inline constexpr uint64_t kBrokenText = uint64_t{1} << 63U;

/// What a first byte says of its character: its kind's bit, and the bytes that follow.
struct CharStart {
  uint64_t kind = kBrokenText;
  std::span<const ByteRange> rest;
};

CharStart char_start(uint8_t byte);

/// All kinds. Several may have one bit, which then stands for all of them.
std::span<const CharKind> char_kinds();

}  // namespace longship
