#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/backend/cuda/kernels/warpgroup_attention.h"
#include "engine/backend/cuda/step_tables.h"

namespace longship::cuda {

/// What an attention of long slices wants.
struct LongTiles {
  int queries = 0;                    ///< Of a block.
  int blocks_per_multiprocessor = 0;  ///< From which on it has enough to do.
  int segment_level = 0;              ///< Of the shortest segments.
};
/// launch_tensor_attention()'s and launch_warpgroup_attention()'s.
inline constexpr LongTiles kTensorTiles = {kTensorQueries, 4, 0};
inline constexpr LongTiles kWarpgroupTiles = {kWarpgroupQueries, 1, 2};

/// How the attention of a layer is divided into blocks of threads. What depends on the layer alone is copied to the
/// device when it first comes.
class AttentionPlans {
 public:
  /// Bytes for the partial results of split sequences on a device of so many multiprocessors.
  static int64_t partial_bytes(int multiprocessors);
  /// Counters of blocks of launch_decode_attention().
  static constexpr int64_t kArrivals = 4096;

  /// Fills in rows, tiles, groups, segments and levels: those of long slices for the kernels that `tiles` are of,
  /// else for launch_attention(). `arguments.heads` is set, and `partials`, of partial_bytes().
  void divide(const StepTables& step, Slices which, const LongTiles& tiles, const std::vector<int32_t>& kv_head,
              int head_dim, int multiprocessors, Staging& staging, StreamHandle stream, AttentionArguments& arguments);

  /// The same for launch_decode_attention(), `blocks` of whose blocks the device takes at once: kArrivals of `arrivals`
  /// are set too.
  void divide_evenly(const StepTables& step, Slices which, const std::vector<int32_t>& kv_head, int head_dim,
                     int multiprocessors, int blocks, Staging& staging, StreamHandle stream,
                     AttentionArguments& arguments);

 private:
  struct Layer {
    std::vector<int32_t> kv_head;
    int most = 0;   ///< Queries of a block.
    int heads = 0;  ///< Of the largest group.
    int group_count = 0;
    std::shared_ptr<void> groups;
  };

  static void divide_rows(const StepTables& step, Slices which, const LongTiles& tiles, const Layer& layer,
                          int head_dim, AttentionArguments& arguments);
  const Layer& layer(const std::vector<int32_t>& kv_head, int most, Staging& staging, StreamHandle stream);

  std::vector<Layer> layers_;
};

}  // namespace longship::cuda
