#pragma once

// The first candidates of a row of logits, by a threshold: no sort of the row. A candidate is a number of 64 bits that
// is larger the earlier it comes: its logit in a form that integers order, then its token, the lowest first. The row is
// divided into segments whose first candidates are known: the first n of the row lie in the n segments with the
// earliest of these.

#include "cuda/device.h"

namespace longship::cuda {

inline constexpr int kDrawThreads = 256;
inline constexpr int kDigits = 256;
/// Tokens of a segment.
inline constexpr int kSegmentTokens = 128;

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

__device__ __forceinline__ uint64_t first_of_warp(uint64_t best) {
  for (int step = kWarp / 2; step > 0; step /= 2) {
    const auto other = static_cast<uint64_t>(__shfl_xor_sync(kFullMask, static_cast<unsigned long long>(best), step));
    best = other > best ? other : best;
  }
  return best;
}

/// The first candidate of a segment, by a warp; every lane gets it.
__device__ __forceinline__ uint64_t first_of_segment(const float* logits, int vocab, int segment) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  uint64_t best = kNoCandidate;
#pragma unroll
  for (int i = 0; i < kSegmentTokens; i += kWarp) {
    const int token = segment * kSegmentTokens + i + lane;
    const uint64_t candidate = token < vocab ? candidate_of(logits[token], token) : kNoCandidate;
    best = candidate > best ? candidate : best;
  }
  return first_of_warp(best);
}

/// By a block of kDrawThreads threads.
class FirstCandidates {
 public:
  __device__ explicit FirstCandidates(SharedMemory& memory)
      : best_(memory.take<uint64_t>(kDrawThreads)),
        counts_(memory.take<unsigned>(kDigits)),
        chosen_(memory.take<int>(kDrawThreads)),
        state_(memory.take<int>(4)) {}

  static std::size_t bytes() {
    return shared_bytes<uint64_t>(kDrawThreads) + shared_bytes<unsigned>(kDigits) + shared_bytes<int>(kDrawThreads) +
           shared_bytes<int>(4);
  }

  /// The first `wanted` (at most kDrawThreads) candidates, then nothing. `firsts`: of the row's segments.
  __device__ Shared<uint64_t> select(const float* logits, int vocab, const uint64_t* firsts, int wanted) {
    const int segments = (vocab + kSegmentTokens - 1) / kSegmentTokens;
    const auto each_first = [&](const auto& visit) {
      for (int segment = threadIdx.x; segment < segments; segment += kDrawThreads) {
        visit(firsts[segment], segment);
      }
    };
    const uint64_t least_first = find_threshold(each_first, wanted);
    const int chosen =
        gather(each_first, least_first, [&](int place, uint64_t, int segment) { chosen_[place] = segment; });
    const auto each_candidate = [&](const auto& visit) {
      const int lane = static_cast<int>(threadIdx.x) % kWarp;
      for (int i = static_cast<int>(threadIdx.x) / kWarp; i < chosen; i += kDrawThreads / kWarp) {
#pragma unroll
        for (int j = 0; j < kSegmentTokens; j += kWarp) {
          const int token = chosen_[i] * kSegmentTokens + j + lane;
          if (token < vocab) {
            visit(candidate_of(logits[token], token), token);
          }
        }
      }
    };
    return select_among(each_candidate, wanted);
  }

  /// The same of the candidates that each(visit) calls visit(candidate, index) for, by all threads together.
  template <class Each>
  __device__ Shared<uint64_t> select_among(const Each& each, int wanted) {
    const uint64_t least = find_threshold(each, wanted);
    best_[threadIdx.x] = kNoCandidate;
    gather(each, least, [&](int place, uint64_t candidate, int) { best_[place] = candidate; });
    sort();
    return best_;
  }

  /// The first one.
  __device__ uint64_t select_one(const uint64_t* firsts, int vocab) {
    const int segments = (vocab + kSegmentTokens - 1) / kSegmentTokens;
    uint64_t best = kNoCandidate;
    for (int segment = threadIdx.x; segment < segments; segment += kDrawThreads) {
      best = firsts[segment] > best ? firsts[segment] : best;
    }
    best = first_of_warp(best);
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
  // Of the numbers that each() visits, without kNoCandidate, the last of the first `wanted`, or a number between it and
  // the next one: a digit of 8 bits after the other, from the highest on, each by counting those that have the digits
  // found so far.
  template <class Each>
  __device__ uint64_t find_threshold(const Each& each, int wanted) {
    uint64_t prefix = 0;
    for (int shift = 56; shift >= 0; shift -= 8) {
      count_digits(each, prefix, shift);
      if (threadIdx.x < kWarp) {
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

  template <class Each>
  __device__ void count_digits(const Each& each, uint64_t prefix, int shift) {
    __syncthreads();  // what was counted before is read
    counts_[threadIdx.x] = 0;
    __syncthreads();
    each([&](uint64_t candidate, int) {
      const bool belongs = shift == 56 || candidate >> (shift + 8) == prefix;
      if (candidate != kNoCandidate && belongs) {
        atomicAdd(&counts_[static_cast<int>(candidate >> shift & 0xFF)], 1U);
      }
    });
    __syncthreads();
  }

  // The digit at which `wanted` are reached, from the highest on, or 0; whether all that have it are wanted; how many
  // of them are. By a warp, whose lanes have eight digits each, those of the first lane the highest.
  __device__ void choose_digit(int wanted) {
    constexpr int kEach = kDigits / kWarp;
    const int lane = static_cast<int>(threadIdx.x);
    const int highest = kDigits - 1 - kEach * lane;
    int counts[kEach];
    int sum = 0;
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      counts[i] = static_cast<int>(counts_[highest - i]);
      sum += counts[i];
    }
    int through = sum;  // with all lanes before
    for (int step = 1; step < kWarp; step *= 2) {
      const int before = __shfl_up_sync(kFullMask, through, step);
      through += lane >= step ? before : 0;
    }
    const unsigned reached = __ballot_sync(kFullMask, through >= wanted);
    if (lane != (reached == 0 ? kWarp - 1 : __ffs(static_cast<int>(reached)) - 1)) {
      return;
    }
    int left = wanted - (through - sum);
    int i = 0;
    for (; i < kEach - 1 && counts_[highest - i] < static_cast<unsigned>(left); ++i) {
      left -= static_cast<int>(counts_[highest - i]);
    }
    state_[0] = highest - i;
    state_[1] = static_cast<int>(counts_[highest - i]) <= left ? 1 : 0;
    state_[2] = left;
  }

  // Calls keep(place, candidate, index) for those from `threshold` on, at most kDrawThreads, in any order. How many.
  template <class Each, class Keep>
  __device__ int gather(const Each& each, uint64_t threshold, const Keep& keep) {
    if (threadIdx.x == 0) {
      state_[3] = 0;
    }
    __syncthreads();
    each([&](uint64_t candidate, int index) {
      if (candidate >= threshold) {
        keep(atomicAdd(&state_[3], 1), candidate, index);
      }
    });
    __syncthreads();
    return state_[3];
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
  Shared<int> chosen_;  ///< Segments.
  Shared<int> state_;   ///< Digit, found, wanted; gathered.
};

}  // namespace longship::cuda
