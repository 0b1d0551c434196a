#pragma once

// The first candidates of a row of logits, by a threshold: no sort of the row. A candidate is a number of 64 bits that
// is larger the earlier it comes: its logit in a form that integers order, then its token, the lowest first.

#include "cuda/device.h"

namespace longship::cuda {

inline constexpr int kDrawThreads = 256;
inline constexpr int kDigits = 256;

/// No token; before nothing.
inline constexpr uint64_t kNoCandidate = 0;

/// What is -infinity or no number is no candidate.
__device__ __forceinline__ uint64_t candidate_of(float logit, int token) {
  if (!(logit > -__builtin_inff())) {
    return kNoCandidate;
  }
  const unsigned bits = logit == 0 ? 0 : __float_as_uint(logit);  // zeros are equal
  const unsigned order = (bits >> 31) != 0 ? ~bits : bits | 0x80000000U;
  return static_cast<uint64_t>(order) << 32 | (0xFFFFFFFFU - static_cast<unsigned>(token));
}

__device__ __forceinline__ int token_of(uint64_t candidate) {
  return static_cast<int>(0xFFFFFFFFU - static_cast<unsigned>(candidate));
}

__device__ __forceinline__ float logit_of(uint64_t candidate) {
  const auto order = static_cast<unsigned>(candidate >> 32);
  return __uint_as_float((order >> 31) != 0 ? order & 0x7FFFFFFFU : ~order);
}

/// By a block of kDrawThreads threads.
class FirstCandidates {
 public:
  __device__ explicit FirstCandidates(SharedMemory& memory)
      : best_(memory.take<uint64_t>(kDrawThreads)),
        counts_(memory.take<unsigned>(kDigits)),
        state_(memory.take<int>(4)) {}

  static std::size_t bytes() {
    return shared_bytes<uint64_t>(kDrawThreads) + shared_bytes<unsigned>(kDigits) + shared_bytes<int>(4);
  }

  /// The first `wanted` (at most kDrawThreads) candidates, then nothing.
  __device__ Shared<uint64_t> select(const float* logits, int vocab, int wanted) {
    const uint64_t threshold = find_threshold(logits, vocab, wanted);
    gather(logits, vocab, threshold);
    sort();
    return best_;
  }

  /// The first one.
  __device__ uint64_t select_one(const float* logits, int vocab) {
    uint64_t best = kNoCandidate;
    for (int token = threadIdx.x; token < vocab; token += kDrawThreads) {
      const uint64_t candidate = candidate_of(logits[token], token);
      best = candidate > best ? candidate : best;
    }
    for (int step = kWarp / 2; step > 0; step /= 2) {
      const auto other = static_cast<uint64_t>(__shfl_xor_sync(kFullMask, static_cast<unsigned long long>(best), step));
      best = other > best ? other : best;
    }
    if (threadIdx.x % kWarp == 0) {
      best_[threadIdx.x / kWarp] = best;
    }
    __syncthreads();
    for (int warp = 0; warp < kDrawThreads / kWarp; ++warp) {
      const uint64_t other = best_[warp];
      best = other > best ? other : best;
    }
    return best;
  }

 private:
  // The last of the first `wanted` candidates, or a number between it and the next one: a digit of 8 bits after the
  // other, from the highest on, each by counting those that have the digits found so far.
  __device__ uint64_t find_threshold(const float* logits, int vocab, int wanted) {
    uint64_t prefix = 0;
    for (int shift = 56; shift >= 0; shift -= 8) {
      count_digits(logits, vocab, prefix, shift);
      if (threadIdx.x == 0) {
        choose_digit(wanted);
      }
      __syncthreads();
      const int digit = state_[0];
      const bool found = state_[1] != 0;
      wanted = state_[2];
      prefix = prefix << 8 | static_cast<unsigned>(digit);
      if (found) {
        prefix <<= shift;
        break;
      }
    }
    return prefix == kNoCandidate ? 1 : prefix;
  }

  __device__ void count_digits(const float* logits, int vocab, uint64_t prefix, int shift) {
    __syncthreads();  // what was counted before is read
    counts_[threadIdx.x] = 0;
    __syncthreads();
    for (int token = threadIdx.x; token < vocab; token += kDrawThreads) {
      const uint64_t candidate = candidate_of(logits[token], token);
      const bool belongs = shift == 56 || candidate >> (shift + 8) == prefix;
      if (candidate != kNoCandidate && belongs) {
        atomicAdd(&counts_[static_cast<int>(candidate >> shift & 0xFF)], 1U);
      }
    }
    __syncthreads();
  }

  // The digit at which `wanted` are reached; whether all that have it are wanted; how many of them are.
  __device__ void choose_digit(int wanted) {
    int left = wanted;
    int digit = kDigits - 1;
    int count = static_cast<int>(counts_[digit]);
    while (digit > 0 && count < left) {
      left -= count;
      --digit;
      count = static_cast<int>(counts_[digit]);
    }
    state_[0] = digit;
    state_[1] = count <= left ? 1 : 0;
    state_[2] = left;
  }

  __device__ void gather(const float* logits, int vocab, uint64_t threshold) {
    best_[threadIdx.x] = kNoCandidate;
    if (threadIdx.x == 0) {
      state_[3] = 0;
    }
    __syncthreads();
    for (int token = threadIdx.x; token < vocab; token += kDrawThreads) {
      const uint64_t candidate = candidate_of(logits[token], token);
      if (candidate >= threshold) {
        const int place = atomicAdd(&state_[3], 1);
        best_[place] = candidate;
      }
    }
    __syncthreads();
  }

  // A bitonic network, the largest first.
  __device__ void sort() {
    const int i = static_cast<int>(threadIdx.x);
    for (int run = 2; run <= kDrawThreads; run *= 2) {
      for (int step = run / 2; step > 0; step /= 2) {
        const int other = i ^ step;
        const uint64_t mine = best_[i];
        const uint64_t its = best_[other];
        const bool descends = (i & run) == 0;
        const bool takes_larger = (i < other) == descends;
        const uint64_t larger = mine > its ? mine : its;
        const uint64_t smaller = mine > its ? its : mine;
        __syncthreads();
        best_[i] = takes_larger ? larger : smaller;
        __syncthreads();
      }
    }
  }

  Shared<uint64_t> best_;
  Shared<unsigned> counts_;
  Shared<int> state_;  ///< Digit, found, wanted; gathered.
};

}  // namespace longship::cuda
