#pragma once

// Products of few tokens with a packed weight on tensor cores, at the speed of memory: the weight is the left operand
// of mma, tokens are the columns of the right one. Of a block's warps each has 16 rows and a share of the columns. It
// copies its stages of the weight to shared memory, several ahead, and multiplies them there; activations go there
// too, shared by the warps of the same columns. The shares are added at the end.

#include <type_traits>

#include "cuda/launch.h"
#include "engine/backend/cuda/kernels/math.h"
#include "engine/backend/cuda/kernels/tensor_activations.h"
#include "engine/backend/cuda/kernels/tensor_linear.h"
#include "engine/backend/cuda/kernels/tensor_weights.h"

namespace longship::cuda {

/// How a block divides its work.
template <int kTokensAtOnce, bool kTwoTerms, bool kConverted, int kRowWarpCount, int kColumnWarpCount,
          int kRowTileCount, int kWindowCount, int kDepth, int kBlockCount>
struct TensorShape {
  static constexpr int kTokens = kTokensAtOnce;
  /// Activations are the sum of two bf16, in columns 2 i and 2 i + 1 for token i.
  static constexpr bool kSplit = kTwoTerms;
  /// Activations are converted by a kernel before.
  static constexpr bool kPrepared = kConverted;
  static constexpr int kRowWarps = kRowWarpCount;
  static constexpr int kColumnWarps = kColumnWarpCount;
  static constexpr int kRowTiles = kRowTileCount;  ///< Of 16 rows, of a warp.
  static constexpr int kWindows = kWindowCount;    ///< Blocks of 32 columns of a stage.
  static constexpr int kStages = kDepth;
  static constexpr int kBlocks = kBlockCount;  ///< Of a multiprocessor.

  static constexpr int kThreads = kRowWarps * kColumnWarps * kWarp;
  static constexpr int kColumns = kTokens * (kSplit ? 2 : 1);  ///< Of the right operand.
  static constexpr int kTiles = (kColumns + 7) / 8;
  static constexpr int kBlockTiles = kRowWarps * kRowTiles;
  /// Blocks of 32 columns whose loads and products may be interleaved: what keeps tensor cores busy without spills.
  static constexpr int kUnroll = kTiles * kRowTiles >= 16 ? 1 : (kTiles * kRowTiles >= 8 ? 2 : kWindows);
  static constexpr int kLanes = kTiles == 1 ? 4 * kColumns : kWarp;  ///< That have part of a right operand.
};

/// Pieces of 16 bytes in a stage of a warp: integers of each row block, then higher bits and scales of each.
template <class W, class S>
struct StageLayout {
  static constexpr int kWindows = S::kWindows;
  static constexpr int kRowBlocks = 2 * S::kRowTiles;
  static constexpr int kScaleBytes = W::kFp8 ? (kWindows / 4 + 1) * 32 : kWindows * W::kScaleBytes;
  static constexpr int kIntegers = kWindows * W::kIntegerBytes / kPieceBytes;  ///< Of a row block, as the next.
  static constexpr int kHigh = kWindows * W::kHighBytes / kPieceBytes;
  static constexpr int kSmall = kHigh + kScaleBytes / kPieceBytes;
  static constexpr int kPieces = kRowBlocks * (kIntegers + kSmall);
  static_assert(kIntegers % kWarp == 0);
  static constexpr int kSmallCopies = (kRowBlocks * kSmall + kWarp - 1) / kWarp;
};

/// The two row blocks of a warp.
struct TensorRows {
  const unsigned char* blocks[2];
  LinearPart part;
  int first_row = 0;  ///< Of the part; past its end for a warp without rows.
};

__device__ __forceinline__ TensorRows tensor_rows(const TensorLinearArguments& task, int tile) {
  TensorRows found;
  found.part = task.parts[0];
  if (task.gated) {
    found.first_row = tile * kRowBlock;
    const int64_t at = min(tile, (found.part.rows - 1) / kRowBlock) * task.row_block_bytes;
    found.blocks[0] = reinterpret_cast<const unsigned char*>(task.parts[0].data) + at;
    found.blocks[1] = reinterpret_cast<const unsigned char*>(task.parts[1].data) + at;
    return found;
  }
  found.first_row = found.part.rows;
  bool searching = true;
#pragma unroll
  for (int i = 0; i < kMaxLinearParts; ++i) {  // unrolled, so that the arguments are not indexed
    const int tiles = (task.parts[i].rows + kOperandRows - 1) / kOperandRows;
    if (searching && tile < tiles) {
      found.part = task.parts[i];
      found.first_row = tile * kOperandRows;
      searching = false;
    }
    tile -= tiles;
  }
  const auto* data = reinterpret_cast<const unsigned char*>(found.part.data);
  const int last = (found.part.rows - 1) / kRowBlock;
#pragma unroll
  for (int block = 0; block < 2; ++block) {  // past the last one it is read again, and nothing written
    found.blocks[block] = data + min(found.first_row / kRowBlock + block, last) * task.row_block_bytes;
  }
  return found;
}

/// A warp's stages of the weight.
template <class W, class S>
class WeightStages {
 public:
  using Layout = StageLayout<W, S>;

