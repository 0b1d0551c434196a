#include "comm/cuda/ipc_kernels.h"

#include <algorithm>

#include "comm/cuda/ipc_wait.h"
#include "comm/cuda/tree_walk.h"
#include "cuda/device.h"
#include "cuda/launch.h"
#include "cuda/norm_row.h"
#include "cuda/ptx.h"

namespace longship {

namespace {

constexpr int kThreads = 256;
// Up to so many bytes of nodes, everyone's getting all of them beats the two rounds that move less.
constexpr int64_t kMostBytesInOneRound = int64_t{1} << 18;

__device__ uint32_t* flag_of(const IpcView& view, int owner, int from) {
  auto* flags = reinterpret_cast<uint32_t*>(view.regions[owner]);
  return flags + (from * IpcView::kBlocks + static_cast<int>(blockIdx.x)) * IpcView::kFlagStride;
}

__device__ uint32_t* own_words(const IpcView& view) {
  return reinterpret_cast<uint32_t*>(view.regions[view.rank]) + IpcView::kFlagWords;
}

__device__ uint32_t* round_of_block(const IpcView& view) {
  return own_words(view) + blockIdx.x;
}

// Where `from` writes in `owner`'s region in this round.
__device__ float* slot_of(const IpcView& view, int owner, int from, uint32_t round) {
  auto* slots = reinterpret_cast<float*>(view.regions[owner] + IpcView::kHeaderBytes);
  const int index = (from * IpcView::kBlocks + static_cast<int>(blockIdx.x)) * 2 + static_cast<int>(round & 1U);
  return slots + static_cast<int64_t>(index) * IpcView::kSlotFloats;
}

// Hands what this block has written to the other ranks and waits for what theirs have.
__device__ void meet(const IpcView& view, uint32_t round, IpcFailure::Operation operation) {
  __syncthreads();
  const int peer = static_cast<int>(threadIdx.x);
  if (peer < view.ranks && peer != view.rank) {
    __threadfence_system();
    cuda::store_release_system(flag_of(view, peer, view.rank), round);
    wait_for(flag_of(view, view.rank, peer), round, view.patience, operation, peer);
  }
  __syncthreads();
}

// Elements [begin, begin + count) of this rank's nodes into its slot at `peer`, one node after the other.
__device__ void push_nodes(const IpcView& view, const IpcReduction& reduction, int peer, uint32_t round, int64_t begin,
                           int count) {
  float* slot = slot_of(view, peer, view.rank, round);
  const int nodes = reduction.tree.first_node[view.rank + 1] - reduction.tree.first_node[view.rank];
  for (int node = 0; node < nodes; ++node) {
    const float* from = reduction.nodes + node * reduction.count + begin;
    for (int i = static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(blockDim.x)) {
      slot[node * count + i] = from[i];
    }
  }
}

// The root of element begin + i, where this rank has got elements [begin, begin + count) of everybody's nodes.
__device__ float sum_of(const IpcView& view, const IpcReduction& reduction, uint32_t round, int64_t begin, int count,
                        int i) {
  return sum_along(reduction.tree, [&](int rank, int node) {
    return rank == view.rank ? reduction.nodes[node * reduction.count + begin + i]
                             : slot_of(view, view.rank, rank, round)[node * count + i];
  });
}

__device__ int smaller(int64_t a, int b) {
  return a < b ? static_cast<int>(a) : b;
}

__global__ void __launch_bounds__(kThreads) reduce_in_one_round(IpcView view, IpcReduction reduction, int chunk) {
  uint32_t round = *round_of_block(view);
  const int64_t stride = static_cast<int64_t>(gridDim.x) * chunk;
  for (int64_t begin = static_cast<int64_t>(blockIdx.x) * chunk; begin < reduction.count; begin += stride) {
    const int count = smaller(reduction.count - begin, chunk);
    ++round;
    for (int step = 1; step < view.ranks; ++step) {
      push_nodes(view, reduction, (view.rank + step) % view.ranks, round, begin, count);
    }
    meet(view, round, reduction.operation);
    for (int i = static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(blockDim.x)) {
      reduction.out[begin + i] = sum_of(view, reduction, round, begin, count, i);
    }
  }
  if (threadIdx.x == 0) {
    *round_of_block(view) = round;
  }
}

// A chunk is as many parts as there are ranks. Rank r adds up part r of each chunk.
__global__ void __launch_bounds__(kThreads) reduce_in_two_rounds(IpcView view, IpcReduction reduction, int part) {
  uint32_t round = *round_of_block(view);
  const int64_t chunk = static_cast<int64_t>(view.ranks) * part;
  const int64_t stride = gridDim.x * chunk;
  for (int64_t first = blockIdx.x * chunk; first < reduction.count; first += stride) {
    const auto begin_of = [&](int rank) { return first + static_cast<int64_t>(rank) * part; };
    const auto count_of = [&](int rank) { return smaller(reduction.count - begin_of(rank), part); };
    ++round;
    for (int step = 1; step < view.ranks; ++step) {
      const int peer = (view.rank + step) % view.ranks;
      push_nodes(view, reduction, peer, round, begin_of(peer), count_of(peer));
    }
    meet(view, round, reduction.operation);
    const int mine = count_of(view.rank);
    for (int i = static_cast<int>(threadIdx.x); i < mine; i += static_cast<int>(blockDim.x)) {
      const float sum = sum_of(view, reduction, round, begin_of(view.rank), mine, i);
      reduction.out[begin_of(view.rank) + i] = sum;
      for (int step = 1; step < view.ranks; ++step) {
        slot_of(view, (view.rank + step) % view.ranks, view.rank, round + 1)[i] = sum;
      }
    }
    ++round;
    meet(view, round, reduction.operation);
    for (int step = 1; step < view.ranks; ++step) {
      const int peer = (view.rank + step) % view.ranks;
      const float* slot = slot_of(view, view.rank, peer, round);
      for (int i = static_cast<int>(threadIdx.x); i < count_of(peer); i += static_cast<int>(blockDim.x)) {
        reduction.out[begin_of(peer) + i] = slot[i];
      }
    }
  }
  if (threadIdx.x == 0) {
    *round_of_block(view) = round;
  }
}

// A block a row, of which everyone gets all nodes.
__global__ void __launch_bounds__(cuda::kMostNormThreads)
    reduce_add_norm(IpcView view, IpcReduction reduction, IpcAddNorm then) {
  cuda::SharedMemory memory;
  const cuda::Shared<float> sums = memory.take<float>(cuda::kMostNormWarps);
  const int width = then.norm.width;
  uint32_t round = *round_of_block(view);
  for (int64_t begin = static_cast<int64_t>(blockIdx.x) * width; begin < reduction.count;
       begin += static_cast<int64_t>(gridDim.x) * width) {
    ++round;
    for (int step = 1; step < view.ranks; ++step) {
      push_nodes(view, reduction, (view.rank + step) % view.ranks, round, begin, width);
    }
    meet(view, round, reduction.operation);
    float* hidden = then.hidden + begin;
    const auto add = [&](int i) {
      const float sum = sum_of(view, reduction, round, begin, width, i);
      return hidden[i] + (then.bias == nullptr ? sum : sum + then.bias[i]);
    };
    const auto keep = [&](int i, float sum) { hidden[i] = sum; };
    cuda::norm_row(then.norm, hidden, add, keep, then.normed + begin, sums);
  }
  if (threadIdx.x == 0) {
    *round_of_block(view) = round;
  }
}

// Words [begin, begin + chunk) of every part in one round, as far as they go.
__global__ void __launch_bounds__(kThreads)
    gather_in_rounds(IpcView view, IpcGather gather, int64_t longest, int chunk) {
  uint32_t round = *round_of_block(view);
  const auto thread = static_cast<int>(threadIdx.x);
  const int64_t stride = static_cast<int64_t>(gridDim.x) * chunk;
  for (int64_t begin = static_cast<int64_t>(blockIdx.x) * chunk; begin < longest; begin += stride) {
    const auto count_of = [&](int rank) { return smaller(gather.first[rank + 1] - gather.first[rank] - begin, chunk); };
    const int mine = count_of(view.rank);
    ++round;
    for (int step = 1; step < view.ranks; ++step) {
      auto* slot = reinterpret_cast<uint32_t*>(slot_of(view, (view.rank + step) % view.ranks, view.rank, round));
      for (int i = thread; i < mine; i += kThreads) {
        slot[i] = gather.part[begin + i];
      }
    }
    meet(view, round, IpcFailure::kAllGather);
    for (int step = 0; step < view.ranks; ++step) {
      const int rank = (view.rank + step) % view.ranks;
      const auto* slot = reinterpret_cast<const uint32_t*>(slot_of(view, view.rank, rank, round));
      const uint32_t* from = rank == view.rank ? gather.part + begin : slot;
      for (int i = thread; i < count_of(rank); i += kThreads) {
        gather.out[gather.first[rank] + begin + i] = from[i];
      }
    }
  }
  if (threadIdx.x == 0) {
    *round_of_block(view) = round;
  }
}

unsigned blocks_for(int64_t count, int64_t chunk) {
  return static_cast<unsigned>(std::min<int64_t>((count + chunk - 1) / chunk, IpcView::kBlocks));
}

// So many elements a block and round that all blocks have work, at most `most`.
int share_of_block(int64_t count, int64_t most) {
  constexpr int64_t kLeast = kThreads;
  const int64_t even = (count + IpcView::kBlocks - 1) / IpcView::kBlocks;
  return static_cast<int>(std::min(most, std::max(kLeast, (even + 31) / 32 * 32)));
}

}  // namespace

void ipc_all_gather(const IpcView& view, const IpcGather& gather, cuda::StreamHandle stream) {
  int64_t longest = 0;
  for (int rank = 0; rank < view.ranks; ++rank) {
    longest = std::max(longest, gather.first[rank + 1] - gather.first[rank]);
  }
  const int chunk = share_of_block(longest, IpcView::kSlotFloats);
  const cuda::LaunchShape shape{.grid = {blocks_for(longest, chunk)}, .block = {kThreads}, .stream = stream};
  cuda::launch(gather_in_rounds, "ipc_all_gather", shape, view, gather, longest, chunk);
}

void ipc_reduce(const IpcView& view, const IpcReduction& reduction, cuda::StreamHandle stream) {
  if (reduction.count == 0) {
    return;
  }
  const int64_t most = IpcView::kSlotFloats / std::max(1, reduction.tree.most_nodes);
  const int64_t bytes = reduction.count * reduction.tree.nodes * static_cast<int64_t>(sizeof(float));
  const cuda::Dim3 block{kThreads};
  if (bytes <= kMostBytesInOneRound) {
    const int chunk = share_of_block(reduction.count, most);
    const cuda::LaunchShape shape{.grid = {blocks_for(reduction.count, chunk)}, .block = block, .stream = stream};
    cuda::launch(reduce_in_one_round, "ipc_reduce_in_one_round", shape, view, reduction, chunk);
  } else {
    const int part = share_of_block((reduction.count + view.ranks - 1) / view.ranks, most);
    const cuda::LaunchShape shape{
        .grid = {blocks_for(reduction.count, int64_t{part} * view.ranks)}, .block = block, .stream = stream};
    cuda::launch(reduce_in_two_rounds, "ipc_reduce_in_two_rounds", shape, view, reduction, part);
  }
}

bool ipc_takes_rows(const IpcReduction& reduction, int64_t width) {
  const int64_t bytes = reduction.count * reduction.tree.nodes * static_cast<int64_t>(sizeof(float));
  return width * reduction.tree.most_nodes <= IpcView::kSlotFloats && bytes <= kMostBytesInOneRound;
}

void ipc_reduce_add_norm(const IpcView& view, const IpcReduction& reduction, const IpcAddNorm& then,
                         cuda::StreamHandle stream) {
  if (reduction.count != 0) {
    cuda::launch(reduce_add_norm, "ipc_reduce_add_norm",
                 cuda::norm_shape(blocks_for(reduction.count, then.norm.width), then.norm.width, stream), view,
                 reduction, then);
  }
}

}  // namespace longship
