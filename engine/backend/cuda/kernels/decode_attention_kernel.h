#pragma once

// Attention of few queries that share a key/value head on tensor cores. A block has up to 16 queries and the pages of
// one segment, which come to shared memory by asynchronous copies a few pages ahead. Each of four warps has 16 keys of
// every page and maximum, sum and output of its own: scores = queries x keys, weights that are scaled again whenever
// the maximum grows, output += weights x values. The four are merged at the end, and the results of a sequence's
// segments by the block that is the last to have its own. Tables of the step are read while kernels before still run:
// what short contexts take is the time of one page and of what comes before and after it.

#include <algorithm>

#include "cuda/launch.h"
#include "engine/backend/cuda/kernels/attention_tile.h"
#include "engine/backend/cuda/kernels/decode_attention.h"
#include "engine/backend/cuda/kernels/decode_stage.h"

namespace longship::cuda {

inline constexpr int kDecodeWarps = 4;
inline constexpr int kDecodeThreads = kDecodeWarps * kWarp;
/// Keys of a page that are a warp's.
inline constexpr int kWarpKeys = kChunkKeys / kDecodeWarps;

/// Blocks that a multiprocessor takes at once, and pages that are in a block's shared memory or on their way.
template <int D>
constexpr int kDecodeBlocks = D <= 64 ? 3 : (D <= 192 ? 2 : 1);
template <KvType kType, int D>
constexpr int kDecodeStages = kType == KvType::kQ8 ? (D == 192 ? 3 : 5) : (D <= 64 ? 4 : (D == 192 ? 2 : 3));

template <KvType kType, int D>
struct DecodeMemory {
  using Stage = DecodeStage<kType, D>;
  using Queries = SwizzledMatrix<kDecodeQueries, D / kEight, 0>;
  static constexpr int kStages = kDecodeStages<kType, D>;
  static constexpr int kStats = kDecodeWarps * kDecodeQueries;
  static_assert(kStages * Stage::kSize >= kDecodeWarps * kDecodeQueries * D / 4, "the warps' outputs fit");

  __device__ explicit DecodeMemory(SharedMemory& memory)
      : stages(memory.take<uint4>(kStages * Stage::kSize)),
        queries{memory.take<uint4>(Queries::kSize)},
        stats(memory.take<float2>(kStats)),
        last(memory.take<int>(1)) {}

  static constexpr std::size_t bytes() {
    return shared_bytes<uint4>(kStages * Stage::kSize) + shared_bytes<uint4>(Queries::kSize) +
           shared_bytes<float2>(kStats) + shared_bytes<int>(1);
  }

  Shared<uint4> stages;  ///< Of the pages, and at the end the warps' outputs.
  Queries queries;
  Shared<float2> stats;  ///< Maximum and sum, [warps][queries].
  Shared<int> last;      ///< Whether the block is the last of its sequence.
};

/// Maximum and sum of weights and the outputs of some keys, of four dimensions.
struct DecodeMerge {
  float maximum = -__builtin_inff();
  float sum = 0;
  float4 out = make_float4(0, 0, 0, 0);

  /// Adds `count` results of which a maximum may be -infinity; the rest of them are not looked at.
  template <int kMost>
  __device__ __forceinline__ void add(const float2 (&stats)[kMost], const float4 (&outs)[kMost], int count) {
    float all = maximum;
#pragma unroll
    for (int i = 0; i < kMost; ++i) {
      all = i < count ? fmaxf(all, stats[i].x) : all;
    }
    const float shift = all == -__builtin_inff() ? 0.0F : all;
    scale(exp2_approximate(maximum - shift));
    maximum = all;
#pragma unroll
    for (int i = 0; i < kMost; ++i) {
      if (i < count) {
        const float weight = exp2_approximate(stats[i].x - shift);
        sum = fmaf(stats[i].y, weight, sum);
        out.x = fmaf(outs[i].x, weight, out.x);
        out.y = fmaf(outs[i].y, weight, out.y);
        out.z = fmaf(outs[i].z, weight, out.z);
        out.w = fmaf(outs[i].w, weight, out.w);
      }
    }
  }
  __device__ __forceinline__ void scale(float by) {
    sum *= by;
    out = make_float4(out.x * by, out.y * by, out.z * by, out.w * by);
  }
  __device__ __forceinline__ float4 result() const {
    return make_float4(out.x / sum, out.y / sum, out.z / sum, out.w / sum);
  }
};

template <KvType kType, int D>
class DecodeBlock {
 public:
  __device__ DecodeBlock(const AttentionArguments& task, const KvView& kv, const AttentionTile& tile, int active,
                         const DecodeMemory<kType, D>& memory)
      : task_(task),
        kv_(kv),
        tile_(tile),
        active_(active),
        memory_(memory),
        pages_(tile.end_chunk - tile.begin_chunk),
        wide_(tile.queries() > kMmaHalf) {}