  /// The tiles from `first_tile` on.
  __device__ WeightStages(const TensorLinearArguments& task, int first_tile, int first_window, int end_window,
                          Shared<uint4> memory)
      : first_window_(first_window),
        end_window_(end_window),
        row_bytes_(task.row_block_bytes / kRowBlock),
        memory_(memory) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int64_t windows = task.columns / kBlockColumns;
    const unsigned char* blocks[Layout::kRowBlocks];
#pragma unroll
    for (int tile = 0; tile < S::kRowTiles; ++tile) {
      const TensorRows rows = tensor_rows(task, first_tile + tile);
      blocks[2 * tile] = rows.blocks[0];
      blocks[2 * tile + 1] = rows.blocks[1];
    }
#pragma unroll
    for (int block = 0; block < Layout::kRowBlocks; ++block) {
      integers_[block] = blocks[block] + first_piece(row_bytes_, first_window, lane);
    }
    if constexpr (W::kFp8) {
      skip_ = *reinterpret_cast<const int*>(blocks[0] + windows * W::kIntegerBytes);
      scale_rows_ = task.columns / kFp8ScaleColumns + 2;
    }
#pragma unroll
    for (int copy = 0; copy < Layout::kSmallCopies; ++copy) {
      const int piece = copy * kWarp + lane;
      const int q = piece % kSmall;
      const unsigned char* high = blocks[0];
#pragma unroll
      for (int block = 1; block < Layout::kRowBlocks; ++block) {
        high = piece / kSmall == block ? blocks[block] : high;
      }
      high += windows * W::kIntegerBytes;
      if constexpr (W::kFp8) {
        small_[copy] = high + kPieceBytes + q * kPieceBytes;
      } else if (q < Layout::kHigh) {
        small_[copy] = high + static_cast<int64_t>(first_window) * W::kHighBytes + q * kPieceBytes;
      } else {
        small_[copy] = high + windows * W::kHighBytes + static_cast<int64_t>(first_window) * W::kScaleBytes +
                       (q - Layout::kHigh) * kPieceBytes;
      }
    }
  }

  __device__ __forceinline__ Shared<uint4> stage(int i) const {
    return memory_ + i % S::kStages * Layout::kPieces;
  }

