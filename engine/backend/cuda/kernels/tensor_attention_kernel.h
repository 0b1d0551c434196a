#pragma once

// Attention of many queries that share a key/value head on tensor cores (FlashAttention-2, arXiv 2307.08691). Each of
// four warps has 16 queries and goes through the chunks of a segment: scores = queries x keys, weights that are scaled
// again whenever the maximum grows, output += weights x values. Pages hold dimensions of keys and keys of values by
// rows, so both are loaded transposed. While scores are computed the chunk's values are on their way, and while values
// are added the next chunk's keys.

#include "cuda/launch.h"
#include "engine/backend/cuda/kernels/attention_merge_inl.h"
#include "engine/backend/cuda/kernels/attention_tile.h"
#include "engine/backend/cuda/kernels/tensor_attention.h"
#include "engine/backend/cuda/kernels/tensor_stage.h"

namespace longship::cuda {

inline constexpr int kMmaRows = 16;
inline constexpr int kMmaColumns = 8;
inline constexpr int kMmaInner = 16;
inline constexpr int kTensorThreads = kTensorQueries / kMmaRows * kWarp;
/// Tiles of columns of a chunk's scores.
inline constexpr int kScoreTiles = kChunkKeys / kMmaColumns;

/// A matrix of 16-bit values by rows of kColumns in shared memory, in pieces of eight; one piece more a row, so that
/// pieces of eight rows below each other lie in different banks.
template <int kRows, int kColumns>
struct StagedMatrix {
  static constexpr int kStride = kColumns / kEight + 1;
  static constexpr int kSize = kRows * kStride;
  static_assert(kStride % 2 == 1);

  Shared<uint4> pieces;

  __device__ __forceinline__ Shared<uint4> at(int row, int piece) const { return pieces + (row * kStride + piece); }
  /// The right operands of rows [row, row + 16) and of two tiles of columns, the first at `piece`.
  __device__ __forceinline__ void load(int row, int piece, uint32_t (&first)[2], uint32_t (&second)[2]) const {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    uint32_t both[4];
    ldmatrix_x4_trans(both, shared_cast<uint16_t>(at(lane % 16, lane / 16)), (row * kStride + piece) * kEight);
    first[0] = both[0];
    first[1] = both[1];
    second[0] = both[2];
    second[1] = both[3];
  }
};

/// Shared memory of a block for heads of up to D dimensions; those of wide heads keep the queries there.
template <int D>
struct TensorMemory {
  static constexpr bool kHoldsQueries = D > 128;
  static constexpr int kSteps = D / kMmaInner;
  using Keys = StagedMatrix<D, kChunkKeys>;
  using Values = StagedMatrix<kChunkKeys, D>;

  __device__ explicit TensorMemory(SharedMemory& memory)
      : keys{memory.take<uint4>(Keys::kSize)},
        values{memory.take<uint4>(Values::kSize)},
        queries(kHoldsQueries ? memory.take<uint4>(kSteps * kTensorThreads) : Shared<uint4>{}) {}

  static constexpr std::size_t bytes() {
    return shared_bytes<uint4>(Keys::kSize) + shared_bytes<uint4>(Values::kSize) +
           (kHoldsQueries ? shared_bytes<uint4>(kSteps * kTensorThreads) : 0);
  }

  Keys keys;
  Values values;
  Shared<uint4> queries;  ///< Left operands, [steps][threads]
};

template <KvType kType, int D>
class TensorAttentionBlock {
 public:
  __device__ TensorAttentionBlock(const AttentionArguments& task, const KvView& kv, const AttentionTile& tile,
                                  const TensorMemory<D>& memory)
      : task_(task), kv_(kv), tile_(tile), memory_(memory) {}

  __device__ __forceinline__ void run() {
    prepare();
    start_keys(tile_.begin_chunk);
    for (int chunk = tile_.begin_chunk; chunk < tile_.end_chunk; ++chunk) {
      cp_async_wait<0>();
      __syncthreads();  // keys are there, the values before are read
      start_values(chunk);
      float scores[kScoreTiles][4];
      const bool seen = __any_sync(kFullMask, sees(0, chunk) || sees(1, chunk)) != 0;
      if (seen) {
        score(scores);
        weigh(chunk, scores);
      }
      cp_async_wait<0>();
      __syncthreads();  // values are there, the keys are read
      if (chunk + 1 < tile_.end_chunk) {
        start_keys(chunk + 1);
      }
      if (seen) {
        add_values(scores);
      }
    }
    finish();
  }

