#pragma once

// How a token is chosen from the first candidates of a row and the sums of its blocks, by a block of threads a draw.

#include "core/exp.h"
#include "core/rng.h"
#include "engine/backend/cuda/kernels/draw.h"
#include "engine/backend/cuda/kernels/first_candidates_inl.h"

namespace longship::cuda {

static_assert(kDrawThreads == kMostCandidates);

__host__ __device__ __forceinline__ bool is_greedy(const TokenDraw& draw) {
  return !(draw.temperature > 0);
}

__host__ __device__ __forceinline__ bool needs_sums(const TokenDraw& draw) {
  return !is_greedy(draw) && draw.top_k <= 0 && !(draw.min_p > 0);
}

__device__ __forceinline__ const DrawSum* sums_of_block(const DrawArguments& task) {
  return task.sums + static_cast<int64_t>(blockIdx.x) * task.blocks;
}

__device__ __forceinline__ int blocks_of_row(const DrawArguments& task) {
  return task.blocks;
}

/// Draw of sample/sampler.cc, whose steps and orders of sums these are. Threads of a block work out terms, the first
/// one adds them up. sums_of_block() and blocks_of_row() say where a task has its sums.
template <class Task>
class TokenChoice {
 public:
  __device__ TokenChoice(SharedMemory& memory, const Task& task, const TokenDraw& draw)
      : terms_(memory.take<double>(kDrawThreads)), task_(task), draw_(draw) {}

  static std::size_t bytes() { return shared_bytes<double>(kDrawThreads); }

  /// Candidates [kDrawThreads] in order, then nothing, of which `wanted` were looked for. For thread 0 the choice.
  __device__ int32_t choose(const Shared<uint64_t>& best, int wanted) {
    double mass = 0;
    if (needs_sums(draw_)) {
      mass = total_of_sums();
    }
    const uint64_t candidate = best[threadIdx.x];
    const uint64_t first = best[0];
    if (candidate != kNoCandidate) {
      const double logit = logit_of(candidate);
      const double largest = logit_of(first);
      terms_[threadIdx.x] = logit == largest ? 1 : exp_of_negative((logit - largest) / draw_.temperature);
    }
    __syncthreads();
    if (threadIdx.x != 0) {
      return kNoToken;
    }
    return first == kNoCandidate ? kNoToken : walk(best, wanted, mass);
  }

 private:
  // add_blocks() of sample/row_summary.cc.
  __device__ double total_of_sums() {
    const auto sums = sums_of_block(task_);
    const int blocks = blocks_of_row(task_);
    float largest = -__builtin_inff();
    for (int block = 0; block < blocks; ++block) {
      largest = fmaxf(largest, sums[block].largest);
    }
    double total = 0;
    for (int begin = 0; begin < blocks; begin += kDrawThreads) {
      const int block = begin + static_cast<int>(threadIdx.x);
      if (block < blocks) {
        const DrawSum part = sums[block];
        const double below = static_cast<double>(part.largest) - static_cast<double>(largest);
        const double scale = part.largest == largest ? 1 : exp_of_negative(below / draw_.temperature);
        terms_[threadIdx.x] = static_cast<double>(part.sum) * scale;
      }
      __syncthreads();
      for (int i = 0; threadIdx.x == 0 && i < min(kDrawThreads, blocks - begin); ++i) {
        total = total + terms_[i];
      }
      __syncthreads();
    }
    return total;
  }

  __device__ int32_t walk(const Shared<uint64_t>& best, int wanted, double mass) {
    int known = 0;
    while (known < wanted && best[known] != kNoCandidate) {
      ++known;
    }
    bool ended = known < wanted || draw_.top_k > 0;
    const double least = draw_.min_p > 0 ? draw_.min_p : 0;
    int left = 1;
    for (; left < known && terms_[left] >= least && terms_[left] != 0; ++left) {
    }
    ended = ended || left < known;
    if (!needs_sums(draw_)) {
      if (!ended) {
        return kNotAmongFirst;
      }
      mass = total_of_terms(left);
    }
    if (draw_.top_p < 1) {
      const int cut = first_that_reach(draw_.top_p * mass, left);
      ended = ended || cut > 0;
      if (!ended) {
        return kNotAmongFirst;
      }
      left = cut > 0 ? cut : left;
      mass = total_of_terms(left);
    }
    double rest = Philox::uniform(draw_.seed, draw_.choice, draw_.index) * mass;
    for (int i = 0; i < left; ++i) {
      rest = rest - terms_[i];
      if (rest < 0) {
        return token_of(best[i]);
      }
    }
    return ended ? token_of(best[left - 1]) : kNotAmongFirst;
  }

  __device__ double total_of_terms(int count) const {
    double sum = 0;
    for (int i = 0; i < count; ++i) {
      sum = sum + terms_[i];
    }
    return sum;
  }

  // How many first terms it takes; 0: all `count` are too few.
  __device__ int first_that_reach(double wanted, int count) const {
    double sum = 0;
    for (int i = 0; i < count; ++i) {
      sum = sum + terms_[i];
      if (sum >= wanted) {
        return i + 1;
      }
    }
    return 0;
  }

  Shared<double> terms_;
  const Task& task_;
  const TokenDraw& draw_;
};

}  // namespace longship::cuda
