// Choices from a vocabulary that is cut over ranks: each finds the first candidates of its part and sums over its
// blocks, and all choose alike from what all have found.
#include "cuda/launch.h"
#include "engine/backend/cuda/kernels/draw.h"
#include "engine/backend/cuda/kernels/token_choice_inl.h"

namespace longship::cuda {

/// Blocks of all ranks, one after the other; those that a short part lacks add nothing.
struct GatheredSums {
  const DrawSum* first;
  int64_t stride;  // from rank to rank
  int blocks;

  __device__ const DrawSum& operator[](int block) const { return first[block / blocks * stride + block % blocks]; }
};

__device__ __forceinline__ GatheredSums sums_of_block(const MergeArguments& task) {
  const uint64_t* first =
      task.messages + static_cast<int64_t>(task.count) * task.most + static_cast<int64_t>(blockIdx.x) * task.blocks;
  return {reinterpret_cast<const DrawSum*>(first), task.message_words, task.blocks};
}

__device__ __forceinline__ int blocks_of_row(const MergeArguments& task) {
  return task.ranks * task.blocks;
}

namespace {

__device__ __forceinline__ int wanted_by(const TokenDraw& draw) {
  return draw.top_k > 0 ? draw.top_k : static_cast<int>(kMostCandidates);
}

// A block a draw.
__global__ void __launch_bounds__(kDrawThreads) shard_candidates_kernel(const ShardArguments task) {
  SharedMemory memory;
  FirstCandidates candidates(memory);
  const int thread = static_cast<int>(threadIdx.x);
  const TokenDraw draw = task.draws[blockIdx.x];
  const uint64_t* firsts = task.firsts + static_cast<int64_t>(blockIdx.x) * task.segments;
  uint64_t candidate = kNoCandidate;
  if (is_greedy(draw)) {
    const uint64_t best = candidates.select_one(firsts, task.vocab);
    candidate = thread == 0 ? best : kNoCandidate;
  } else {
    const float* logits = task.logits + static_cast<int64_t>(draw.row) * task.vocab;
    candidate = candidates.select(logits, task.vocab, firsts, wanted_by(draw))[thread];
  }
  if (thread < task.most) {
    // Its low half counts tokens down.
    const uint64_t shifted = candidate - static_cast<unsigned>(task.first);
    task.candidates[static_cast<int64_t>(blockIdx.x) * task.most + thread] =
        candidate == kNoCandidate ? kNoCandidate : shifted;
  }
}

// A block a draw.
__global__ void __launch_bounds__(kDrawThreads) merge_draws_kernel(const MergeArguments task) {
  SharedMemory memory;
  FirstCandidates candidates(memory);
  const TokenDraw draw = task.draws[blockIdx.x];
  TokenChoice<MergeArguments> choice(memory, task, draw);
  const auto candidate_of = [&](int rank, int place) {
    return task.messages[rank * task.message_words + static_cast<int64_t>(blockIdx.x) * task.most + place];
  };
  int32_t token = kNoToken;
  if (is_greedy(draw)) {
    uint64_t best = kNoCandidate;
    for (int rank = 0; rank < task.ranks; ++rank) {
      const uint64_t candidate = candidate_of(rank, 0);
      best = candidate > best ? candidate : best;
    }
    token = best == kNoCandidate ? kNoToken : token_of(best);
  } else {
    const auto each = [&](const auto& visit) {
      for (int i = static_cast<int>(threadIdx.x); i < task.ranks * task.most; i += kDrawThreads) {
        visit(candidate_of(i / task.most, i % task.most), i);
      }
    };
    token = choice.choose(candidates.select_among(each, wanted_by(draw)), wanted_by(draw));
  }
  if (threadIdx.x == 0) {
    task.tokens[blockIdx.x] = token;
  }
}

}  // namespace

void launch_shard_candidates(const ShardArguments& arguments, StreamHandle stream) {
  const LaunchShape shape{.grid = {static_cast<unsigned>(arguments.count)},
                          .block = {kDrawThreads},
                          .shared_bytes = FirstCandidates::bytes(),
                          .stream = stream};
  launch(shard_candidates_kernel, "shard_candidates", shape, arguments);
}

void launch_merge(const MergeArguments& arguments, StreamHandle stream) {
  const LaunchShape shape{.grid = {static_cast<unsigned>(arguments.count)},
                          .block = {kDrawThreads},
                          .shared_bytes = FirstCandidates::bytes() + TokenChoice<MergeArguments>::bytes(),
                          .stream = stream};
  launch(merge_draws_kernel, "merge_draws", shape, arguments);
}

}  // namespace longship::cuda