  /// Starts to copy stage i; zeros behind the last column.
  __device__ __forceinline__ void copy(int i) const {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int left = end_window_ - first_window_ - i * S::kWindows;
    const Shared<uint4> to = stage(i);
#pragma unroll
    for (int block = 0; block < Layout::kRowBlocks; ++block) {
      const unsigned char* from = integers_[block] + static_cast<int64_t>(i) * (S::kWindows * kWindowBytes);
#pragma unroll
      for (int j = 0; j < Layout::kIntegers / kWarp; ++j) {
        const int piece = j * kWarp + lane;
        if constexpr (W::kPlain) {
          const int row = piece / kStagePieces;
          const int in_row = piece % kStagePieces;
          cp_async_16(to + (block * Layout::kIntegers + row * kStagePieces + (in_row ^ row)),
                      from + j * (kWarp / kStagePieces) * row_bytes_, in_row / kRowPieces < left);
        } else {
          cp_async_16(to + (block * Layout::kIntegers + piece), from + j * kWarp * kPieceBytes,
                      piece * kPieceBytes / W::kIntegerBytes < left);
        }
      }
    }
#pragma unroll
    for (int copy = 0; copy < Layout::kSmallCopies; ++copy) {
      const int piece = copy * kWarp + lane;
      if (Layout::kRowBlocks * Layout::kSmall % kWarp == 0 || piece < Layout::kRowBlocks * Layout::kSmall) {
        copy_small(i, copy, piece % kSmall, left, to + (Layout::kRowBlocks * Layout::kIntegers + piece));
      }
    }
  }

  /// Columns that the first scale of stage i of kFp8 is not for.
  __device__ __forceinline__ int scale_skip(int i) const {
    return ((first_window_ + i * S::kWindows) * kBlockColumns + skip_) % kFp8ScaleColumns;
  }

 private:
  // Rows of plain types lie one behind the other: lanes copy pieces of a stage's columns side by side. Piece p of row r
  // goes to place p ^ r of its row, so that those below each other lie in different banks.
  static constexpr int kRowPieces = kBlockColumns * 2 / kPieceBytes;
  static constexpr int kStagePieces = S::kWindows * kRowPieces;  ///< Of a row.
  static constexpr int kWindowBytes = W::kPlain ? kRowPieces * kPieceBytes : W::kIntegerBytes;
  static_assert(!W::kPlain || (kStagePieces >= kRowBlock && kStagePieces <= kWarp));

  static __device__ __forceinline__ int64_t first_piece(int64_t row_bytes, int window, int lane) {
    const int64_t in_row = W::kPlain ? lane % kStagePieces : lane;
    const int64_t row = W::kPlain ? lane / kStagePieces * row_bytes : 0;
    return row + static_cast<int64_t>(window) * kWindowBytes + in_row * kPieceBytes;
  }

  __device__ __forceinline__ void copy_small(int i, int copy, int q, int left, Shared<uint4> to) const {
    if constexpr (W::kFp8) {
      const int first = ((first_window_ + i * S::kWindows) * kBlockColumns + skip_) / kFp8ScaleColumns;
      cp_async_16(to, small_[copy] + static_cast<int64_t>(first) * 32, first + q / 2 < scale_rows_);
    } else {
      constexpr int kHighBytes = W::kHighBytes == 0 ? 1 : W::kHighBytes;
      constexpr int kScaleBytes = W::kScaleBytes == 0 ? 1 : W::kScaleBytes;
      const bool high = q < Layout::kHigh;
      const int window = high ? q * kPieceBytes / kHighBytes : (q - Layout::kHigh) * kPieceBytes / kScaleBytes;
      const int stride = high ? S::kWindows * kHighBytes : S::kWindows * kScaleBytes;
      cp_async_16(to, small_[copy] + static_cast<int64_t>(i) * stride, window < left);
    }
  }

  static constexpr int kSmall = Layout::kSmall == 0 ? 1 : Layout::kSmall;  // to divide by

  int first_window_;
  int end_window_;
  int64_t row_bytes_;  ///< Of plain types.
  Shared<uint4> memory_;
  const unsigned char* integers_[Layout::kRowBlocks];
  const unsigned char* small_[Layout::kSmallCopies == 0 ? 1 : Layout::kSmallCopies];
  int skip_ = 0;
  int scale_rows_ = 0;
};

template <class W, class S>
using Operands = std::conditional_t<S::kPrepared, CopiedOperands<W, S>, ConvertedOperands<W, S>>;

/// A warp's sums: rows g and g + 8, columns 2 t and 2 t + 1 of each tile.
template <class S>
struct TensorSums {
  float tiles[S::kRowTiles][S::kTiles][4];
};

