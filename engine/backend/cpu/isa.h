#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/dtype.h"
#include "core/reduction_tree.h"

// What the part of the backend that is compiled for every machine passes to the part that is compiled once per
// instruction set: plain data, so that no code of a shared header is emitted with instructions that a machine lacks.

namespace longship::cpu {

/// Rows of a packed weight that lie side by side, one a lane.
inline constexpr int64_t kLanes = 16;
/// Values that share a scale, in weights and in activations.
inline constexpr int64_t kBlock = 32;
inline constexpr int64_t kCacheLine = 64;
/// Most unmerged partial sums of a program of GroupSteps.
inline constexpr int kMaxPartials = 24;

/// Keys in a chunk of attention.
inline constexpr int64_t kChunkKeys = 64;
inline constexpr int64_t kMaxHeadDim = 512;
/// Levels of the merge of chunks: contexts below 64 x 2^kMergeLevels keys.
inline constexpr int kMergeLevels = 24;
/// Most query rows of one AttentionUnit.
inline constexpr int64_t kMaxQueries = 6;

/// How a weight is packed: row blocks of kLanes rows; of each the columns in order, so that memory is read straight on.
/// kF32, kF16, kBF16: for each column the 16 rows' values.
/// kBF16Pairs: for each pair of columns, the last filled up with zeros, the 16 rows' pairs.
/// The others hold unsigned integers and f16 scales for blocks of 32 columns (see BlockShape): for each run of blocks
/// 64 bytes of scales, [blocks x scales of a block][16 rows], then the integers of each block, [steps][16 rows] words
/// of 4 bytes. Bytes: step s has columns 4 s to 4 s + 3. Nibbles: the low ones of step s are columns 4 s to 4 s + 3,
/// the high ones those + 16; behind the nibbles stand higher bits: kFive: one word a row whose byte c has bit s of
/// column 4 s' + c, s = s' for low nibbles, s' + 4 for high ones; kSix: two such words, low nibbles' then high
/// nibbles', two bits a step.
enum class Layout : uint8_t {
  kF32,
  kF16,
  kBF16,
  kBF16Pairs,  ///< For activations rounded to bf16, too.
  kByte,       ///< Q8_0, IQ4_NL: bytes offset by 128.
  kNibble,     ///< Q4_0: offset by 8.
  kNibbleMin,  ///< Q4_1, Q4_K: with a minimum.
  kNibbleFp4,  ///< MXFP4: nibbles number values offset by 12.
  kFive,       ///< Q5_0: offset by 16.
  kFiveMin,    ///< Q5_1, Q5_K: with a minimum.
  kSix,        ///< Q6_K, Q3_K: offset by 32, a scale for 16 columns.
};

/// A layout of integers.
struct BlockShape {
  int bits;    ///< 8, or 4 and higher bits.
  int offset;  ///< Of the integers.
  int scales;  ///< f16 values of a block and row: a scale; scale and minimum; two scales.
  bool minimum;
  bool table;  ///< Nibbles number integers.