  __device__ __forceinline__ void run() {
    load_page_numbers(0);
    if (kv_.head_dim < D) {
      clear_padding();
    }
    wait_for_kernels_before();
#pragma unroll
    for (int page = 0; page < kStages - 1; ++page) {
      start(page, page);
    }
    prepare();
    int slot = 0;
    for (int page = 0; page < pages_; ++page) {
      const Stage stage(memory_.stages + slot * Stage::kSize);
      cp_async_wait<2 * kStages - 3>();
      __syncthreads();  // keys are there, the page before is read
      start(page + kStages - 1, slot == 0 ? kStages - 1 : slot - 1);
      const int chunk = tile_.begin_chunk + page;
      float scores[2][4];
      score(stage, scores);
      weigh(chunk, scores);
      cp_async_wait<2 * kStages - 2>();
      __syncthreads();  // values are there
      add_values(stage, chunk, scores);
      slot = slot == kStages - 1 ? 0 : slot + 1;
    }
    finish();
  }

 private:
  using Operand = TensorOperand<kType>;
  using Stage = DecodeStage<kType, D>;
  static constexpr bool kBytes = Stage::kBytes;
  static constexpr int kStages = DecodeMemory<kType, D>::kStages;
  static constexpr int kMmaHalf = 8;
  static constexpr int kMmaInner = 16;
  static constexpr int kOutTiles = D / 8;
  static constexpr int kScoreUnroll = D > 128 ? 1 : D / kMmaInner;  // registers
  static constexpr float kLog2OfE = 1.44269504F;

  static __device__ __forceinline__ int warp() {
    return static_cast<int>(threadIdx.x) / kWarp;
  }
  static __device__ __forceinline__ int lane() {
    return static_cast<int>(threadIdx.x) % kWarp;
  }
  // A lane has queries query(0) and query(1), of each tile of columns the two from column() on.
  static __device__ __forceinline__ int query(int half) {
    return lane() / 4 + half * kMmaHalf;
  }
  static __device__ __forceinline__ int column() {
    return lane() % 4 * 2;
  }
  // The key of the page in a column of the warp's two tiles: of bytes, which come in pairs, one has the even ones.
  static __device__ __forceinline__ int key_of(int tile, int at) {
    return warp() * kWarpKeys + (kBytes ? 2 * at + tile : kMmaHalf * tile + at);
  }

  // Numbers of pages are read 32 at a time.
  __device__ __forceinline__ void load_page_numbers(int page) {
    if (page + lane() < pages_) {
      numbers_ = task_.step.pages[tile_.tile.first_page + tile_.begin_chunk + page + lane()];
    }
  }

  // Calls come in the order of pages.
  __device__ __forceinline__ int page_number(int page) {
    if (page != 0 && page % kWarp == 0) {
      load_page_numbers(page);
    }
    return __shfl_sync(kFullMask, numbers_, page % kWarp);
  }

  __device__ __forceinline__ void start(int page, int slot) {
    if (page < pages_) {
      const int64_t origin =
          (static_cast<int64_t>(page_number(page)) * kv_.heads + tile_.group.kv_head) * kv_.page_bytes;
      const Stage stage(memory_.stages + slot * Stage::kSize);
      const int integers = kv_.head_dim * kChunkKeys;
      copy(stage.keys, kv_.keys + origin, kv_.head_dim, Stage::Keys::kPieces, 0, kv_.head_dim);
      copy_scales(stage.key_scales, kv_.keys + origin + integers);
      cp_async_commit();
      // Of keys that no query sees nothing is read: what lies there need not be numbers.
      const int chunk = tile_.begin_chunk + page;
      copy(stage.values, kv_.values + origin, kChunkKeys, kv_.head_dim / Stage::kPerPiece,
           tile_.begin(0, chunk, task_.window), tile_.end(tile_.queries() - 1, chunk));
      copy_scales(stage.value_scales, kv_.values + origin + integers);
      cp_async_commit();
    } else {
      cp_async_commit();
      cp_async_commit();
    }
  }

