#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace longship {

/// A set of bytes. Value semantics.
class ByteSet {
 public:
  constexpr ByteSet() = default;

  /// The bytes from `first` to `last`, both included.
  static constexpr ByteSet range(uint8_t first, uint8_t last) {
    ByteSet set;
    for (unsigned byte = first; byte <= last; ++byte) {
      set.add(static_cast<uint8_t>(byte));
    }
    return set;
  }

  constexpr void add(uint8_t byte) { words_[byte / 64U] |= uint64_t{1} << (byte % 64U); }
  constexpr bool has(uint8_t byte) const { return (words_[byte / 64U] >> (byte % 64U) & 1U) != 0; }
  constexpr bool empty() const { return words_ == std::array<uint64_t, 4>{}; }
  constexpr ByteSet operator|(const ByteSet& other) const {
    ByteSet set;
    for (std::size_t i = 0; i < words_.size(); ++i) {
      set.words_[i] = words_[i] | other.words_[i];
    }
    return set;
  }

  friend constexpr bool operator==(const ByteSet&, const ByteSet&) = default;
  /// Some order, for maps.
  friend constexpr bool operator<(const ByteSet& a, const ByteSet& b) {
    for (std::size_t i = 0; i < a.words_.size(); ++i) {
      if (a.words_[i] != b.words_[i]) {
        return a.words_[i] < b.words_[i];
      }
    }
    return false;
  }

 private:
  std::array<uint64_t, 4> words_{};
};

}  // namespace longship
