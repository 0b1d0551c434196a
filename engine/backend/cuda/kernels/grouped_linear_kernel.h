#pragma once

// A block has some outputs and some places. It goes from group to group among these: most often there is but one. How
// activations are staged is not shared with linear_kernel(), which has no registers left for a common form of that.

#include "engine/backend/cuda/kernels/grouped_linear.h"
#include "engine/backend/cuda/kernels/linear_kernel.h"

namespace longship::cuda {

/// Places [first, first + count) of a block that are of one group.
struct PlacesOfGroup {
  int first = 0;
  int count = 0;
  int group = -1;
};

__device__ __forceinline__ PlacesOfGroup places_from(const GroupedLinearArguments& task, int first, int end) {
  PlacesOfGroup places{first, 1, task.groups[first]};
  while (first + places.count < end && task.groups[first + places.count] == places.group) {
    ++places.count;
  }
  return places;
}

/// Four columns of a row of activations, from `column` on; zero from `end` on. `whole`: rows and runs begin at
/// multiples of 16 bytes.
__device__ __forceinline__ float4 load_activations(const float* row, int column, int end, bool whole) {
  float4 values = make_float4(0, 0, 0, 0);
  const float* x = row + column;
  if (whole && column + 4 <= end) {
    values = *reinterpret_cast<const float4*>(x);
  } else {
    values.x = column < end ? x[0] : 0.0F;
    values.y = column + 1 < end ? x[1] : 0.0F;
    values.z = column + 2 < end ? x[2] : 0.0F;
    values.w = column + 3 < end ? x[3] : 0.0F;
  }
  return values;
}

__device__ __forceinline__ LinearRows rows_of_weight(const GroupedWeight& weight, int first_row, int row) {
  LinearRows found;
  found.part = {weight.data, weight.rows, 0};
  found.first_row = first_row;
  const auto* data = reinterpret_cast<const unsigned char*>(weight.data);
  const int first = first_row / kRowBlock;
  const int last = (weight.rows - 1) / kRowBlock;
#pragma unroll
  for (int r = 0; r < kLinearRowBlocks; ++r) {
    const int block = first + r < last ? first + r : last;  // past the last one it is read again, and nothing written
    found.rows[r] = {data + block * weight.row_block_bytes, row, weight.columns};
  }
  return found;
}

__device__ __forceinline__ float* node_of_place(const GroupedLinearArguments& task, int node, int place) {
  return task.out + (static_cast<int64_t>(node) * task.places + place) * task.out_columns;
}

template <class Format, int T>
__device__ __forceinline__ void multiply_group(const GroupedLinearArguments& task, const GroupedWeight& weight,
                                               const PlacesOfGroup& places, int first_row,
                                               const LinearMemory<T>& memory) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  LinearRows where = rows_of_weight(weight, first_row, row_of_lane<Format>(lane));
  const auto stage = [&](const LinearRun& run, Shared<float4> x) {
    const bool whole = task.x_columns % 4 == 0 && run.begin % 4 == 0;
    for (int t = 0; t < T; ++t) {
      float4 values = make_float4(0, 0, 0, 0);
      if (t < places.count) {
        const int row = task.x_rows != nullptr ? task.x_rows[places.first + t] : places.first + t;
        values =
            load_activations(task.x + static_cast<int64_t>(row) * task.x_columns, run.begin + 4 * lane, run.end, whole);
      }
      x[t * kTokenStride + staged_at<Format>(lane)] = values;
    }
  };
  const auto write = [&](int node, int o, float sum) {
    const int row = row_of_output<T>(first_row, o);
    const int place = places.first + token_of_output<T>(o);
    if (row >= weight.rows || token_of_output<T>(o) >= places.count) {
      return;
    }
    if (task.out_rows == nullptr) {
      node_of_place(task, node, place)[row] = sum;
    } else {
      float* out = task.out + static_cast<int64_t>(task.out_rows[place]) * task.out_columns + row;
      *out = fmaf(weight.scale, sum, *out);
    }
  };
  add_up_runs<Format, T>(where, weight.runs, weight.run_count, memory, stage, write);
}

/// Zeros in the outputs of a block from row `end` of the weight on.
__device__ __forceinline__ void clear_rows(const GroupedLinearArguments& task, const PlacesOfGroup& places,
                                           int first_row, int end) {
  const int count = task.nodes * places.count * kTileRows;
  for (int i = static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(blockDim.x)) {
    const int row = first_row + i % kTileRows;
    const int place = places.first + i / kTileRows % places.count;
    if (row >= end && row < task.out_columns) {
      node_of_place(task, i / kTileRows / places.count, place)[row] = 0.0F;
    }
  }
}

/// The groups of a block one after the other: multiply(weight, places, first_row, memory) takes those whose weights
/// takes(layout) says it can.
template <int T, class Takes, class Multiply>
__device__ __forceinline__ void each_group(const GroupedLinearArguments& task, Takes takes, Multiply multiply) {
  SharedMemory shared;
  const LinearMemory<T> memory(shared, static_cast<int>(blockDim.x) / kWarp, static_cast<int>(threadIdx.x) / kWarp,
                               task.depth);
  const int first_row = static_cast<int>(blockIdx.y) * kTileRows;
  const int first = static_cast<int>(blockIdx.x) * T;
  const int end = first + T < task.places ? first + T : task.places;
  for (int place = first; place < end;) {
    const PlacesOfGroup places = places_from(task, place, end);
    place += places.count;
    const GroupedWeight weight = places.group < 0 ? GroupedWeight() : task.weights[places.group];
    const int rows = weight.data == nullptr ? 0 : weight.rows;
    if (task.clears) {
      clear_rows(task, places, first_row, rows);
    }
    if (first_row >= rows || !takes(weight.layout)) {
      continue;
    }
    multiply(weight, places, first_row, memory);
    __syncthreads();  // the next group writes the same memory
  }
}

template <int T>
LaunchShape grouped_shape(const GroupedLinearArguments& task, StreamHandle stream) {
  const int warps = task.most_runs < 1 ? 1 : (task.most_runs < kLinearWarps ? task.most_runs : kLinearWarps);
  const int rows = task.out_rows == nullptr ? task.out_columns : task.most_rows;
  return {.grid = {static_cast<unsigned>((task.places + T - 1) / T),
                   static_cast<unsigned>((rows + kTileRows - 1) / kTileRows)},
          .block = {static_cast<unsigned>(warps * kWarp)},
          .shared_bytes = LinearMemory<T>::bytes(warps, task.depth),
          .stream = stream};
}

// Few places are mostly of as many groups, and a block reads its weights once for each. More than 8 would take
// registers of which the values of three types leave too few.
inline constexpr int kFewPlaces = 64;

}  // namespace longship::cuda