  // Rows outside of [first, last) become zeros.
  template <class Matrix>
  static __device__ __forceinline__ void copy(const Matrix& to, const std::byte* from, int rows, int row_pieces,
                                              int first, int last) {
#pragma unroll
    for (int i = 0; i < Matrix::kSize / kDecodeThreads; ++i) {
      const int index = static_cast<int>(threadIdx.x) + i * kDecodeThreads;
      const int row = index / Matrix::kPieces;
      const int piece = index % Matrix::kPieces;
      if (row < rows && piece < row_pieces) {
        cp_async_16(to.at(row, piece), from + (row * row_pieces + piece) * static_cast<int>(sizeof(uint4)),
                    row >= first && row < last);
      }
    }
  }
  __device__ __forceinline__ void copy_scales(Shared<uint4> to, const std::byte* from) const {
    if constexpr (kBytes) {
      if (static_cast<int>(threadIdx.x) < kv_.head_dim / 4) {
        cp_async_16(to + threadIdx.x, from + threadIdx.x * sizeof(uint4));
      }
    }
  }

  __device__ __forceinline__ void prepare() {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const bool there = query(half) < tile_.queries();
      begin_key_[half] = there ? tile_.begin_key(query(half), task_.window) : 0;
      end_key_[half] = there ? tile_.end_key(query(half)) : 0;
    }
    load_queries();
  }

  // What the copies of no page write, as heads are narrower, is zero.
  __device__ __forceinline__ void clear_padding() const {
    const uint4 zero = make_uint4(0, 0, 0, 0);
    for (int slot = 0; slot < kStages; ++slot) {
      const Stage stage(memory_.stages + slot * Stage::kSize);
      for (int i = threadIdx.x; i < (D - kv_.head_dim) * Stage::Keys::kPieces; i += kDecodeThreads) {
        stage.keys.at(kv_.head_dim + i / Stage::Keys::kPieces, i % Stage::Keys::kPieces)[0] = zero;
      }
      for (int key = threadIdx.x; key < kChunkKeys; key += kDecodeThreads) {
        for (int piece = kv_.head_dim / Stage::kPerPiece; piece < Stage::Values::kPieces; ++piece) {
          stage.values.at(key, piece)[0] = zero;
        }
      }
      for (int i = kv_.head_dim / 4 + static_cast<int>(threadIdx.x); i < Stage::kScales; i += kDecodeThreads) {
        stage.key_scales[i] = zero;
        stage.value_scales[i] = zero;
      }
    }
  }

  // Scaled, so that the scores are exponents of two.
  __device__ __forceinline__ void load_queries() const {
    const float scale = task_.scale * kLog2OfE;
#pragma unroll
    for (int i = 0; i < kDecodeQueries * D / 2 / kDecodeThreads; ++i) {
      const int index = static_cast<int>(threadIdx.x) + i * kDecodeThreads;
      const int q = index / (D / 2);
      const int dim = index % (D / 2) * 2;
      uint32_t both = 0;
      if (q < tile_.queries() && dim < kv_.head_dim) {
        const int row = tile_.tile.row + q / tile_.group.heads;
        const float* from = task_.query + row * task_.query_stride +
                            static_cast<int64_t>(tile_.group.head + q % tile_.group.heads) * kv_.head_dim + dim;
        both = Operand::pack(from[0] * scale, from[1] * scale);
      }
      shared_cast<uint32_t>(memory_.queries.at(q, dim / kEight))[dim % kEight / 2] = both;
    }
  }

  // The left operand of dimensions [16 step, 16 step + 16).
  __device__ __forceinline__ void load_left(int step, uint32_t (&left)[4]) const {
    ldmatrix_x4(left, shared_cast<uint16_t>(memory_.queries.at(lane() % 16, 2 * step + lane() / 16)));
  }

