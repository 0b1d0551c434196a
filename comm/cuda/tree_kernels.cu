#include "comm/cuda/tree_kernels.h"

#include <algorithm>

#include "comm/cuda/tree_walk.h"
#include "cuda/device.h"
#include "cuda/launch.h"

namespace longship {

namespace {

constexpr int kThreads = 256;
constexpr int64_t kMostBlocks = 512;

__global__ void __launch_bounds__(kThreads) sum_gathered_kernel(GatheredNodes nodes, float* out) {
  const int own_first = nodes.tree.first_node[nodes.rank];
  const int own_count = nodes.tree.first_node[nodes.rank + 1] - own_first;
  const int64_t stride = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < nodes.count; i += stride) {
    out[i] = sum_along(nodes.tree, [&](int rank, int node) {
      if (rank == nodes.rank) {
        return nodes.own[node * nodes.own_stride + i];
      }
      const int index = nodes.tree.first_node[rank] + node - (rank > nodes.rank ? own_count : 0);
      return nodes.received[index * nodes.count + i];
    });
  }
}

}  // namespace

void sum_gathered(const GatheredNodes& nodes, float* out, cuda::StreamHandle stream) {
  const int64_t blocks = std::min((nodes.count + kThreads - 1) / kThreads, kMostBlocks);
  const cuda::LaunchShape shape{.grid = {static_cast<unsigned>(blocks)}, .block = {kThreads}, .stream = stream};
  cuda::launch(sum_gathered_kernel, "sum_gathered", shape, nodes, out);
}

}  // namespace longship