/// A right operand of kFp8 without its columns in front of `begin` and from `end` on, of 32.
template <class W>
__device__ __forceinline__ uint4 only_columns(uint4 piece, int begin, int end) {
  const int first = static_cast<int>(threadIdx.x) % 4 * 8;
  uint32_t words[4] = {piece.x, piece.y, piece.z, piece.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int low = first + OperandOrder<W::kOrder>::low_of(i);
    const int high = first + OperandOrder<W::kOrder>::high_of(i);
    words[i] &= (low >= begin && low < end ? 0xFFFFU : 0U) | (high >= begin && high < end ? 0xFFFF0000U : 0U);
  }
  return make_uint4(words[0], words[1], words[2], words[3]);
}

/// A lane's part of 16 rows and 32 columns, ready to be multiplied.
template <class W>
struct PreparedWeights {
  typename W::Operand left;
  typename W::Scales scales;
  float next_scale[2];  ///< Of kFp8, for the columns from `cut` on.
  int cut;
};

/// Adds 32 columns that have the same scale.
template <class W>
__device__ __forceinline__ void add_scaled(const typename W::Operand& left, uint4 piece, const float (&scale)[2],
                                           float (&sum)[4]) {
  const uint32_t right[2][2] = {{piece.x, piece.y}, {piece.z, piece.w}};
  float part[4] = {};
  mma_m16n8k16_bf16(part, left.steps[0][0], right[0]);
  mma_m16n8k16_bf16(part, left.steps[0][1], right[1]);
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    sum[k] = fmaf(scale[k / 2], part[k], sum[k]);
  }
}

/// Multiplies 16 rows with a tile of columns; `minimum_factor`: sums of the activations where there are minima.
template <class W>
__device__ __forceinline__ void multiply_tile(const PreparedWeights<W>& weights, uint4 piece, float2 minimum_factor,
                                              float (&sum)[4]) {
  const uint32_t right[2][2] = {{piece.x, piece.y}, {piece.z, piece.w}};
  if constexpr (W::kPlain) {
#pragma unroll
    for (int term = 0; term < W::kTerms; ++term) {
      mma_m16n8k16_bf16(sum, weights.left.steps[term][0], right[0]);
      mma_m16n8k16_bf16(sum, weights.left.steps[term][1], right[1]);
    }
  } else if constexpr (W::kSix) {
#pragma unroll
    for (int step = 0; step < 2; ++step) {
      float part[4] = {};
      mma_m16n8k16_bf16(part, weights.left.steps[0][step], right[step]);
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        sum[k] = fmaf(weights.scales.scale[step][k / 2], part[k], sum[k]);
      }
    }
  } else if (W::kFp8 && weights.cut < kBlockColumns) {
    add_scaled<W>(weights.left, only_columns<W>(piece, 0, weights.cut), weights.scales.scale[0], sum);
    add_scaled<W>(weights.left, only_columns<W>(piece, weights.cut, kBlockColumns), weights.next_scale, sum);
  } else {
    add_scaled<W>(weights.left, piece, weights.scales.scale[0], sum);
  }
  if constexpr (W::kMinimum) {
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      sum[k] = fmaf(weights.scales.minimum[k / 2], k % 2 == 0 ? minimum_factor.x : minimum_factor.y, sum[k]);
    }
  }
}

/// A stage of a warp's weights in shared memory.
template <class W, class S>
class WeightStage {
 public:
  /// `skip`: columns that the first scale of kFp8 is not for.
  __device__ WeightStage(Shared<uint4> memory, int skip)
      : integers_(shared_cast<uint32_t>(memory)),
        small_(integers_ + Layout::kRowBlocks * Layout::kIntegers * 4),
        skip_(skip) {}

