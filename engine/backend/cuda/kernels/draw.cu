#include "engine/backend/cuda/kernels/draw.h"

#include <algorithm>

#include "cuda/launch.h"
#include "engine/backend/cuda/kernels/draw_math_inl.h"
#include "engine/backend/cuda/kernels/first_candidates_inl.h"
#include "engine/backend/cuda/kernels/math.h"

namespace longship::cuda {

namespace {

static_assert(kDrawThreads == kMostCandidates);

constexpr int kSumThreads = 128;
constexpr int kSumLanes = 16;

__host__ __device__ __forceinline__ bool is_greedy(const TokenDraw& draw) {
  return !(draw.temperature > 0);
}

__host__ __device__ __forceinline__ bool needs_sums(const TokenDraw& draw) {
  return !is_greedy(draw) && draw.top_k <= 0 && !(draw.min_p > 0);
}

// The sum of one block in the order of sum_blocks() of sample/row_summary.cc: 16 lanes, then by halves. A block of
// threads each.
__global__ void __launch_bounds__(kSumThreads) draw_sums_kernel(const DrawArguments task) {
  SharedMemory memory;
  const Shared<float> values = memory.take<float>(kSumTokens);
  const Shared<float> maxima = memory.take<float>(kSumThreads / kWarp);
  const TokenDraw draw = task.draws[blockIdx.y];
  if (!needs_sums(draw)) {
    return;
  }
  const int first = static_cast<int>(blockIdx.x) * kSumTokens;
  const int count = min(kSumTokens, task.vocab - first);
  const int padded = (count + kSumLanes - 1) / kSumLanes * kSumLanes;
  const float* logits = task.logits + static_cast<int64_t>(draw.row) * task.vocab + first;
  float largest = -__builtin_inff();
  for (int i = threadIdx.x; i < count; i += kSumThreads) {
    largest = logits[i] > largest ? logits[i] : largest;
  }
  largest = warp_max(largest);
  if (threadIdx.x % kWarp == 0) {
    maxima[threadIdx.x / kWarp] = largest;
  }
  __syncthreads();
  for (int warp = 0; warp < kSumThreads / kWarp; ++warp) {
    largest = fmaxf(largest, maxima[warp]);
  }
  const double most = 0x1.fffffep127;  // of a float
  const double inverse_wide = 1 / draw.temperature;
  const auto inverse = static_cast<float>(inverse_wide < most ? inverse_wide : most);
  constexpr float kLowest = -87.0F;
  for (int i = threadIdx.x; i < padded; i += kSumThreads) {
    const float scaled = ((i < count ? logits[i] : -__builtin_inff()) - largest) * inverse;
    values[i] = exp_in_sum(scaled > kLowest ? scaled : kLowest);
  }
  __syncthreads();
  if (threadIdx.x >= kWarp) {
    return;
  }
  float sum = 0;
  for (int i = threadIdx.x; i < padded && threadIdx.x < kSumLanes; i += kSumLanes) {
    sum = sum + values[i];
  }
  for (int width = kSumLanes / 2; width > 0; width /= 2) {
    sum = sum + __shfl_down_sync(kFullMask, sum, width);
  }
  if (threadIdx.x == 0) {
    task.sums[blockIdx.y * task.blocks + blockIdx.x] = {largest, largest > -__builtin_inff() ? sum : 0.0F};
  }
}

// Draw of sample/sampler.cc, whose steps and orders of sums these are. Threads of a block work out terms, the first one
// adds them up.
class TokenChoice {
 public:
  __device__ TokenChoice(SharedMemory& memory, const DrawArguments& task, const TokenDraw& draw)
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
    const DrawSum* sums = task_.sums + static_cast<int64_t>(blockIdx.x) * task_.blocks;
    float largest = -__builtin_inff();
    for (int block = 0; block < task_.blocks; ++block) {
      largest = fmaxf(largest, sums[block].largest);
    }
    double total = 0;
    for (int begin = 0; begin < task_.blocks; begin += kDrawThreads) {
      const int block = begin + static_cast<int>(threadIdx.x);
      if (block < task_.blocks) {
        const DrawSum part = sums[block];
        const double below = static_cast<double>(part.largest) - static_cast<double>(largest);
        const double scale = part.largest == largest ? 1 : exp_of_negative(below / draw_.temperature);
        terms_[threadIdx.x] = static_cast<double>(part.sum) * scale;
      }
      __syncthreads();
      for (int i = 0; threadIdx.x == 0 && i < min(kDrawThreads, task_.blocks - begin); ++i) {
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
    double rest = philox_uniform(draw_.seed, draw_.choice, draw_.index) * mass;
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
  const DrawArguments& task_;
  const TokenDraw& draw_;
};

// A warp a segment.
__global__ void __launch_bounds__(kDrawThreads) draw_firsts_kernel(const DrawArguments task) {
  const int segment = static_cast<int>(blockIdx.x * (kDrawThreads / kWarp) + threadIdx.x / kWarp);
  if (segment < task.segments) {
    const float* logits = task.logits + static_cast<int64_t>(task.draws[blockIdx.y].row) * task.vocab;
    const uint64_t first = first_of_segment(logits, task.vocab, segment);
    if (threadIdx.x % kWarp == 0) {
      task.firsts[static_cast<int64_t>(blockIdx.y) * task.segments + segment] = first;
    }
  }
}

// A block a draw.
__global__ void __launch_bounds__(kDrawThreads) draw_tokens_kernel(const DrawArguments task) {
  SharedMemory memory;
  FirstCandidates candidates(memory);
  const TokenDraw draw = task.draws[blockIdx.x];
  TokenChoice choice(memory, task, draw);
  const float* logits = task.logits + static_cast<int64_t>(draw.row) * task.vocab;
  const uint64_t* firsts = task.firsts + static_cast<int64_t>(blockIdx.x) * task.segments;
  int32_t token = kNoToken;
  if (is_greedy(draw)) {
    const uint64_t best = candidates.select_one(firsts, task.vocab);
    token = best == kNoCandidate ? kNoToken : token_of(best);
  } else {
    const int wanted = draw.top_k > 0 ? draw.top_k : static_cast<int>(kMostCandidates);
    token = choice.choose(candidates.select(logits, task.vocab, firsts, wanted), wanted);
  }
  if (threadIdx.x == 0) {
    task.tokens[blockIdx.x] = token;
  }
}

__global__ void feed_kernel(const int32_t* drawn, int count, int32_t* tokens) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < count) {
    const int32_t token = drawn[i];
    tokens[i] = token < 0 ? 0 : token;
  }
}

}  // namespace

void launch_feed(const int32_t* drawn, int count, int32_t* tokens, StreamHandle stream) {
  const LaunchShape shape{
      .grid = {static_cast<unsigned>((count + kWarp - 1) / kWarp)}, .block = {kWarp}, .stream = stream};
  launch(feed_kernel, "feed", shape, drawn, count, tokens);
}

int draw_segments(int vocab) {
  return (vocab + kSegmentTokens - 1) / kSegmentTokens;
}

bool needs_sums(std::span<const TokenDraw> draws) {
  return std::ranges::any_of(draws, [](const TokenDraw& draw) { return needs_sums(draw); });
}

void launch_draw(const DrawArguments& arguments, bool with_sums, StreamHandle stream) {
  constexpr unsigned kWarps = kDrawThreads / kWarp;
  const auto count = static_cast<unsigned>(arguments.count);
  const LaunchShape firsts{.grid = {(static_cast<unsigned>(arguments.segments) + kWarps - 1) / kWarps, count},
                           .block = {kDrawThreads},
                           .stream = stream};
  launch(draw_firsts_kernel, "draw_firsts", firsts, arguments);
  const LaunchShape sums{.grid = {static_cast<unsigned>(arguments.blocks), count},
                         .block = {kSumThreads},
                         .shared_bytes = shared_bytes<float>(kSumTokens) + shared_bytes<float>(kSumThreads / kWarp),
                         .stream = stream};
  if (with_sums) {
    launch(draw_sums_kernel, "draw_sums", sums, arguments);
  }
  const LaunchShape tokens{.grid = {count},
                           .block = {kDrawThreads},
                           .shared_bytes = FirstCandidates::bytes() + TokenChoice::bytes(),
                           .stream = stream};
  launch(draw_tokens_kernel, "draw_tokens", tokens, arguments);
}

}  // namespace longship::cuda