  __device__ __forceinline__ void score(const Stage& stage, float (&scores)[2][4]) const {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      scores[0][i] = scores[1][i] = 0.0F;
    }
    if constexpr (kBytes) {
#pragma unroll kScoreUnroll
      for (int block = 0; block < D / kScaleBlock; ++block) {
        score_bytes(stage, block, scores);
      }
    } else {
#pragma unroll kScoreUnroll
      for (int step = 0; step < D / kMmaInner; ++step) {
        uint32_t left[4];
        load_left(step, left);
        uint32_t keys[4];
        ldmatrix_x4_trans(
            keys, shared_cast<uint16_t>(stage.keys.at(step * kMmaInner + lane() % 16, 2 * warp() + lane() / 16)));
        Operand::multiply(scores[0], left, {keys[0], keys[1]});
        Operand::multiply(scores[1], left, {keys[2], keys[3]});
      }
    }
  }

  // Adds the products of 32 dimensions, which have one scale a key. A matrix of pairs of bytes gives a lane two keys at
  // two dimensions: of one the right operand's bytes 0 and 2, of the other 1 and 3.
  __device__ __forceinline__ void score_bytes(const Stage& stage, int block, float (&scores)[2][4]) const {
    uint32_t keys[4];
    ldmatrix_x4_trans(keys, shared_cast<uint16_t>(stage.keys.at(block * kScaleBlock + lane(), warp())));
    float sums[2][4] = {};
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      uint32_t left[4];
      load_left(2 * block + half, left);
      Operand::multiply(sums[0], left,
                        {f16_from_bytes<false>(keys[2 * half]), f16_from_bytes<false>(keys[2 * half + 1])});
      Operand::multiply(sums[1], left,
                        {f16_from_bytes<true>(keys[2 * half]), f16_from_bytes<true>(keys[2 * half + 1])});
    }
    const uint2 scales = shared_cast<uint2>(stage.key_scales)[(block * kChunkKeys + key_of(0, column())) / 4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const uint32_t both = i % 2 == 0 ? scales.x : scales.y;
      scores[0][i] = fmaf(sums[0][i], low_f16(both), scores[0][i]);
      scores[1][i] = fmaf(sums[1][i], high_f16(both), scores[1][i]);
    }
  }

  __device__ __forceinline__ bool sees_all(int half, int chunk) const {
    return end_key_[half] >= (chunk + 1) * kChunkKeys && begin_key_[half] <= chunk * kChunkKeys;
  }

  // Scores become weights 2^(score - maximum).
  __device__ __forceinline__ void weigh(int chunk, float (&scores)[2][4]) {
    if (__all_sync(kFullMask, sees_all(0, chunk) && (!wide_ || sees_all(1, chunk))) == 0) {
      hide_unseen(chunk, scores);
    }
    weigh_half(0, scores);
    if (wide_) {
      weigh_half(1, scores);
    }
  }

  __device__ __forceinline__ void hide_unseen(int chunk, float (&scores)[2][4]) const {
#pragma unroll
    for (int tile = 0; tile < 2; ++tile) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int key = chunk * kChunkKeys + key_of(tile, column() + i % 2);
        if (key < begin_key_[i / 2] || key >= end_key_[i / 2]) {
          scores[tile][i] = -__builtin_inff();
        }
      }
    }
  }

  __device__ __forceinline__ void weigh_half(int half, float (&scores)[2][4]) {
    const int at = 2 * half;
    float maximum = fmaxf(fmaxf(scores[0][at], scores[0][at + 1]), fmaxf(scores[1][at], scores[1][at + 1]));
    maximum = fmaxf(maximum, __shfl_xor_sync(kFullMask, maximum, 1));
    maximum = fmaxf(maximum, __shfl_xor_sync(kFullMask, maximum, 2));
    if (__any_sync(kFullMask, maximum > maximum_[half]) != 0) {
      maximum = fmaxf(maximum, maximum_[half]);
      const float shift = maximum == -__builtin_inff() ? 0.0F : maximum;  // no key yet
      const float shrink = exp2_approximate(maximum_[half] - shift);
      maximum_[half] = maximum;
      sum_[half] *= shrink;
#pragma unroll
      for (int tile = 0; tile < kOutTiles; ++tile) {
        out_[tile][at] *= shrink;
        out_[tile][at + 1] *= shrink;
      }
    }
    const float shift = maximum_[half] == -__builtin_inff() ? 0.0F : maximum_[half];
#pragma unroll
    for (int tile = 0; tile < 2; ++tile) {
#pragma unroll
      for (int i = at; i < at + 2; ++i) {
        scores[tile][i] = exp2_approximate(scores[tile][i] - shift);
        sum_[half] += scores[tile][i];
      }
    }
  }

  // The weights as they lie in the lanes are left operands.
  __device__ __forceinline__ void add_values(const Stage& stage, int chunk, const float (&weights)[2][4]) {
    const uint32_t left[4] = {Operand::pack(weights[0][0], weights[0][1]), Operand::pack(weights[0][2], weights[0][3]),
                              Operand::pack(weights[1][0], weights[1][1]), Operand::pack(weights[1][2], weights[1][3])};
    if constexpr (kBytes) {
      add_bytes(stage, chunk, left);
    } else {
#pragma unroll
      for (int tile = 0; tile < kOutTiles; tile += 2) {
        uint32_t values[4];
        ldmatrix_x4_trans(values,
                          shared_cast<uint16_t>(stage.values.at(warp() * kWarpKeys + lane() % 16, tile + lane() / 16)));
        Operand::multiply(out_[tile], left, {values[0], values[1]});
        Operand::multiply(out_[tile + 1], left, {values[2], values[3]});
      }
    }
  }

  // Rows of the right operand are keys in the order of key_of(); of tiles of columns, one has the even dimensions.
  __device__ __forceinline__ void add_bytes(const Stage& stage, int chunk, const uint32_t (&left)[4]) {
    const int row = warp() * kWarpKeys + lane() % 8 * 2 + lane() / 8 % 2;
#pragma unroll
    for (int pair = 0; pair < D / (2 * kScaleBlock); ++pair) {
      uint32_t scales[2][2];
      load_value_scales(stage, chunk, pair, scales);
#pragma unroll
      for (int block = 0; block < 2; ++block) {
        const int piece = 2 * (2 * pair + block);
        uint32_t values[4];
        ldmatrix_x4_trans(values, shared_cast<uint16_t>(stage.values.at(row, piece + lane() / 16)));
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          const uint32_t even = values[2 * i];
          const uint32_t odd = values[2 * i + 1];
          Operand::multiply(out_[2 * (piece + i)], left,
                            {multiply_f16(f16_from_bytes<false>(even), scales[block][0]),
                             multiply_f16(f16_from_bytes<false>(odd), scales[block][1])});
          Operand::multiply(out_[2 * (piece + i) + 1], left,
                            {multiply_f16(f16_from_bytes<true>(even), scales[block][0]),
                             multiply_f16(f16_from_bytes<true>(odd), scales[block][1])});
        }
      }
    }
  }

  // Of two blocks of 32 dimensions, those of the keys of both tiles' two columns, side by side. Scales of keys that no
  // query sees need not be numbers.
  __device__ __forceinline__ void load_value_scales(const Stage& stage, int chunk, int pair,
                                                    uint32_t (&scales)[2][2]) const {
    const int blocks = kv_.head_dim / kScaleBlock;
    const int first = tile_.begin(0, chunk, task_.window);
    const int last = tile_.end(tile_.queries() - 1, chunk);
    const Shared<uint32_t> words = shared_cast<uint32_t>(stage.value_scales);
#pragma unroll
    for (int tile = 0; tile < 2; ++tile) {
      uint32_t of_key[2];
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const int key = key_of(tile, column() + i);
        const int index = key * blocks + 2 * pair;
        of_key[i] = words[index / 2];
        if (blocks % 2 != 0 && index % 2 != 0) {
          const uint32_t next = words[index / 2 + 1];
          of_key[i] = of_key[i] >> 16 | next << 16;
        }
        if (first > 0 || last < kChunkKeys) {
          of_key[i] = key >= first && key < last ? of_key[i] : 0U;
        }
      }
      scales[0][tile] = (of_key[0] & 0xFFFFU) | of_key[1] << 16;
      scales[1][tile] = of_key[0] >> 16 | (of_key[1] & 0xFFFF0000U);
    }
  }

  __device__ __forceinline__ void finish() {
    __syncthreads();  // all pages are read
    write_warp(0);
    if (wide_) {
      write_warp(1);
    }
    __syncthreads();
    merge_warps();
    if (active_ > 1 && is_last()) {
      merge_segments();
    }
  }

  // Where four dimensions of a query's output of a warp stand, so that lanes write to different banks.
  __device__ __forceinline__ Shared<uint4> warp_out(int of_warp, int q, int four) const {
    const int moved = four ^ ((q & 1) * 4 | (q & 2));
    return memory_.stages + ((of_warp * tile_.queries() + q) * (D / 4) + moved);
  }

  __device__ __forceinline__ void write_warp(int half) const {
    const int q = query(half);
    const int at = 2 * half;
    float sum = sum_[half];
    sum += __shfl_xor_sync(kFullMask, sum, 1);
    sum += __shfl_xor_sync(kFullMask, sum, 2);
    if (q >= tile_.queries()) {
      return;
    }
    if (lane() % 4 == 0) {
      memory_.stats[warp() * kDecodeQueries + q] = make_float2(maximum_[half], sum);
    }
#pragma unroll
    for (int tile = 0; tile < kOutTiles; tile += 2) {
      const float(&first)[4] = out_[tile];
      const float(&second)[4] = out_[tile + 1];
      if constexpr (kBytes) {
        shared_cast<float4>(warp_out(warp(), q, 2 * tile + lane() % 4))[0] =
            make_float4(first[at], second[at], first[at + 1], second[at + 1]);
      } else {
        shared_cast<float2>(warp_out(warp(), q, 2 * tile + lane() % 4 / 2))[lane() % 2] =
            make_float2(first[at], first[at + 1]);
        shared_cast<float2>(warp_out(warp(), q, 2 * tile + 2 + lane() % 4 / 2))[lane() % 2] =
            make_float2(second[at], second[at + 1]);
      }
    }
  }

  __device__ __forceinline__ int64_t partial_of(int q) const {
    const int64_t slot = tile_.tile.slot + q / tile_.group.heads;
    return (slot * task_.heads + tile_.group.head + q % tile_.group.heads) * task_.segments;
  }
  __device__ __forceinline__ float4* partial_out(int64_t partial) const {
    return reinterpret_cast<float4*>(task_.partials) + partial * (kv_.head_dim / 4);
  }
  __device__ __forceinline__ float2* partial_stats() const {
    return reinterpret_cast<float2*>(partial_out(task_.rows * task_.heads * task_.segments));
  }

  // A thread has four dimensions of a query, here and below.
  __device__ __forceinline__ void merge_warps() const {
    const int fours = kv_.head_dim / 4;
    for (int i = threadIdx.x; i < tile_.queries() * fours; i += kDecodeThreads) {
      const int q = i / fours;
      const int four = i - q * fours;
      float2 stats[kDecodeWarps];
      float4 outs[kDecodeWarps];
#pragma unroll
      for (int w = 0; w < kDecodeWarps; ++w) {
        stats[w] = memory_.stats[w * kDecodeQueries + q];
        outs[w] = shared_cast<float4>(warp_out(w, q, four))[0];
      }
      DecodeMerge merged;
      merged.add(stats, outs, kDecodeWarps);
      if (active_ == 1) {
        reinterpret_cast<float4*>(tile_.out(task_, kv_.head_dim, q))[four] = merged.result();
      } else {
        const int64_t partial = partial_of(q) + blockIdx.z;
        partial_out(partial)[four] = merged.out;
        if (four == 0) {
          partial_stats()[partial] = make_float2(merged.maximum, merged.sum);
        }
      }
    }
  }

  __device__ __forceinline__ bool is_last() const {
    __syncthreads();  // the partial results are written
    if (threadIdx.x == 0) {
      uint32_t* arrivals = task_.arrivals + blockIdx.x * gridDim.y + blockIdx.y;
      const bool last = add_acquire_release(arrivals, 1) + 1 == static_cast<uint32_t>(active_);
      if (last) {
        *arrivals = 0;  // for the next launch
      }
      memory_.last[0] = last ? 1 : 0;
    }
    __syncthreads();
    return memory_.last[0] != 0;
  }

  __device__ __forceinline__ void merge_segments() const {
    constexpr int kAtOnce = 16;  // before any is used
    const int fours = kv_.head_dim / 4;
    for (int i = threadIdx.x; i < tile_.queries() * fours; i += kDecodeThreads) {
      const int q = i / fours;
      const int four = i - q * fours;
      const int64_t partial = partial_of(q);
      DecodeMerge merged;
      for (int first = 0; first < active_; first += kAtOnce) {
        float2 stats[kAtOnce];
        float4 outs[kAtOnce];
#pragma unroll
        for (int j = 0; j < kAtOnce; ++j) {
          if (first + j < active_) {
            stats[j] = partial_stats()[partial + first + j];
            outs[j] = partial_out(partial + first + j)[four];
          }
        }
        merged.add(stats, outs, active_ - first);
      }
      reinterpret_cast<float4*>(tile_.out(task_, kv_.head_dim, q))[four] = merged.result();
    }
  }

  const AttentionArguments& task_;
  const KvView& kv_;
  const AttentionTile& tile_;
  const int active_;  // segments that there are
  const DecodeMemory<kType, D>& memory_;
  const int pages_;
  const bool wide_;  // queries in both halves
  int numbers_ = 0;
  int begin_key_[2];
  int end_key_[2];
  float maximum_[2] = {-__builtin_inff(), -__builtin_inff()};
  float sum_[2] = {};  // of the lane's columns
  float out_[kOutTiles][4] = {};
};