  __device__ __forceinline__ void prepare(int tile, int window, PreparedWeights<W>& out) const {
    constexpr int kIntegerStride = Layout::kIntegers * 4;
    constexpr int kSmallStride = Layout::kSmall * 4;
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const Shared<uint32_t> small = small_ + 2 * tile * kSmallStride;
    W::load(integers_ + 2 * tile * kIntegerStride, kIntegerStride, small, kSmallStride, window, lane, out.left);
    if constexpr (W::kFp8) {
      const int column = skip_ + window * kBlockColumns;
      const int index = column / kFp8ScaleColumns * kRowBlock + lane / 4;
      out.cut = kFp8ScaleColumns - column % kFp8ScaleColumns;
#pragma unroll
      for (int block = 0; block < 2; ++block) {
        const Shared<float> scales = shared_cast<float>(small) + (block * kSmallStride + index);
        out.scales.scale[0][block] = scales[0];
        out.next_scale[block] = out.cut < kBlockColumns ? static_cast<float>(scales[kRowBlock]) : 0.0F;
      }
    } else if constexpr (!W::kPlain) {
      W::load_scales(small + Layout::kHigh * 4, kSmallStride, window, lane, out.scales);
    }
  }

 private:
  using Layout = StageLayout<W, S>;

  Shared<uint32_t> integers_;
  Shared<uint32_t> small_;
  int skip_;
};

template <class W, class S>
__device__ __forceinline__ void multiply_stage(const WeightStage<W, S>& stage, const Operands<W, S>& operands, int i,
                                               TensorSums<S>& sums) {
#pragma unroll S::kUnroll
  for (int window = 0; window < S::kWindows; ++window) {
    PreparedWeights<W> weights[S::kRowTiles];
#pragma unroll
    for (int rows = 0; rows < S::kRowTiles; ++rows) {
      stage.prepare(rows, window, weights[rows]);
    }
#pragma unroll
    for (int tile = 0; tile < S::kTiles; ++tile) {
      const uint4 piece = operands.operand(i, window, tile);
      float2 minimum_factor = make_float2(0, 0);
      if constexpr (W::kMinimum) {
        minimum_factor = operands.sums(i, window, tile);
      }
#pragma unroll
      for (int rows = 0; rows < S::kRowTiles; ++rows) {
        multiply_tile<W>(weights[rows], piece, minimum_factor, sums.tiles[rows][tile]);
      }
    }
  }
}

/// Outputs of the block: adds the warps' shares and writes.
template <class S>
class TensorResult {
 public:
  static constexpr int kOutputs = S::kBlockTiles * S::kTokens * kOperandRows;  ///< [tiles of rows][tokens][rows]

  __device__ TensorResult(const TensorLinearArguments& task, int node, Shared<float> shares)
      : task_(task), node_(node), shares_(shares) {}

  __device__ __forceinline__ void keep(const TensorSums<S>& sums, int row_warp, int column_warp) const {
#pragma unroll
    for (int rows = 0; rows < S::kRowTiles; ++rows) {
      const int tile_of_rows = row_warp * S::kRowTiles + rows;
      const Shared<float> to = shares_ + (column_warp * kOutputs + tile_of_rows * S::kTokens * kOperandRows);
#pragma unroll
      for (int tile = 0; tile < S::kTiles; ++tile) {
        keep_tile(sums.tiles[rows][tile], tile, to);
      }
    }
  }

  __device__ __forceinline__ void write(int first_tile) const {
    task_.gated ? write_rows<kRowBlock>(first_tile) : write_rows<kOperandRows>(first_tile);
  }

 private:
  template <int kRows>
  __device__ __forceinline__ void write_rows(int first_tile) const {
    constexpr int kCount = S::kBlockTiles * kRows;
    for (int o = static_cast<int>(threadIdx.x); o < kCount * S::kTokens; o += S::kThreads) {
      const int token = o / kCount;
      const int tile = o % kCount / kRows;
      const int row = o % kRows;
      const TensorRows where = tensor_rows(task_, first_tile + tile);
      const int at = (tile * S::kTokens + token) * kOperandRows + row;
      float value = total(at);
      if constexpr (kRows == kRowBlock) {  // gated
        value = times_logistic(value, value) * total(at + kRowBlock);
      }
      if (where.first_row + row < where.part.rows && token < task_.tokens) {
        task_.nodes[(static_cast<int64_t>(node_) * task_.tokens + token) * task_.outputs + where.part.first_output +
                    where.first_row + row] = value;
      }
    }
  }

