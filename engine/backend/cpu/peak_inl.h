// What the machine reaches at best: reading straight on, and multiplying on many independent chains in registers.

#include <cstring>

namespace longship::LONGSHIP_CPU_NAMESPACE {

// Chains that hide the latency of a multiply-add; with their operands they fill the registers.
constexpr int kChains = kRegisters >= 32 ? 24 : 5;

inline int32_t lanes_sum(I32 value) {
  alignas(64) int8_t bytes[sizeof(I32)];
  std::memcpy(bytes, &value, sizeof(I32));
  int32_t sum = 0;
  for (const int8_t byte : bytes) {
    sum += byte;
  }
  return sum;
}

inline int32_t read_bytes(const std::byte* from, int64_t bytes) {
  constexpr int kStreams = kRegisters >= 32 ? 8 : 4;
  constexpr auto kWidth = static_cast<int64_t>(sizeof(I32));
  I32 sums[kStreams];
#pragma GCC unroll 8
  for (int i = 0; i < kStreams; ++i) {
    sums[i] = zero_i32();
  }
  for (int64_t at = 0; at < bytes; at += kStreams * kWidth) {
#pragma GCC unroll 8
    for (int i = 0; i < kStreams; ++i) {
      sums[i] = add(sums[i], load_bytes(from + at + i * kWidth));
    }
  }
  I32 all = zero_i32();
#pragma GCC unroll 8
  for (int i = 0; i < kStreams; ++i) {
    all = add(all, sums[i]);
  }
  return lanes_sum(all);
}

/// Keeps a value in a register without saying what it is.
template <class Vector>
LONGSHIP_INLINE void hide(Vector& value) {
  if constexpr (requires { value.low; }) {
    hide(value.low);
    hide(value.high);
  } else {
    asm volatile("" : "+v"(value));
  }
}

inline int64_t multiply_int8(int64_t rounds) {
  I32 sums[kChains];
#pragma GCC unroll 24
  for (int i = 0; i < kChains; ++i) {
    sums[i] = zero_i32();
    hide(sums[i]);  // or the chains would be one
  }
  const int8_t ones[4] = {1, 1, 1, 1};
  Bytes weights = broadcast_bytes(ones);
  Bytes values = broadcast_bytes(ones);
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 24
    for (int i = 0; i < kChains; ++i) {
      hide(weights);  // or one product would do for all chains
      sums[i] = add_products(sums[i], weights, values);
    }
  }
#pragma GCC unroll 24
  for (int i = 0; i < kChains; ++i) {
    hide(sums[i]);
  }
  return rounds * kChains * cpu::kLanes * 4 * 2;
}

/// rounds x kChains times sum = add_product(a, b, sum).
template <class Operand, class AddProduct>
LONGSHIP_INLINE void run_chains(int64_t rounds, Operand a, Operand b, const AddProduct& add_product) {
  F32 sums[kChains];
#pragma GCC unroll 24
  for (int i = 0; i < kChains; ++i) {
    sums[i] = zero();
    hide(sums[i]);
  }
  for (int64_t round = 0; round < rounds; ++round) {
    hide(a);
    hide(b);
#pragma GCC unroll 24
    for (int i = 0; i < kChains; ++i) {
      sums[i] = add_product(a, b, sums[i]);
    }
  }
#pragma GCC unroll 24
  for (int i = 0; i < kChains; ++i) {
    hide(sums[i]);
  }
}

inline int64_t multiply_pairs(int64_t rounds) {
  alignas(64) const std::byte zeros[64] = {};
  run_chains(rounds * kPairParts, weight_part(zeros, 0), activation_part(zeros, 0),
             [](PairPart a, PairPart b, F32 sum) { return add_pairs(a, b, sum); });
  return rounds * kChains * cpu::kLanes * 4;
}

inline int64_t multiply_f32(int64_t rounds) {
  run_chains(rounds, broadcast(0.5F), broadcast(0.5F), [](F32 a, F32 b, F32 sum) { return fma(a, b, sum); });
  return rounds * kChains * cpu::kLanes * 2;
}

}  // namespace longship::LONGSHIP_CPU_NAMESPACE
