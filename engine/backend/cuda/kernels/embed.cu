#include "engine/backend/cuda/kernels/embed.h"

#include "cuda/launch.h"
#include "cuda/ptx.h"
#include "engine/backend/cuda/kernels/stored_values.h"

namespace longship::cuda {

namespace {

constexpr int kThreads = 256;

__global__ void embed_kernel(StoredTable table, const int32_t* ids, int64_t count, float* out) {
  let_next_kernel_begin();
  wait_for_kernels_before();
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= count * table.columns) {
    return;
  }
  const int64_t column = table.skip + index % table.columns;
  const std::byte* block =
      table.data + ids[index / table.columns] * table.row_bytes + column / table.block_values * table.block_bytes;
  out[index] = stored_value(table.dtype, StoredBlock(reinterpret_cast<const unsigned char*>(block)),
                            static_cast<int>(column % table.block_values));
}

}  // namespace

void launch_embed(const StoredTable& table, const int32_t* ids, int64_t count, float* out, StreamHandle stream) {
  const LaunchShape shape{.grid = {static_cast<unsigned>((count * table.columns + kThreads - 1) / kThreads)},
                          .block = {kThreads},
                          .stream = stream,
                          .overlaps = true};
  launch(embed_kernel, "embed", shape, table, ids, count, out);
}

}  // namespace longship::cuda