  static __device__ __forceinline__ void keep_tile(const float (&sum)[4], int tile, Shared<float> to) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = lane / 4 + half * kRowBlock;
      if constexpr (S::kSplit) {
        const int token = tile * 4 + lane % 4;
        if (S::kTokens % 4 == 0 || token < S::kTokens) {
          to[token * kOperandRows + row] = sum[2 * half] + sum[2 * half + 1];
        }
      } else {
        const int token = tile * 8 + lane % 4 * 2;
        to[token * kOperandRows + row] = sum[2 * half];
        to[(token + 1) * kOperandRows + row] = sum[2 * half + 1];
      }
    }
  }

  __device__ __forceinline__ float total(int at) const {
    float sum = shares_[at];
#pragma unroll
    for (int share = 1; share < S::kColumnWarps; ++share) {
      sum += shares_[share * kOutputs + at];
    }
    return sum;
  }

  const TensorLinearArguments& task_;
  int node_;
  Shared<float> shares_;
};

template <class S>
__device__ __forceinline__ void wait_for_stage() {
  if constexpr (S::kRowWarps == 1) {
    __syncwarp(kFullMask);
  } else {
    __syncthreads();
  }
}

/// The operands of the first stages; makes a group of the copies of each.
template <class S, class Right>
__device__ __forceinline__ void begin_operands(Right& right, int stages) {
#pragma unroll
  for (int i = 0; i < S::kStages - 1; ++i) {
    if constexpr (S::kPrepared) {
      if (i < stages) {
        right.copy(i);
      }
    }
    cp_async_commit();
  }
  if constexpr (!S::kPrepared) {
    right.load(0);
    right.store(0);
    right.load(1);
  }
}

/// While stage i is about to be multiplied.
template <class S, class Right>
__device__ __forceinline__ void go_on_with_operands(Right& right, int i, int stages) {
  if constexpr (S::kPrepared) {
    if (i + S::kStages - 1 < stages) {
      right.copy(i + S::kStages - 1);
    }
  } else if (i + 1 < stages) {
    right.store(i + 1);
    right.load(i + 2);
  }
}

/// Shared memory of a block. Where the weights were the shares of the sums lie at the end.
template <class W, class S>
struct TensorBlockMemory {
  static constexpr int kWarps = S::kRowWarps * S::kColumnWarps;
  static constexpr int kStagePieces = kWarps * S::kStages * StageLayout<W, S>::kPieces;
  static constexpr int kSharePieces = S::kColumnWarps * TensorResult<S>::kOutputs / 4;
  static constexpr int kRingPieces = kStagePieces > kSharePieces ? kStagePieces : kSharePieces;
  static constexpr int kOperandPieces = S::kColumnWarps * Operands<W, S>::kBuffers * Operands<W, S>::kOperands;
  static constexpr int kSums = S::kColumnWarps * Operands<W, S>::kBuffers * Operands<W, S>::kSums;

  static constexpr std::size_t bytes() {
    return shared_bytes<uint4>(kRingPieces) + shared_bytes<uint4>(kOperandPieces) + shared_bytes<float>(kSums);
  }
};

