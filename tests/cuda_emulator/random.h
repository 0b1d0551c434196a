#pragma once

#include <cstdint>

namespace longship::cuda::emulator {

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    uint64_t z = state_ += 0x9E3779B97F4A7C15U;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
  }
  /// Below `limit`, which is small.
  unsigned below(unsigned limit) { return static_cast<unsigned>(next() % limit); }

 private:
  uint64_t state_;
};

}  // namespace longship::cuda::emulator