  constexpr int64_t quant_bytes() const { return int64_t{bits} * 64; }
  constexpr int64_t blocks_per_run() const { return 2 / scales; }
  constexpr int64_t run_bytes() const { return 64 + blocks_per_run() * quant_bytes(); }
};

constexpr bool is_quantised(Layout layout) {
  return layout >= Layout::kByte;
}

constexpr BlockShape block_shape(Layout layout) {
  switch (layout) {
    case Layout::kNibble:
      return {4, 8, 1, false, false};
    case Layout::kNibbleMin:
      return {4, 0, 2, true, false};
    case Layout::kNibbleFp4:
      return {4, 12, 1, false, true};
    case Layout::kFive:
      return {5, 16, 1, false, false};
    case Layout::kFiveMin:
      return {5, 0, 2, true, false};
    case Layout::kSix:
      return {6, 32, 2, false, false};
    default:
      return {8, 128, 1, false, false};
  }
}

/// Scale of 32 activations and what the products with offset weights need of their int8 sums.
struct ActivationBlock {
  float scale;
  float scaled_sum;  ///< scale x the sum of all 32
  int16_t sums[2];   ///< Of the first 16, of the last 16: one lane of words.
};

/// Most bytes of row blocks that are unpacked for a tile; those of weights with more columns would not stay in the
/// cache.
inline constexpr int64_t kMostUnpackedBytes = int64_t{512} << 10;

/// A block of 32 activations of 16 tokens and their scales, see ActivationBlock: of tiles of 16 tokens.
struct TileBlock {
  struct Scales {
    float scale;
    float scaled_sum;
  };
  int8_t quants[16][kBlock];
  Scales scales[16];
};

/// Room that a thread needs for products of `columns` columns: for the row blocks of a tile, unpacked, or for the
/// activations of up to 512 tokens as tiles, of fewer if these would not stay in the cache.
constexpr int64_t linear_room_bytes(int64_t columns) {
  constexpr int64_t kMostTiles = 32;
  constexpr int64_t kMostBytes = int64_t{1} << 20;
  const int64_t unpacked = 2 * kLanes * columns;
  const int64_t tiles = kMostTiles * (columns / kBlock) * static_cast<int64_t>(sizeof(TileBlock));
  const int64_t bytes = unpacked > tiles ? unpacked : tiles;
  return bytes < kMostBytes ? bytes : kMostBytes;
}

/// Of columns that a product adds two by two; the last may lack its second.
constexpr int64_t pairs_of(int64_t columns) {
  return (columns + 1) / 2;
}

struct LinearTask {
  const float* x;                 ///< [tokens, columns]
  const int8_t* quants;           ///< [tokens, columns], null if no part is quantised
  const ActivationBlock* blocks;  ///< [tokens, columns / 32]
  const std::byte* pairs;         ///< [tokens, pairs_of(columns)] pairs, see Isa; null if no part is of kBF16Pairs
  int64_t tokens;
  int64_t columns;
  const GroupStep* steps;
  int64_t step_count;
  float* nodes;  ///< [nodes, tokens, outputs]
  int64_t outputs;
  std::byte* room;     ///< Of the calling thread.
  int64_t room_bytes;  ///< See linear_room_bytes().
  /// Whether the last call with this room was for the same tokens and a quantised part: what was made of their
  /// activations is still there.
  bool room_has_activations = false;
};

struct LinearPart {
  const std::byte* data;
  int64_t row_block_bytes;  ///< 16 rows.
  int64_t rows;
  int64_t first_output;
  Layout layout;
};

/// One row block of a matrix to pack: a block-quantised type with the layout of integers that its type has, or F32, F16
/// or BF16, then of 16 rows and whole blocks of 32 columns.
struct PackTask {
  DType type;
  Layout layout;
  const std::byte* rows[kLanes];  ///< Stored blocks of the first `row_count` rows.
  int row_count;
  int64_t block_bytes;
  int64_t skip;  ///< Columns of the first block that do not belong to the matrix, a multiple of kBlock for integers.
  int64_t columns;
};

/// Types of keys and values.
enum class KvType : uint8_t { kF32, kF16, kBF16, kQ8 };

struct AttentionTask {
  const float* query;  ///< Head 0 of row 0.
  int64_t query_stride;
  float* out;
  int64_t out_stride;
  const void* keys;    ///< [pages, Hkv, Dh, 64]
  const void* values;  ///< [pages, Hkv, 64, Dh]
  KvType type;
  int64_t page_bytes;  ///< Of the keys, or of the values, of one head in one page.
  int64_t kv_heads;
  int64_t head_dim;
  float scale;
  int64_t window;
  bool exact;       ///< Of kQ8: values as f32 rather than queries and weights as integers.
  float* partials;  ///< Of units that see only some keys, partial_values(head_dim) values each.
};

/// Values of a partial result of one query: maximum, sum, then the output at kLanes.
constexpr int64_t partial_values(int64_t head_dim) {
  return kLanes + (head_dim + kLanes - 1) / kLanes * kLanes;
}

/// Some rows of one sequence, times some query heads that read the same key/value head, and all keys or, if `partial`
/// is not negative, those of some chunks: its queries' results then are partials from there on.
struct AttentionUnit {
  const int32_t* pages;
  int64_t row;       ///< First row in the batch.
  int64_t position;  ///< Of that row in its sequence.
  int32_t rows;
  int32_t head;  ///< First query head.
  int32_t heads;
  int32_t kv_head;
  int64_t first_chunk = 0;
  int64_t end_chunk = INT64_MAX;
  int64_t partial = -1;

