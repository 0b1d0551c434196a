#pragma once

#include <array>
#include <cstdint>

namespace longship {

/// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): the block of four random
/// words that belongs to a key and a counter. Stateless, so any rank, batch, replay or device draws the same numbers.
class Philox {
 public:
  using Block = std::array<uint32_t, 4>;

  static constexpr Block block(Block counter, std::array<uint32_t, 2> key) {
    for (int round = 0; round < 10; ++round) {
      const uint64_t a = uint64_t{0xD2511F53} * counter[0];
      const uint64_t b = uint64_t{0xCD9E8D57} * counter[2];
      counter = {high(b) ^ counter[1] ^ key[0], low(b), high(a) ^ counter[3] ^ key[1], low(a)};
      key[0] += 0x9E3779B9;
      key[1] += 0xBB67AE85;
    }
    return counter;
  }

  /// A number in [0, 1) with 53 random bits, for the given seed, choice and index of a generated token.
  static constexpr double uniform(uint64_t seed, uint32_t choice, uint64_t index) {
    const Block words = block({low(index), high(index), choice, 0}, {low(seed), high(seed)});
    const uint64_t bits = (uint64_t{words[0]} << 32 | words[1]) >> 11;
    return static_cast<double>(bits) * 0x1.0p-53;
  }

 private:
  static constexpr uint32_t low(uint64_t value) { return static_cast<uint32_t>(value); }
  static constexpr uint32_t high(uint64_t value) { return static_cast<uint32_t>(value >> 32); }
};

}  // namespace longship
