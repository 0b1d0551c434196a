#pragma once

#include "engine/backend/cuda/kernels/linear.h"

namespace longship::cuda {

/// What the rows of one group are multiplied with; in memory of the device.
struct GroupedWeight {
  const std::byte* data = nullptr;  ///< Null: nothing.
  const LinearRun* runs = nullptr;  ///< Of the device.
  int64_t row_block_bytes = 0;
  int32_t run_count = 0;
  int32_t rows = 0;
  int32_t columns = 0;
  float scale = 1.0F;
  WeightLayout layout = WeightLayout::kF32;
};

/// Products of rows at `places`, each of a group or of none. What differs from step to step stands in memory of the
/// device.
struct GroupedLinearArguments {
  const float* x = nullptr;
  int x_columns = 0;                ///< From row to row.
  const int32_t* x_rows = nullptr;  ///< The row of x at each place; null: as many as places, in order.
  const int32_t* groups = nullptr;  ///< Of each place; negative: none.
  int places = 0;
  const GroupedWeight* weights = nullptr;  ///< By group.
  int most_runs = 0;                       ///< Of a weight.
  int most_rows = 0;
  int depth = 1;
  float* out = nullptr;  ///< [nodes, places, out_columns], or what is added to
  int nodes = 0;
  int out_columns = 0;
  bool clears = false;                ///< `out` where no weight has rows.
  const int32_t* out_rows = nullptr;  ///< The row of `out` to which each place adds scale times its sum; null: written.
};

/// See Kernels::grouped_linear and grouped_linear_add: one launch for weights of plain layouts, and one for each other
/// layout; bit l of `layouts` says that there are weights of layout l. The bits are those of launch_linear() for the
/// group's weight alone, times its scale in f32 where rows are added to.
void launch_grouped_linear(GroupedLinearArguments arguments, unsigned layouts, StreamHandle stream);
/// Those of one layout of blocks.
void launch_grouped_blocks(WeightLayout layout, const GroupedLinearArguments& task, StreamHandle stream);

}  // namespace longship::cuda