template <class W, class S>
__global__ void __launch_bounds__(S::kThreads, S::kBlocks) tensor_linear_kernel(const TensorLinearArguments task) {
  using Weights = WeightStages<W, S>;
  using Right = Operands<W, S>;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int row_warp = warp % S::kRowWarps;
  const int column_warp = warp / S::kRowWarps;
  const int first_tile = static_cast<int>(blockIdx.x) * S::kBlockTiles;
  const int node = static_cast<int>(blockIdx.y);
  SharedMemory memory;
  const Shared<uint4> ring = memory.take<uint4>(TensorBlockMemory<W, S>::kRingPieces);
  const Shared<uint4> operands = memory.take<uint4>(TensorBlockMemory<W, S>::kOperandPieces);
  const Shared<float> block_sums = W::kMinimum ? memory.take<float>(TensorBlockMemory<W, S>::kSums) : Shared<float>{};

  const int begin = task.ranges[node].begin / kBlockColumns;
  const int end = task.ranges[node].end / kBlockColumns;
  const int stages = ((end - begin + S::kWindows - 1) / S::kWindows + S::kColumnWarps - 1) / S::kColumnWarps;
  const int first = begin + column_warp * stages * S::kWindows;
  const Weights weights(task, first_tile + row_warp * S::kRowTiles, first, end,
                        ring + warp * S::kStages * Weights::Layout::kPieces);
  Right right(task, first, end, row_warp * kWarp + static_cast<int>(threadIdx.x) % kWarp,
              operands + column_warp * Right::kBuffers * Right::kOperands,
              block_sums + column_warp * Right::kBuffers * Right::kSums);
#pragma unroll
  for (int i = 0; i < S::kStages - 1; ++i) {
    if (i < stages) {
      weights.copy(i);
    }
  }
  // With one token the next kernel may read its weights as soon as blocks of this one leave room. Where it begins by
  // converting activations it would only take that room.
  if constexpr (!S::kPrepared) {
    let_next_kernel_begin();
  }
  wait_for_kernels_before();  // weights do not depend on it
  begin_operands<S>(right, stages);
  TensorSums<S> sums = {};
  for (int i = 0; i < stages; ++i) {
    cp_async_wait<S::kStages - 2>();
    wait_for_stage<S>();  // this stage is there, and the one before it read
    const int ahead = i + S::kStages - 1;
    if (ahead < stages) {
      weights.copy(ahead);
    }
    go_on_with_operands<S>(right, i, stages);
    cp_async_commit();
    if (S::kPrepared && ahead == stages) {
      let_next_kernel_begin();
    }
    multiply_stage<W, S>({weights.stage(i), W::kFp8 ? weights.scale_skip(i) : 0}, right, i, sums);
  }
  __syncthreads();  // all is read: the shares lie where the weights were
  const TensorResult<S> result(task, node, shared_cast<float>(ring));
  result.keep(sums, row_warp, column_warp);
  __syncthreads();
  result.write(first_tile);
}

/// Tiles of 16 rows.
inline int tensor_tiles(const TensorLinearArguments& task) {
  if (task.gated) {
    return (task.outputs + kRowBlock - 1) / kRowBlock;
  }
  int tiles = 0;
  for (int part = 0; part < task.part_count; ++part) {
    tiles += (task.parts[part].rows + kOperandRows - 1) / kOperandRows;
  }
  return tiles;
}

/// A multiprocessor's kernels of the same stream overlap: each copies weights before it waits for the one before.
template <class W, class S>
void launch_tensor_shape(const TensorLinearArguments& task, StreamHandle stream) {
  static_assert(TensorBlockMemory<W, S>::bytes() <= kTensorSharedBytes);
  const int tiles = (tensor_tiles(task) + S::kBlockTiles - 1) / S::kBlockTiles;
  if constexpr (S::kPrepared) {
    const LaunchShape shape{
        .grid = {static_cast<unsigned>((task.columns / kBlockColumns * 4 + kConvertThreads - 1) / kConvertThreads),
                 S::kTokens},
        .block = {kConvertThreads},
        .stream = stream,
        .overlaps = true};
    launch(convert_activations_kernel<W::kOrder, S::kSplit>, "convert_activations", shape, task.x, task.tokens,
           task.columns, S::kTiles, static_cast<uint4*>(task.operands), task.operand_sums);
  }
  const LaunchShape shape{.grid = {static_cast<unsigned>(tiles), static_cast<unsigned>(task.node_count)},
                          .block = {S::kThreads},
                          .shared_bytes = TensorBlockMemory<W, S>::bytes(),
                          .stream = stream,
                          .overlaps = true};
  launch(tensor_linear_kernel<W, S>, "tensor_linear", shape, task);
}

}  // namespace longship::cuda