 private:
  using Operand = TensorOperand<kType>;
  static constexpr int kSteps = TensorMemory<D>::kSteps;
  static constexpr bool kHoldsQueries = TensorMemory<D>::kHoldsQueries;
  static constexpr int kOutTiles = D / kMmaColumns;
  static constexpr int kStageUnroll = Operand::kAsStored ? 4 : 1;  // conversions need registers

  // A lane has queries query(0) and query(1), of each tile of columns the two from column() on.
  static __device__ __forceinline__ int query(int half) {
    const int thread = static_cast<int>(threadIdx.x);
    return thread / kWarp * kMmaRows + thread % kWarp / 4 + half * 8;
  }
  static __device__ __forceinline__ int column() { return static_cast<int>(threadIdx.x) % 4 * 2; }

  __device__ __forceinline__ void prepare() {
    clear_padding();
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const bool there = query(half) < tile_.queries();
      begin_key_[half] = there ? tile_.begin_key(query(half), task_.window) : 0;
      end_key_[half] = there ? tile_.end_key(query(half)) : 0;
    }
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
      const uint4 operand = load_queries(step);
      if constexpr (kHoldsQueries) {
        memory_.queries[step * kTensorThreads + threadIdx.x] = operand;  // for the same thread
      } else {
        queries_[step] = operand;
      }
    }
  }

  // Dimensions that the heads do not have are zero.
  __device__ __forceinline__ void clear_padding() const {
    for (int dim = kv_.head_dim + static_cast<int>(threadIdx.x); dim < D; dim += kTensorThreads) {
      for (int piece = 0; piece < kChunkKeys / kEight; ++piece) {
        memory_.keys.at(dim, piece)[0] = make_uint4(0, 0, 0, 0);
      }
    }
    for (int key = threadIdx.x; key < kChunkKeys; key += kTensorThreads) {
      for (int piece = kv_.head_dim / kEight; piece < D / kEight; ++piece) {
        memory_.values.at(key, piece)[0] = make_uint4(0, 0, 0, 0);
      }
    }
  }

  // Scaled, so that the scores are exponents of two.
  __device__ __forceinline__ uint4 load_queries(int step) const {
    uint32_t operand[4];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int q = query(half);
      const int row = tile_.tile.row + q / tile_.group.heads;
      const float* from = task_.query + row * task_.query_stride +
                          static_cast<int64_t>(tile_.group.head + q % tile_.group.heads) * kv_.head_dim;
      const float scale = task_.scale * kLog2OfE;
#pragma unroll
      for (int right = 0; right < 2; ++right) {
        const int i = step * kMmaInner + right * 8 + column();
        const bool there = q < tile_.queries() && i < kv_.head_dim;
        operand[2 * right + half] = there ? Operand::pack(from[i] * scale, from[i + 1] * scale) : 0U;
      }
    }
    return make_uint4(operand[0], operand[1], operand[2], operand[3]);
  }

  __device__ __forceinline__ int64_t page_origin(int chunk) const {
    const StepSlice slice = task_.step.slices[tile_.tile.slice];
    const int64_t page = task_.step.pages[slice.first_page + chunk];
    return (page * kv_.heads + tile_.group.kv_head) * kv_.page_bytes;
  }

  __device__ __forceinline__ void start_keys(int chunk) {
    constexpr int kPieces = kChunkKeys / kEight;
    const std::byte* page = kv_.keys + page_origin(chunk);
#pragma unroll kStageUnroll
    for (int i = threadIdx.x; i < kv_.head_dim * kPieces; i += kTensorThreads) {
      stage_keys<kType>(memory_.keys.at(i / kPieces, i % kPieces), page, kv_.head_dim, i / kPieces, i % kPieces);
    }
    cp_async_commit();
  }

  // Of keys that no query sees nothing is read: what lies there need not be numbers.
  __device__ __forceinline__ void start_values(int chunk) {
    const std::byte* page = kv_.values + page_origin(chunk);
    const int pieces = kv_.head_dim / kEight;
    const int first = tile_.begin(0, chunk, task_.window);
    const int last = tile_.end(tile_.queries() - 1, chunk);
#pragma unroll kStageUnroll
    for (int i = threadIdx.x; i < kChunkKeys * pieces; i += kTensorThreads) {
      const int key = i / pieces;
      const int piece = i - key * pieces;
      stage_values<kType>(memory_.values.at(key, piece), page, kv_.head_dim, key, piece, key >= first && key < last);
    }
    cp_async_commit();
  }

  __device__ __forceinline__ bool sees(int half, int chunk) const {
    return end_key_[half] > chunk * kChunkKeys && begin_key_[half] < (chunk + 1) * kChunkKeys;
  }
  __device__ __forceinline__ bool sees_all(int half, int chunk) const {
    return end_key_[half] >= (chunk + 1) * kChunkKeys && begin_key_[half] <= chunk * kChunkKeys;
  }

  __device__ __forceinline__ void score(float (&scores)[kScoreTiles][4]) const {
#pragma unroll
    for (int tile = 0; tile < kScoreTiles; ++tile) {
      scores[tile][0] = scores[tile][1] = scores[tile][2] = scores[tile][3] = 0.0F;
    }
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
      uint4 query;
      if constexpr (kHoldsQueries) {
        query = memory_.queries[step * kTensorThreads + threadIdx.x];
      } else {
        query = queries_[step];
      }
      const uint32_t left[4] = {query.x, query.y, query.z, query.w};
#pragma unroll
      for (int tile = 0; tile < kScoreTiles; tile += 2) {
        uint32_t first[2];
        uint32_t second[2];
        memory_.keys.load(step * kMmaInner, tile, first, second);
        Operand::multiply(scores[tile], left, first);
        Operand::multiply(scores[tile + 1], left, second);
      }
    }
  }

  // Scores become weights 2^(score - maximum).
  __device__ __forceinline__ void weigh(int chunk, float (&scores)[kScoreTiles][4]) {
    if (__all_sync(kFullMask, sees_all(0, chunk) && sees_all(1, chunk)) == 0) {
      hide_unseen(chunk, scores);
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float maximum = maximum_[half];
#pragma unroll
      for (int tile = 0; tile < kScoreTiles; ++tile) {
        maximum = fmaxf(maximum, fmaxf(scores[tile][2 * half], scores[tile][2 * half + 1]));
      }
      maximum = fmaxf(maximum, __shfl_xor_sync(kFullMask, maximum, 1));
      maximum = fmaxf(maximum, __shfl_xor_sync(kFullMask, maximum, 2));
      const float shift = maximum == -__builtin_inff() ? 0.0F : maximum;  // no key yet
      const float shrink = exp2_approximate(maximum_[half] - shift);
      maximum_[half] = maximum;
      float sum = 0;
#pragma unroll
      for (int tile = 0; tile < kScoreTiles; ++tile) {
#pragma unroll
        for (int i = 2 * half; i < 2 * half + 2; ++i) {
          scores[tile][i] = exp2_approximate(scores[tile][i] - shift);
          sum += scores[tile][i];
        }
      }
      sum_[half] = fmaf(sum_[half], shrink, sum);
#pragma unroll
      for (int tile = 0; tile < kOutTiles; ++tile) {
        out_[tile][2 * half] *= shrink;
        out_[tile][2 * half + 1] *= shrink;
      }
    }
  }

  __device__ __forceinline__ void hide_unseen(int chunk, float (&scores)[kScoreTiles][4]) const {
#pragma unroll
    for (int tile = 0; tile < kScoreTiles; ++tile) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int key = chunk * kChunkKeys + tile * kMmaColumns + column() + i % 2;
        if (key < begin_key_[i / 2] || key >= end_key_[i / 2]) {
          scores[tile][i] = -__builtin_inff();
        }
      }
    }
  }

  // The weights as they lie in the lanes are left operands.
  __device__ __forceinline__ void add_values(const float (&weights)[kScoreTiles][4]) {
#pragma unroll
    for (int step = 0; step < kChunkKeys / kMmaInner; ++step) {
      const float(&low)[4] = weights[2 * step];
      const float(&high)[4] = weights[2 * step + 1];
      const uint32_t left[4] = {Operand::pack(low[0], low[1]), Operand::pack(low[2], low[3]),
                                Operand::pack(high[0], high[1]), Operand::pack(high[2], high[3])};
#pragma unroll
      for (int tile = 0; tile < kOutTiles; tile += 2) {
        uint32_t first[2];
        uint32_t second[2];
        memory_.values.load(step * kMmaInner, tile, first, second);
        Operand::multiply(out_[tile], left, first);
        Operand::multiply(out_[tile + 1], left, second);
      }
    }
  }

  __device__ __forceinline__ void finish() {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float sum = sum_[half];
      sum += __shfl_xor_sync(kFullMask, sum, 1);
      sum += __shfl_xor_sync(kFullMask, sum, 2);
      const int q = query(half);
      if (q < tile_.queries()) {
        task_.segments == 1 ? write(tile_.out(task_, kv_.head_dim, q), half, 1.0F / sum) : write_partial(q, half, sum);
      }
    }
  }

  __device__ __forceinline__ void write(float* to, int half, float scale) const {
#pragma unroll
    for (int tile = 0; tile < kOutTiles; ++tile) {
      const int i = tile * kMmaColumns + column();
      if (i < kv_.head_dim) {
        *reinterpret_cast<float2*>(to + i) =
            make_float2(out_[tile][2 * half] * scale, out_[tile][2 * half + 1] * scale);
      }
    }
  }

  __device__ __forceinline__ void write_partial(int q, int half, float sum) const {
    float* partial = tile_.partial(task_, kv_.head_dim, q);
    write(partial + kPartialHead, half, 1.0F);
    if (column() == 0) {
      const bool any = maximum_[half] != -__builtin_inff();
      partial[0] = maximum_[half] * kLn2;
      partial[1] = any ? sum : kNoSum;
    }
  }

  const AttentionArguments& task_;
  const KvView& kv_;
  const AttentionTile& tile_;
  const TensorMemory<D>& memory_;
  int begin_key_[2];
  int end_key_[2];
  uint4 queries_[kHoldsQueries ? 1 : kSteps];
  float maximum_[2] = {-__builtin_inff(), -__builtin_inff()};
  float sum_[2] = {};  // of the lane's columns
  float out_[kOutTiles][4] = {};
};

