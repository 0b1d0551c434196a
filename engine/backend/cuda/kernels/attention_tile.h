#pragma once

// What a block of attention's threads works on, by matrix units or without.

#include "cuda/device.h"
#include "engine/backend/cuda/kernels/attention.h"

namespace longship::cuda {

/// Rows of a slice times heads of a group, and the chunks of a segment: query q is row q / heads, head q % heads.
struct AttentionTile {
  RowTile tile;
  HeadGroup group;
  int position = 0;  ///< Of the tile's first row in its sequence.
  int segment = 0;
  int first_chunk = 0;  ///< Of the segment.
  int begin_chunk = 0;  ///< Chunks [begin, end) that any of the rows sees.
  int end_chunk = 0;

  __device__ __forceinline__ int queries() const { return tile.rows * group.heads; }
  /// Keys [begin_key, end_key) that query q sees.
  __device__ __forceinline__ int end_key(int q) const { return position + q / group.heads + 1; }
  __device__ __forceinline__ int begin_key(int q, int64_t window) const {
    const int64_t end = end_key(q);
    return window == 0 || end < window ? 0 : static_cast<int>(end - window);
  }
  /// The same, relative to a chunk's first key and within the chunk.
  __device__ __forceinline__ int end(int q, int chunk) const {
    const int end = end_key(q) - chunk * kChunkKeys;
    return end < kChunkKeys ? end : kChunkKeys;
  }
  __device__ __forceinline__ int begin(int q, int chunk, int64_t window) const {
    const int begin = begin_key(q, window) - chunk * kChunkKeys;
    return begin < 0 ? 0 : (begin < kChunkKeys ? begin : kChunkKeys);
  }
  /// Where query q's values begin: of the output, or of its partial result of this segment.
  __device__ __forceinline__ float* out(const AttentionArguments& task, int head_dim, int q) const {
    const int64_t row = tile.row + q / group.heads;
    return task.out + (row * task.heads + group.head + q % group.heads) * head_dim;
  }
  __device__ __forceinline__ float* partial(const AttentionArguments& task, int head_dim, int q) const {
    const int64_t slot = tile.slot + q / group.heads;
    const int64_t query = slot * task.heads + group.head + q % group.heads;
    return task.partials + (query * task.segments + segment) * (kPartialHead + head_dim);
  }
};

inline constexpr float kLog2OfE = 1.44269504F;
inline constexpr float kLn2 = 0.693147181F;

/// Tile number `index` of the slices that are divided into tiles of task.tile_rows rows.
__device__ __forceinline__ RowTile tile_of_slices(const AttentionArguments& task, int index) {
  int slot = 0;
  int i = 0;
  StepSlice slice = task.step.slices[task.slices[0]];
  for (int tiles = 0; (tiles = (slice.rows + task.tile_rows - 1) / task.tile_rows) <= index;) {
    index -= tiles;
    slot += slice.rows;
    slice = task.step.slices[task.slices[++i]];
  }
  const int first = index * task.tile_rows;
  return {slice.first_row + first, min(task.tile_rows, slice.rows - first),
          task.slices[i],          slot + first,
          slice.begin + first,     slice.first_page};
}

__device__ __forceinline__ AttentionTile attention_tile(const AttentionArguments& task, const RowTile& tile, int group,
                                                        int segment) {
  AttentionTile found;
  found.tile = tile;
  found.group = task.groups[group];
  found.segment = segment;
  const StepSlice slice = task.step.slices[found.tile.slice];
  found.position = slice.begin + found.tile.row - slice.first_row;
  const int end_key = found.position + found.tile.rows;
  const int64_t first_seen = task.window == 0 ? 0 : found.position + 1 - task.window;
  found.first_chunk = segment << task.segment_level;
  const int segment_end = task.segments == 1 ? INT32_MAX : (segment + 1) << task.segment_level;
  const int begin = first_seen < 0 ? 0 : static_cast<int>(first_seen / kChunkKeys);
  const int end = (end_key + kChunkKeys - 1) / kChunkKeys;
  found.begin_chunk = begin > found.first_chunk ? begin : found.first_chunk;
  found.end_chunk = end < segment_end ? end : segment_end;
  return found;
}

/// Of the block's group and segment.
__device__ __forceinline__ AttentionTile attention_tile(const AttentionArguments& task, const RowTile& tile) {
  return attention_tile(task, tile, static_cast<int>(blockIdx.y), static_cast<int>(blockIdx.z));
}

}  // namespace longship::cuda
