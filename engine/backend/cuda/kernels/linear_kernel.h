#pragma once

// Products of a few tokens with a packed weight. A block has some row blocks of the weight and some tokens; its warps
// take runs of columns in turn. After each round of runs the sums of the warps are added in the order of the program.

#include "cuda/launch.h"
#include "engine/backend/cuda/kernels/math.h"
#include "engine/backend/cuda/kernels/weight_formats.h"

namespace longship::cuda {

inline constexpr int kLinearWarps = 8;
/// Row blocks of a block of threads.
inline constexpr int kLinearRowBlocks = 2;
inline constexpr int kTileRows = kLinearRowBlocks * kRowBlock;
/// Classes of columns of a run: lane / 8; and float4s of the activations of 32 columns, with one more so that the four
/// classes read different banks.
inline constexpr int kClassStride = kBlockColumns / 4 + 1;
inline constexpr int kTokenStride = kRunClasses * kClassStride;

/// Outputs of a block: [row block][token][row].
template <int T>
constexpr int kLinearOutputs = kLinearRowBlocks* T* kRowBlock;

/// The row of a row block that is a lane's, and which of the four lanes that share it. Lanes side by side read memory
/// side by side.
template <class Format>
__device__ __forceinline__ int row_of_lane(int lane) {
  return Format::kInterleaved ? lane / kRunClasses : lane % kRowBlock;
}
template <class Format>
__device__ __forceinline__ int class_of_lane(int lane) {
  return Format::kInterleaved ? lane % kRunClasses : lane / kRowBlock;
}

/// Row blocks that a block of threads works on.
struct LinearRows {
  PackedRow rows[kLinearRowBlocks];
  LinearPart part;
  int first_row = 0;  ///< Of the part.
};

/// The same row block of gate and of up.
__device__ __forceinline__ LinearRows gated_rows_of_block(const LinearArguments& task, int tile, int row) {
  static_assert(kLinearRowBlocks == 2);
  LinearRows found;
  found.part = task.parts[0];
  found.first_row = tile * kRowBlock;
  const int64_t first = tile * task.row_block_bytes;
  found.rows[0] = {reinterpret_cast<const unsigned char*>(task.parts[0].data) + first, row, task.columns};
  found.rows[1] = {reinterpret_cast<const unsigned char*>(task.parts[1].data) + first, row, task.columns};
  return found;
}

template <int T>
__device__ __forceinline__ LinearRows rows_of_block(const LinearArguments& task, int tile, int row) {
  if constexpr (T <= kMostGatedTokens) {
    if (task.gated) {
      return gated_rows_of_block(task, tile, row);
    }
  }
  LinearRows found;
  bool searching = true;
#pragma unroll
  for (int i = 0; i < kMaxLinearParts; ++i) {  // unrolled, so that the arguments are not indexed
    const int tiles = (task.parts[i].rows + kTileRows - 1) / kTileRows;
    if (searching && tile < tiles) {
      found.part = task.parts[i];
      found.first_row = tile * kTileRows;
      searching = false;
    }
    tile -= tiles;
  }
  const auto* data = reinterpret_cast<const unsigned char*>(found.part.data);
  const int first = found.first_row / kRowBlock;
  const int last = (found.part.rows - 1) / kRowBlock;
#pragma unroll
  for (int r = 0; r < kLinearRowBlocks; ++r) {
    const int block = first + r < last ? first + r : last;  // past the last one it is read again, and nothing written
    found.rows[r] = {data + block * task.row_block_bytes, row, task.columns};
  }
  return found;
}

/// Where the four values from column 4 `four` of a run stand: those of a lane side by side, in the order in which it
/// adds them up.
template <class Format>
__device__ __forceinline__ int staged_at(int four) {
  if constexpr (Format::kInterleaved) {
    constexpr int kFours = Format::kPiece / 4;
    const int piece = four / kFours;
    return piece % kRunClasses * kClassStride + piece / kRunClasses * kFours + four % kFours;
  } else {
    return four / 8 * kClassStride + four % 8;
  }
}

/// Activations of the run's columns to shared memory; zero behind its end and behind the last token.
template <class Format, int T>
__device__ __forceinline__ void stage_activations(const LinearArguments& task, const LinearRun& run, int token,
                                                  int lane, Shared<float4> staged) {
  const int column = run.begin + 4 * lane;
  const bool whole = column + 4 <= run.end && task.columns % 4 == 0 && run.begin % 4 == 0;
  for (int t = 0; t < T; ++t) {
    float4 values = make_float4(0, 0, 0, 0);
    if (token + t < task.tokens) {
      const float* x = task.x + static_cast<int64_t>(token + t) * task.columns + column;
      if (whole) {
        values = *reinterpret_cast<const float4*>(x);
      } else {
        values.x = column < run.end ? x[0] : 0.0F;
        values.y = column + 1 < run.end ? x[1] : 0.0F;
        values.z = column + 2 < run.end ? x[2] : 0.0F;
        values.w = column + 3 < run.end ? x[3] : 0.0F;
      }
    }
    staged[t * kTokenStride + staged_at<Format>(lane)] = values;
  }
}

template <int T>
struct LaneSums {
  float values[kLinearRowBlocks][T];
};

/// A lane's 32 columns in order, where all are there, or those before `end` where it has pieces.
template <class Format, int T>
__device__ __forceinline__ void add_block(const LinearRows& where, int column, int end, Shared<float4> x,
                                          LaneSums<T>& sums) {
  typename Format::Raw raw[kLinearRowBlocks];
#pragma unroll
  for (int r = 0; r < kLinearRowBlocks; ++r) {
    if constexpr (Format::kInterleaved) {
      Format::load(where.rows[r], column, end, raw[r]);
    } else {
      Format::load(where.rows[r], column, raw[r]);
    }
  }
#pragma unroll
  for (int eighth = 0; eighth < kBlockColumns / 8; ++eighth) {
    float weights[kLinearRowBlocks][8];
#pragma unroll
    for (int r = 0; r < kLinearRowBlocks; ++r) {
      Format::columns(raw[r], eighth, weights[r]);
    }
#pragma unroll
    for (int t = 0; t < T; ++t) {
      const float4 low = x[t * kTokenStride + 2 * eighth];
      const float4 high = x[t * kTokenStride + 2 * eighth + 1];
      const float values[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
      for (int r = 0; r < kLinearRowBlocks; ++r) {
#pragma unroll
        for (int i = 0; i < 8; ++i) {
          sums.values[r][t] = fmaf(weights[r][i], values[i], sums.values[r][t]);
        }
      }
    }
  }
}

/// The same for fewer columns, or columns that do not begin with a piece.
template <class Format, int T>
__device__ __forceinline__ void add_columns(const LinearRows& where, int column, int end, Shared<float4> x,
                                            LaneSums<T>& sums) {
  for (int i = 0; i < kBlockColumns; ++i) {
    const int own = Format::own_column(column, i);
    if (own >= end) {
      return;
    }
    float weights[kLinearRowBlocks];
#pragma unroll
    for (int r = 0; r < kLinearRowBlocks; ++r) {
      weights[r] = Format::column(where.rows[r], own);
    }
#pragma unroll
    for (int t = 0; t < T; ++t) {
      const float4 four = x[t * kTokenStride + i / 4];
      const float value = i % 4 == 0 ? four.x : (i % 4 == 1 ? four.y : (i % 4 == 2 ? four.z : four.w));
#pragma unroll
      for (int r = 0; r < kLinearRowBlocks; ++r) {
        sums.values[r][t] = fmaf(weights[r], value, sums.values[r][t]);
      }
    }
  }
}

/// The sums of a run to `out` [row block][token][row].
template <class Format, int T>
__device__ __forceinline__ void sum_run(const LinearRows& where, const LinearRun& run, int lane, Shared<float4> x,
                                        Shared<float> out) {
  LaneSums<T> sums = {};
  const int column_class = class_of_lane<Format>(lane);
  constexpr int kNextClass = Format::kInterleaved ? 1 : kRowBlock;
  const int column = run.begin + column_class * (Format::kInterleaved ? Format::kPiece : kBlockColumns);
  const Shared<float4> own = x + column_class * kClassStride;
  const bool whole = Format::kInterleaved ? run.end % Format::kPiece == 0 : run.end - column >= kBlockColumns;
  if (whole && column % Format::kPiece == 0 && Format::whole(where.rows[0], column)) {
    add_block<Format, T>(where, column, run.end, own, sums);
  } else if constexpr (Format::kAnyColumn) {
    add_columns<Format, T>(where, column, run.end, own, sums);
  }
#pragma unroll
  for (int r = 0; r < kLinearRowBlocks; ++r) {
#pragma unroll
    for (int t = 0; t < T; ++t) {
      float sum = sums.values[r][t];
      sum = sum + __shfl_xor_sync(kFullMask, sum, kNextClass);
      sum = sum + __shfl_xor_sync(kFullMask, sum, 2 * kNextClass);
      if ((r * T + t) % kRunClasses == column_class) {
        out[(r * T + t) * kRowBlock + row_of_lane<Format>(lane)] = sum;
      }
    }
  }
}

/// Adds the runs of a round to the sums of the block's outputs, some of which may be unmerged, as the program has it.
/// Threads own outputs. write(node, output, sum) gets the finished ones.
template <int T, class Write>
class Combiner {
 public:
  __device__ Combiner(Shared<float> sums, Write write) : sums_(sums), write_(write) {}

  __device__ __forceinline__ void add(const LinearRun& run, Shared<float> partial) {
    count_ += run.begins_group ? 1 : 0;
    for (int o = threadIdx.x; o < kLinearOutputs<T>; o += blockDim.x) {
      const Shared<float> top = sums_ + (count_ - 1) * kLinearOutputs<T> + o;
      float sum = run.begins_group ? partial[o] : top[0] + partial[o];
      for (int i = 1; i <= run.merges; ++i) {
        sum = sums_[(count_ - 1 - i) * kLinearOutputs<T> + o] + sum;
      }
      sums_[(count_ - 1 - run.merges) * kLinearOutputs<T> + o] = sum;
      if (run.ends_node) {
        write_(node_, o, sum);
      }
    }
    count_ -= run.merges + (run.ends_node ? 1 : 0);
    node_ += run.ends_node ? 1 : 0;
  }

 private:
  Shared<float> sums_;
  Write write_;
  int count_ = 0;
  int node_ = 0;
};

/// The row of its part and the token of the block that an output is for.
template <int T>
__device__ __forceinline__ int row_of_output(int first_row, int o) {
  return first_row + o / (T * kRowBlock) * kRowBlock + o % kRowBlock;
}
template <int T>
__device__ __forceinline__ int token_of_output(int o) {
  return o / kRowBlock % T;
}

/// Shared memory of a block: staged activations of this warp, sums of two rounds, unmerged sums.
template <int T>
struct LinearMemory {
  Shared<float4> x;
  Shared<float> partials;
  Shared<float> sums;

  __device__ LinearMemory(SharedMemory& memory, int warps, int warp, int depth)
      : x(memory.take<float4>(warps * T * kTokenStride) + warp * T * kTokenStride),
        partials(memory.take<float>(2 * warps * kLinearOutputs<T>)),
        sums(memory.take<float>(depth * kLinearOutputs<T>)) {}

  static std::size_t bytes(int warps, int depth) {
    const auto count = static_cast<std::size_t>(warps);
    return shared_bytes<float4>(count * T * kTokenStride) + shared_bytes<float>(2 * count * kLinearOutputs<T>) +
           shared_bytes<float>(static_cast<std::size_t>(depth) * kLinearOutputs<T>);
  }
};

/// The sums of all runs of a block's rows. stage(run, x) puts the activations of a run's columns to shared memory.
template <class Format, int T, class Stage, class Write>
__device__ __forceinline__ void add_up_runs(LinearRows& where, const LinearRun* runs, int run_count,
                                            const LinearMemory<T>& memory, Stage stage, Write write) {
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
#pragma unroll
  for (int r = 0; r < kLinearRowBlocks; ++r) {
    Format::prepare(where.rows[r]);
  }
  Combiner<T, Write> combiner(memory.sums, write);
  for (int first = 0, buffer = 0; first < run_count; first += warps, buffer ^= 1) {
    // Two buffers: while a slow warp still adds up one round, others write the next.
    const Shared<float> round = memory.partials + buffer * warps * kLinearOutputs<T>;
    if (first + warp < run_count) {
      const LinearRun run = runs[first + warp];
      __syncwarp(kFullMask);
      stage(run, memory.x);
      __syncwarp(kFullMask);
      sum_run<Format, T>(where, run, lane, memory.x, round + warp * kLinearOutputs<T>);
    }
    __syncthreads();
    for (int i = 0; i < warps && first + i < run_count; ++i) {
      combiner.add(runs[first + i], round + i * kLinearOutputs<T>);
    }
  }
}

/// An output of a block that has rows `where` and tokens from `token` on.
template <int T>
__device__ __forceinline__ void write_output(const LinearArguments& task, const LinearRows& where, int token, int node,
                                             int o, float sum) {
  const int row = row_of_output<T>(where.first_row, o);
  const int own = token + token_of_output<T>(o);
  if (row < where.part.rows && own < task.tokens) {
    task.nodes[(static_cast<int64_t>(node) * task.tokens + own) * task.outputs + where.part.first_output + row] = sum;
  }
}

/// silu(gate) * up of the finished node, which is the only one.
template <int T>
__device__ __forceinline__ void write_gated(const LinearArguments& task, const LinearRows& where, int token,
                                            Shared<float> sums) {
  __syncthreads();
  for (int o = threadIdx.x; o < kLinearOutputs<T> / kLinearRowBlocks; o += blockDim.x) {
    const float gate = sums[o];
    const float up = sums[o + T * kRowBlock];
    write_output<T>(task, where, token, 0, o, times_logistic(gate, gate) * up);
  }
}

/// Blocks of threads that a multiprocessor's registers should hold; those of many tokens and values of three parts
/// would spill.
template <class Format, int T>
constexpr int kLinearBlocks = Format::kManyParts&& T >= 8 ? 1 : 2;

template <class Format, int T>
__global__ void __launch_bounds__(kLinearWarps* kWarp, kLinearBlocks<Format, T>)
    linear_kernel(const LinearArguments task) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int token = static_cast<int>(blockIdx.x) * T;
  SharedMemory shared;
  const LinearMemory<T> memory(shared, static_cast<int>(blockDim.x) / kWarp, static_cast<int>(threadIdx.x) / kWarp,
                               task.depth);
  LinearRows where = rows_of_block<T>(task, static_cast<int>(blockIdx.y), row_of_lane<Format>(lane));
  const auto stage = [&](const LinearRun& run, Shared<float4> x) {
    stage_activations<Format, T>(task, run, token, lane, x);
  };
  const auto write = [&](int node, int o, float sum) {
    if (!(T <= kMostGatedTokens && task.gated)) {
      write_output<T>(task, where, token, node, o, sum);
    }
  };
  add_up_runs<Format, T>(where, task.runs, task.run_count, memory, stage, write);
  if constexpr (T <= kMostGatedTokens) {
    if (task.gated) {
      write_gated<T>(task, where, token, memory.sums);
    }
  }
}

template <class Format, int T>
void launch_tokens(const LinearArguments& task, StreamHandle stream) {
  const int warps = task.run_count < kLinearWarps ? task.run_count : kLinearWarps;
  unsigned tiles = 0;
  for (int part = 0; part < task.part_count && !task.gated; ++part) {
    tiles += static_cast<unsigned>((task.parts[part].rows + kTileRows - 1) / kTileRows);
  }
  if (task.gated) {
    tiles = static_cast<unsigned>((task.outputs + kRowBlock - 1) / kRowBlock);
  }
  const LaunchShape shape{.grid = {static_cast<unsigned>((task.tokens + T - 1) / T), tiles},
                          .block = {static_cast<unsigned>(warps * kWarp)},
                          .shared_bytes = LinearMemory<T>::bytes(warps, task.depth),
                          .stream = stream};
  launch(linear_kernel<Format, T>, "linear", shape, task);
}

/// Up to 16 tokens at a time.
template <class Format>
void launch_format(const LinearArguments& task, StreamHandle stream) {
  if (task.tokens == 1) {
    launch_tokens<Format, 1>(task, stream);
  } else if (task.tokens == 2) {
    launch_tokens<Format, 2>(task, stream);
  } else if (task.tokens <= 4) {
    launch_tokens<Format, 4>(task, stream);
  } else if (task.tokens <= 8) {
    launch_tokens<Format, 8>(task, stream);
  } else {
    launch_tokens<Format, 16>(task, stream);
  }
}

}  // namespace longship::cuda