  int64_t queries() const { return int64_t{rows} * heads; }
};

/// Most units that are computed together.
inline constexpr int64_t kMostTogether = 4;

/// Units `first_unit`, first_unit + stride, ... of the same rows and chunks, with as many heads each: computed
/// together, chunk by chunk, so that the keys and values of all their heads are read in the order in which they lie in
/// memory. A CPU that fetches ahead by itself loses up to half of the bandwidth where a head's part of each page is
/// skipped.
struct AttentionTeam {
  int64_t first_unit;
  int64_t stride;
  int64_t count;  ///< kMostTogether at most.
};

/// Units of one run of aligned equal segments of chunks, in order: `count` of them from `first_unit` on, the first one
/// segment number `first_segment` of its sequence.
struct SplitUnits {
  int64_t first_unit;
  int64_t count;
  int64_t first_segment;
};

/// The compute functions of one instruction set. They allocate nothing and touch only what they are given; each output
/// value is the same whatever the split of the work, and the same in every instruction set but for those of
/// linear_pairs in amx_bf16_isa().
struct Isa {
  std::string_view name;
  void (*pack_row_block)(const PackTask& task, std::byte* row_block);
  void (*quantise)(const float* x, int64_t columns, int8_t* quants, ActivationBlock* blocks);
  /// Pairs of columns rounded to bf16, to the nearest, ties to even, as products with kBF16Pairs take them:
  /// `pair_bytes` for two values. Where `columns` is odd, the last pair's second is zero.
  void (*round_to_pairs)(const float* x, int64_t columns, std::byte* pairs);
  int64_t pair_bytes;
  /// Row blocks [begin, end) of the part, all tokens; linear_pairs: of a part of kBF16Pairs.
  void (*linear)(const LinearTask& task, const LinearPart& part, int64_t begin, int64_t end);
  void (*linear_pairs)(const LinearTask& task, const LinearPart& part, int64_t begin, int64_t end);
  void (*attention)(const AttentionTask& task, const AttentionUnit* units, const AttentionTeam& team);
  /// The outputs of the queries of a split unit from its segments' partials, which have equal queries.
  void (*merge_segments)(const AttentionTask& task, const AttentionUnit* units, const SplitUnits& split);
  void (*to_f16)(const float* x, int64_t n, uint16_t* y);
  void (*add)(const float* x, const float* bias, const float* residual, int64_t n, float* y);
  void (*rms_norm)(const float* x, const float* gain, float eps, int64_t n, float* y);
  /// hidden += x + bias, which may be null, then y = rms_norm of hidden.
  void (*add_rms_norm)(const float* x, const float* bias, const float* gain, float eps, int64_t n, float* hidden,
                       float* y);
  void (*layer_norm)(const float* x, const float* gain, const float* bias, float eps, int64_t n, float* y);
  void (*rope)(float* head, const float* cos, const float* sin, int64_t half);
  void (*silu_mul)(const float* gate, const float* up, int64_t n, float* y);
  void (*gelu_tanh)(const float* x, int64_t n, float* y);
  /// Reads a multiple of 1024 bytes; the result depends on all of them.
  int32_t (*read_bytes)(const std::byte* from, int64_t bytes);
  /// Multiply-adds of int8 values, of f32 values or of pairs of bf16 values, on independent chains; returns the
  /// operations done.
  int64_t (*multiply_int8)(int64_t rounds);
  int64_t (*multiply_f32)(int64_t rounds);
  int64_t (*multiply_pairs)(int64_t rounds);
};

const Isa& avx2_isa();
const Isa& avx512_isa();
/// avx512_isa() with products of bf16 pairs in one instruction.
const Isa& avx512_bf16_isa();
/// avx512_bf16_isa() with products of integers by tiles.
const Isa& amx_isa();
/// amx_isa() with products of bf16 pairs by tiles, which add in another order than all other instruction sets: 32
/// columns apart, the even and the odd ones of them apart.
const Isa& amx_bf16_isa();
/// Asks the system for tiles, which it grants a process for good. Only where the machine has them.
bool ask_for_tiles();
/// Whether that instruction rounds on this machine as two multiply-adds do. Only where the machine has it.
bool bf16_products_are_two_fma();

/// Whether this machine has amx_bf16_isa(), and LONGSHIP_ISA does not exclude it.
bool has_bf16_tiles();

/// The best instruction set of this machine, or the one that LONGSHIP_ISA names; with `bf16_tiles` also amx_bf16_isa().
/// Errors: kUsage if it is not there.
const Isa& choose_isa(bool bf16_tiles);

/// Makes the calling thread flush denormal results to zero and take denormal inputs as zero, for good: sums then have
/// the same bits on whatever thread they are added.
void flush_denormals();

}  // namespace longship::cpu
