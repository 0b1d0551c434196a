#include "engine/backend/cuda/kernels/draw.h"

#include <algorithm>

#include "cuda/launch.h"
#include "engine/backend/cuda/kernels/math.h"
#include "engine/backend/cuda/kernels/token_choice_inl.h"

namespace longship::cuda {

namespace {

constexpr int kSumThreads = 128;
constexpr int kSumLanes = 16;

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
    values[i] = exp_of_negative_f32(scaled > kLowest ? scaled : kLowest);
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

void launch_firsts_and_sums(const DrawArguments& arguments, bool with_sums, StreamHandle stream) {
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
}

void launch_draw(const DrawArguments& arguments, bool with_sums, StreamHandle stream) {
  launch_firsts_and_sums(arguments, with_sums, stream);
  const LaunchShape tokens{.grid = {static_cast<unsigned>(arguments.count)},
                           .block = {kDrawThreads},
                           .shared_bytes = FirstCandidates::bytes() + TokenChoice<DrawArguments>::bytes(),
                           .stream = stream};
  launch(draw_tokens_kernel, "draw_tokens", tokens, arguments);
}

}  // namespace longship::cuda
