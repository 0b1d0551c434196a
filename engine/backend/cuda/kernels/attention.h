#pragma once

#include "engine/backend/cuda/kernels/kv_cache.h"

namespace longship::cuda {

/// Query heads that read one key/value head, at most kMaxQueries of them.
struct HeadGroup {
  int32_t head = 0;
  int32_t heads = 0;
  int32_t kv_head = 0;
};

/// Most queries (rows x heads) that a block takes at once.
inline constexpr int kMaxQueries = 8;
/// The same for heads as wide as `head_dim`.
constexpr int max_queries(int head_dim) {
  return head_dim <= 128 ? kMaxQueries : (head_dim <= 256 ? 4 : 2);
}
/// Slices of as many rows go to tensor_attention.h where bits may depend on it; queries of a block, and heads at most.
inline constexpr int kTensorRows = 16;
inline constexpr int kTensorQueries = 64;
inline constexpr int kTensorHeads = 16;
/// Queries of a block of decode_attention.h at most.
inline constexpr int kDecodeQueries = 16;
/// Levels of the merge of chunks: contexts below 64 x 2^kMergeLevels keys.
inline constexpr int kMergeLevels = 20;

struct AttentionArguments {
  const float* query = nullptr;  ///< Head 0 of row 0.
  int64_t query_stride = 0;
  int heads = 0;
  float* out = nullptr;  ///< [rows, heads, head_dim]
  int64_t rows = 0;      ///< Of the slices that the launch is for.
  float scale = 1;
  int64_t window = 0;
  StepView step = {};
  const RowTile* tiles = nullptr;
  int tile_count = 0;
  const RowTile* row_tiles = nullptr;  ///< Of one row each, `rows` of them.
  const int32_t* slices = nullptr;     ///< Those divided into tiles of tile_rows, where `tiles` is null.
  int tile_rows = 1;
  const HeadGroup* groups = nullptr;
  int group_count = 0;
  int queries = 1;  ///< Rows of a tile times heads of a group, at most; a power of two.
  int levels = 1;   ///< 2^levels chunks hold the longest sequence.
  /// Aligned runs of 2^segment_level chunks go to blocks of their own, whose results are merged after.
  int segment_level = kMergeLevels;
  int segments = 1;              ///< Of the longest sequence.
  float* partials = nullptr;     ///< [slots, heads, segments] kPartialHead + head_dim values; null for one segment
  uint32_t* arrivals = nullptr;  ///< Of launch_decode_attention(): [tiles, groups] zeros, before and after
};

/// A partial result is maximum and sum, then the output that is not yet divided by it.
inline constexpr int kPartialHead = 2;

/// Merges the partial results of attention's segments to its output.
void merge_segments(const AttentionArguments& arguments, int head_dim, StreamHandle stream);

/// See Kernels::attention.
void launch_attention(const AttentionArguments& arguments, const KvView& kv, StreamHandle stream);

}  // namespace longship::cuda
