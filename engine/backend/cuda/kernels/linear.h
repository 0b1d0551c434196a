#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda/api.h"

namespace longship::cuda {

/// How a weight is packed. Plain types: row after row, each filled up with zeros to plain_row_columns(), as libraries
/// take matrices. The others: row blocks of 8 rows, and in each everything in pieces of 16 bytes, [pieces][8 rows], so
/// that eight lanes read 128 bytes side by side; blocks of 32 columns, one behind the other in three planes: integers,
/// their higher bits, scales. Rows are filled up to whole row blocks in either case.
///
/// Integers: bytes [block][2 pieces][8 rows][16]; nibbles [block][8 rows] four words, column 8 w + n of a block in
/// nibble n of word w. Higher bits: of kFive a word [block][8 rows], bit i is bit 4 of column i; of kSix two words
/// [block][2][8 rows], bits 2 i and 2 i + 1 of word h are bits 4 and 5 of column 16 h + i. Scales [block][8 rows]: a
/// scale of 16 bits, or scale and minimum, or the scales of 16 columns each, in 32 bits.
///
/// kFp8: pieces of 16 columns; in the first four of 16 bytes, how many columns the first scales lack of the
/// kFp8ScaleColumns that the others are for; f32 scales [columns / kFp8ScaleColumns + 2][8 rows].
enum class WeightLayout : uint8_t {
  kF32,
  kF16,
  kBF16,
  kByte,       ///< Offset by 128, scale f16.
  kNibble,     ///< Offset by 8, scale f16.
  kNibbleMin,  ///< Scale and minimum f16.
  kNibbleFp4,  ///< E2M1, the scale's integers twice the values; scale bf16.
  kFive,       ///< Offset by 16, scale f16.
  kFiveMin,    ///< Scale and minimum f16.
  kSix,        ///< Offset by 32, two scales f16.
  kFp8,        ///< E4M3.
};

/// Rows of a row block.
inline constexpr int kRowBlock = 8;
/// Columns whose sum is taken at once: of the 32 of each lane in order, of the four sums ((0 + 1) + (2 + 3)). A group's
/// runs are added in order.
inline constexpr int kRunColumns = 128;
/// Columns that a lane takes at a time, and lanes that share a row of a run.
inline constexpr int kBlockColumns = 32;
inline constexpr int kRunClasses = kRunColumns / kBlockColumns;

/// Columns of a row of a plain type, with those that fill it up: rows begin at multiples of 16 bytes.
constexpr int plain_row_columns(WeightLayout layout, int columns) {
  const int per_piece = layout == WeightLayout::kF32 ? 4 : 8;
  return (columns + per_piece - 1) / per_piece * per_piece;
}

/// Columns that share a scale of kFp8.
inline constexpr int kFp8ScaleColumns = 128;

/// A run of columns and what follows it in the program of GroupSteps.
struct LinearRun {
  int32_t begin = 0;
  int32_t end = 0;
  int16_t merges = 0;
  bool begins_group = false;
  bool ends_node = false;
};

/// Weights of the same layout whose outputs follow one another.
inline constexpr int kMaxLinearParts = 4;
struct LinearPart {
  const std::byte* data = nullptr;
  int rows = 0;
  int first_output = 0;
};

/// Most tokens of a gated product: for more, addresses of both parts would take registers that sums need.
inline constexpr int kMostGatedTokens = 8;

struct LinearArguments {
  const float* x = nullptr;  ///< [tokens, columns]
  int tokens = 0;
  int columns = 0;
  LinearPart parts[kMaxLinearParts] = {};
  int part_count = 0;
  int64_t row_block_bytes = 0;
  const LinearRun* runs = nullptr;  ///< Of the device.
  int run_count = 0;
  int depth = 1;           ///< Most unmerged partial sums of the program.
  float* nodes = nullptr;  ///< [nodes, tokens, outputs]
  int outputs = 0;
  bool gated = false;  ///< Two parts [gate | up] and one node: it is silu(gate) * up, of as many outputs as a part.
};

/// See Kernels::linear. The second: of a layout of blocks.
void launch_linear(WeightLayout layout, const LinearArguments& arguments, StreamHandle stream);
void launch_quantised_linear(WeightLayout layout, const LinearArguments& arguments, StreamHandle stream);

}  // namespace longship::cuda