/// Of the block's group, and of the pages that its rows see one of `active` equal parts.
__device__ __forceinline__ AttentionTile decode_tile(const AttentionArguments& task, int& active) {
  AttentionTile found;
  found.tile = task.tiles[blockIdx.x];
  found.group = task.groups[blockIdx.y];
  found.position = found.tile.position;
  const int64_t first_seen = task.window == 0 ? 0 : found.position + 1 - task.window;
  const int begin = first_seen < 0 ? 0 : static_cast<int>(first_seen / kChunkKeys);
  const int end = (found.position + found.tile.rows + kChunkKeys - 1) / kChunkKeys;
  const int chunks = found.tile.rows == 0 ? 0 : end - begin;
  active = chunks < task.segments ? chunks : task.segments;
  const int segment = static_cast<int>(blockIdx.z);
  if (segment < active) {
    found.begin_chunk = begin + chunks * segment / active;
    found.end_chunk = begin + chunks * (segment + 1) / active;
  }
  return found;
}

template <KvType kType, int D>
__global__ void __launch_bounds__(kDecodeThreads, kDecodeBlocks<D>)
    decode_attention_kernel(const AttentionArguments task, const KvView kv) {
  let_next_kernel_begin();
  int active = 0;
  const AttentionTile tile = decode_tile(task, active);
  if (tile.begin_chunk >= tile.end_chunk) {
    wait_for_kernels_before();
    return;
  }
  SharedMemory shared;
  const DecodeMemory<kType, D> memory(shared);
  DecodeBlock<kType, D>(task, kv, tile, active, memory).run();
}