/// Blocks for each multiprocessor that registers should allow.
template <int D>
constexpr int kTensorBlocks = D <= 64 ? 3 : 2;

template <KvType kType, int D>
__global__ void __launch_bounds__(kTensorThreads, kTensorBlocks<D>)
    tensor_attention_kernel(const AttentionArguments task, const KvView kv) {
  // The last tiles of a slice see the most keys: they begin first.
  const int index = static_cast<int>(gridDim.x - 1 - blockIdx.x);
  const AttentionTile tile = attention_tile(task, tile_of_slices(task, index));
  if (tile.begin_chunk >= tile.end_chunk) {
    return;
  }
  SharedMemory shared;
  const TensorMemory<D> memory(shared);
  TensorAttentionBlock<kType, D>(task, kv, tile, memory).run();
}

template <KvType kType, int D>
void launch_tensor_tiles(const AttentionArguments& task, const KvView& kv, StreamHandle stream) {
  const LaunchShape shape{.grid = {static_cast<unsigned>(task.tile_count), static_cast<unsigned>(task.group_count),
                                   static_cast<unsigned>(task.segments)},
                          .block = {kTensorThreads},
                          .shared_bytes = TensorMemory<D>::bytes(),
                          .stream = stream};
  launch(tensor_attention_kernel<kType, D>, "tensor_attention", shape, task, kv);
}

inline std::size_t tensor_shared_bytes(int head_dim) {
  return head_dim <= 64    ? TensorMemory<64>::bytes()
         : head_dim <= 128 ? TensorMemory<128>::bytes()
         : head_dim <= 192 ? TensorMemory<192>::bytes()
                           : TensorMemory<256>::bytes();
}

template <KvType kType>
void launch_tensor_type(const AttentionArguments& task, const KvView& kv, StreamHandle stream) {
  if (kv.head_dim <= 64) {
    launch_tensor_tiles<kType, 64>(task, kv, stream);
  } else if (kv.head_dim <= 128) {
    launch_tensor_tiles<kType, 128>(task, kv, stream);
  } else if (kv.head_dim <= 192) {
    launch_tensor_tiles<kType, 192>(task, kv, stream);
  } else {
    launch_tensor_tiles<kType, 256>(task, kv, stream);
  }
}

}  // namespace longship::cuda
