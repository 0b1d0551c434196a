#include "engine/backend/cuda/kernels/attention.h"

#include "engine/backend/cuda/kernels/attention_kernel.h"

namespace longship::cuda {

namespace {

constexpr int kMergeThreads = 128;

// Segments are nodes of the same merge as the chunks in them, so they carry as chunks do. A block a query; each thread
// keeps nodes of its own.
__global__ void __launch_bounds__(kMergeThreads)
    merge_segments_kernel(const AttentionArguments task, const int head_dim, const int levels) {
  SharedMemory memory;
  const Shared<float> maxima = memory.take<float>(levels * kMergeThreads) + threadIdx.x;
  const Shared<float> sums = memory.take<float>(levels * kMergeThreads) + threadIdx.x;
  const Shared<float> outs = memory.take<float>(levels * kMergeThreads) + threadIdx.x;
  const RowTile tile = task.row_tiles[blockIdx.x];
  if (tile.rows == 0) {
    return;
  }
  const int64_t row = tile.row;
  const int64_t query = row * task.heads + blockIdx.y;
  const StepSlice slice = task.step.slices[tile.slice];
  const int64_t end_key = slice.begin + row - slice.first_row + 1;
  const int64_t begin_key = task.window == 0 || end_key < task.window ? 0 : end_key - task.window;
  const int first = static_cast<int>(begin_key / kChunkKeys) >> task.segment_level;
  const int last = static_cast<int>((end_key - 1) / kChunkKeys) >> task.segment_level;
  const float* partials = task.partials + (static_cast<int64_t>(tile.slot) * task.heads + blockIdx.y) * task.segments *
                                              (kPartialHead + head_dim);
  for (int i = threadIdx.x; i < head_dim; i += kMergeThreads) {
    for (int level = 0; level < levels; ++level) {
      sums[level * kMergeThreads] = kNoSum;
    }
    for (int segment = first; segment <= last; ++segment) {
      const float* partial = partials + segment * (kPartialHead + head_dim);
      MergeValue value{partial[0], partial[1], partial[kPartialHead + i]};
      int level = 0;
      for (; ((segment >> level) & 1) != 0; ++level) {
        const int at = level * kMergeThreads;
        if (sums[at] != kNoSum) {
          value = merge({maxima[at], sums[at], outs[at]}, value);
        }
      }
      maxima[level * kMergeThreads] = value.maximum;
      sums[level * kMergeThreads] = value.sum;
      outs[level * kMergeThreads] = value.out;
    }
    MergeValue value;
    for (int level = 0; level < levels; ++level) {
      const int at = level * kMergeThreads;
      if ((((last + 1) >> level) & 1) != 0 && sums[at] != kNoSum) {
        value = merge({maxima[at], sums[at], outs[at]}, value);
      }
    }
    task.out[query * head_dim + i] = value.out / value.sum;
  }
}

}  // namespace

void merge_segments(const AttentionArguments& task, int head_dim, StreamHandle stream) {
  int levels = 1;
  while ((task.segments >> levels) != 0) {
    ++levels;
  }
  const LaunchShape shape{.grid = {static_cast<unsigned>(task.rows), static_cast<unsigned>(task.heads)},
                          .block = {kMergeThreads},
                          .shared_bytes = 3 * shared_bytes<float>(static_cast<std::size_t>(levels) * kMergeThreads),
                          .stream = stream};
  launch(merge_segments_kernel, "merge_segments", shape, task, head_dim, levels);
}

void launch_attention(const AttentionArguments& arguments, const KvView& kv, StreamHandle stream) {
  switch (kv.type) {
    case KvType::kF16:
      launch_attention_type<KvType::kF16>(arguments, kv, stream);
      break;
    case KvType::kBF16:
      launch_attention_type<KvType::kBF16>(arguments, kv, stream);
      break;
    case KvType::kQ8:
      launch_attention_type<KvType::kQ8>(arguments, kv, stream);
      break;
    default:
      launch_attention_type<KvType::kF32>(arguments, kv, stream);
  }
  if (arguments.segments > 1) {
    merge_segments(arguments, kv.head_dim, stream);
  }
}

}  // namespace longship::cuda