template <KvType kType, int D>
void launch_decode_tiles(const AttentionArguments& task, const KvView& kv, StreamHandle stream) {
  const LaunchShape shape{.grid = {static_cast<unsigned>(task.tile_count), static_cast<unsigned>(task.group_count),
                                   static_cast<unsigned>(task.segments)},
                          .block = {kDecodeThreads},
                          .shared_bytes = DecodeMemory<kType, D>::bytes(),
                          .stream = stream,
                          .overlaps = true};
  launch(decode_attention_kernel<kType, D>, "decode_attention", shape, task, kv);
}

template <KvType kType, int D>
int decode_blocks(std::size_t block_shared_bytes) {
  constexpr std::size_t kReserved = 1024;  // that the device takes of each block's
  constexpr std::size_t kBytes = DecodeMemory<kType, D>::bytes();
  return std::min(kDecodeBlocks<D>, static_cast<int>((block_shared_bytes + kReserved) / (kBytes + kReserved)));
}

template <KvType kType>
int decode_blocks_type(int head_dim, std::size_t block_shared_bytes) {
  return head_dim <= 64    ? decode_blocks<kType, 64>(block_shared_bytes)
         : head_dim <= 128 ? decode_blocks<kType, 128>(block_shared_bytes)
         : head_dim <= 192 ? decode_blocks<kType, 192>(block_shared_bytes)
                           : decode_blocks<kType, 256>(block_shared_bytes);
}

template <KvType kType>
void launch_decode_type(const AttentionArguments& task, const KvView& kv, StreamHandle stream) {
  if (kv.head_dim <= 64) {
    launch_decode_tiles<kType, 64>(task, kv, stream);
  } else if (kv.head_dim <= 128) {
    launch_decode_tiles<kType, 128>(task, kv, stream);
  } else if (kv.head_dim <= 192) {
    launch_decode_tiles<kType, 192>(task, kv, stream);
  } else {
    launch_decode_tiles<kType, 256>(task, kv, stream);
  }
}

}  // namespace longship::cuda
