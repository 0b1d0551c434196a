#pragma once

// Attention of a few queries that share a key/value head, chunk by chunk. A block of four warps has one tile of rows
// times one group of heads and the chunks of one segment. Per chunk: each warp adds up a quarter of the dimensions of
// all scores, eight keys of every fourth dimension a lane; a warp a query turns them into weights; each warp adds up
// the weighted values of a quarter of the keys, eight dimensions a lane; the four sums are added and merged with those
// of the chunks before.

#include "cuda/launch.h"
#include "engine/backend/cuda/kernels/attention.h"
#include "engine/backend/cuda/kernels/attention_merge_inl.h"
#include "engine/backend/cuda/kernels/attention_tile.h"
#include "engine/backend/cuda/kernels/kv_eight.h"

namespace longship::cuda {

inline constexpr int kAttentionWarps = 4;
inline constexpr int kAttentionThreads = kAttentionWarps * kWarp;

/// A number for each query, side by side.
template <int Q>
struct alignas(Q >= 4 ? 16 : 4 * Q) PerQuery {
  float values[Q];
};

/// Shared memory of a block. `levels` nodes of unmerged results for each query.
template <int Q>
struct AttentionMemory {
  __device__ AttentionMemory(SharedMemory& memory, int head_dim, int levels)
      : queries(memory.take<PerQuery<Q>>(head_dim)),
        scores(memory.take<float>(kAttentionWarps * Q * kChunkKeys)),
        weights(memory.take<PerQuery<Q>>(kChunkKeys)),
        maxima(memory.take<float>(Q)),
        sums(memory.take<float>(Q)),
        outs(memory.take<float>(kAttentionWarps * Q * head_dim)),
        node_maxima(memory.take<float>(levels * Q)),
        node_sums(memory.take<float>(levels * Q)),
        node_outs(memory.take<float>(levels * Q * head_dim)) {}

  static std::size_t bytes(int head_dim, int levels) {
    const auto dim = static_cast<std::size_t>(head_dim);
    const auto nodes = static_cast<std::size_t>(levels) * Q;
    return shared_bytes<PerQuery<Q>>(dim) + shared_bytes<float>(kAttentionWarps * Q * kChunkKeys) +
           shared_bytes<PerQuery<Q>>(kChunkKeys) + 2 * shared_bytes<float>(Q) +
           shared_bytes<float>(kAttentionWarps * Q * dim) + 2 * shared_bytes<float>(nodes) +
           shared_bytes<float>(nodes * dim);
  }

  Shared<PerQuery<Q>> queries;  ///< [Dh]
  Shared<float> scores;         ///< [warps][Q][64] of the warps' dimensions
  Shared<PerQuery<Q>> weights;  ///< [64]
  Shared<float> maxima;         ///< [Q] of the chunk
  Shared<float> sums;
  Shared<float> outs;         ///< [warps][Q][Dh] of the warps' keys
  Shared<float> node_maxima;  ///< [levels][Q]
  Shared<float> node_sums;
  Shared<float> node_outs;  ///< [levels][Q][Dh]
};

template <KvType kType, int Q, int J>
class AttentionBlock {
 public:
  __device__ AttentionBlock(const AttentionArguments& task, const KvView& kv, const AttentionTile& tile,
                            const AttentionMemory<Q>& memory)
      : task_(task), kv_(kv), tile_(tile), memory_(memory) {}

  __device__ void run(int levels) {
    prepare(levels);
    for (int chunk = tile_.begin_chunk; chunk < tile_.end_chunk; ++chunk) {
      const StepSlice slice = task_.step.slices[tile_.tile.slice];
      const int64_t page = task_.step.pages[slice.first_page + chunk];
      const int64_t origin = (page * kv_.heads + tile_.group.kv_head) * kv_.page_bytes;
      // Keys that any query sees: the first row's begin first, the last row's end last.
      const int first = tile_.begin(0, chunk, task_.window);
      const int last = tile_.end(tile_.queries() - 1, chunk);
      score(kv_.keys + origin, first, last);
      __syncthreads();
      weigh(chunk);
      __syncthreads();
      accumulate(kv_.values + origin, first, last);
      __syncthreads();
      add_chunk(chunk - tile_.first_chunk);
    }
    finish(tile_.end_chunk - tile_.first_chunk);
  }

 private:
  static __device__ __forceinline__ int warp() { return static_cast<int>(threadIdx.x) / kWarp; }
  static __device__ __forceinline__ int lane() { return static_cast<int>(threadIdx.x) % kWarp; }

  __device__ void prepare(int levels) {
    for (int i = threadIdx.x; i < kv_.head_dim; i += kAttentionThreads) {
      PerQuery<Q> values;
#pragma unroll
      for (int q = 0; q < Q; ++q) {
        const int row = tile_.tile.row + q / tile_.group.heads;
        const int head = tile_.group.head + q % tile_.group.heads;
        values.values[q] = q < tile_.queries() ? task_.query[row * task_.query_stride + head * kv_.head_dim + i] : 0.0F;
      }
      memory_.queries[i] = values;
    }
    for (int i = threadIdx.x; i < levels * Q; i += kAttentionThreads) {
      memory_.node_maxima[i] = -__builtin_inff();
      memory_.node_sums[i] = kNoSum;
    }
    for (int i = threadIdx.x; i < levels * Q * kv_.head_dim; i += kAttentionThreads) {
      memory_.node_outs[i] = 0.0F;
    }
    __syncthreads();
  }

  __device__ void score(const std::byte* keys, int first, int last) {
    const int key = lane() % kKeyLanes * kEight;
    const int quarter = (kv_.head_dim + kAttentionWarps - 1) / kAttentionWarps;
    const int begin = warp() * quarter;
    const int end = begin + quarter < kv_.head_dim ? begin + quarter : kv_.head_dim;
    float sums[Q][kEight] = {};
    if (key + kEight > first && key < last) {
#pragma unroll kScoreUnroll
      for (int i = begin + lane() / kKeyLanes; i < end; i += kWarp / kKeyLanes) {
        float eight[kEight];
        load_keys<kType>(keys, kv_.head_dim, i, key, eight);
        const PerQuery<Q> query = memory_.queries[i];
#pragma unroll
        for (int q = 0; q < Q; ++q) {
#pragma unroll
          for (int j = 0; j < kEight; ++j) {
            sums[q][j] = fmaf(query.values[q], eight[j], sums[q][j]);
          }
        }
      }
    }
    write_scores(key, sums);
  }

  // Adds the sums of the four lanes with the same keys; each keeps two keys.
  __device__ __forceinline__ void write_scores(int key, const float (&sums)[Q][kEight]) {
    const bool second_half = (lane() & 16) != 0;
    const bool second_quarter = (lane() & 8) != 0;
    const Shared<float> to =
        memory_.scores + warp() * Q * kChunkKeys + key + (second_half ? 4 : 0) + (second_quarter ? 2 : 0);
#pragma unroll
    for (int q = 0; q < Q; ++q) {
      float four[4];
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const float other = __shfl_xor_sync(kFullMask, second_half ? sums[q][j] : sums[q][j + 4], 16);
        four[j] = (second_half ? sums[q][j + 4] : sums[q][j]) + other;
      }
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        const float other = __shfl_xor_sync(kFullMask, second_quarter ? four[j] : four[j + 2], 8);
        to[q * kChunkKeys + j] = (second_quarter ? four[j + 2] : four[j]) + other;
      }
    }
  }

  // Weights exp(score - maximum) of the keys that a query sees; the others get kUnseen.
  __device__ void weigh(int chunk) {
    for (int q = warp(); q < Q; q += kAttentionWarps) {
      const bool there = q < tile_.queries();
      const int begin = there ? tile_.begin(q, chunk, task_.window) : 0;
      const int end = there ? tile_.end(q, chunk) : 0;
      float scores[2];
      bool seen[2];
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int key = lane() + half * kWarp;
        const Shared<float> from = memory_.scores + q * kChunkKeys + key;
        const float sum = (from[0] + from[Q * kChunkKeys]) + (from[2 * Q * kChunkKeys] + from[3 * Q * kChunkKeys]);
        seen[half] = key >= begin && key < end;
        scores[half] = seen[half] ? sum * task_.scale : -__builtin_inff();
      }
      const float maximum = warp_max(fmaxf(scores[0], scores[1]));
      float weights[2];
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        weights[half] = seen[half] ? exponential(scores[half] - maximum) : 0.0F;
        shared_cast<float>(memory_.weights)[(lane() + half * kWarp) * Q + q] = seen[half] ? weights[half] : kUnseen;
      }
      const float sum = warp_sum(weights[0] + weights[1]);
      if (lane() == 0) {
        memory_.maxima[q] = maximum;
        memory_.sums[q] = begin < end ? sum : kNoSum;
      }
    }
  }

  __device__ void accumulate(const std::byte* values, int first, int last) {
    constexpr int kQuarter = kChunkKeys / kAttentionWarps;
    const int lanes = kv_.head_dim <= 64 ? 8 : (kv_.head_dim <= 128 ? 16 : kWarp);  // of a key
    const int dim = lane() % lanes * kEight;
    float sums[Q][J][kEight] = {};
#pragma unroll 2
    for (int in_quarter = lane() / lanes; in_quarter < kQuarter; in_quarter += kWarp / lanes) {
      const int key = warp() * kQuarter + in_quarter;
      if (key < first || key >= last) {
        continue;
      }
      const PerQuery<Q> weights = memory_.weights[key];
#pragma unroll
      for (int j = 0; j < J; ++j) {
        const int i = dim + j * kWarp * kEight;
        if (i < kv_.head_dim) {
          float eight[kEight];
          load_values<kType>(values, kv_.head_dim, i, key, eight);
          add_weighted(weights, eight, j, sums);
        }
      }
    }
    write_outs(lanes, dim, sums);
  }

  static __device__ __forceinline__ void add_weighted(const PerQuery<Q>& weights, const float (&eight)[kEight], int j,
                                                      float (&sums)[Q][J][kEight]) {
#pragma unroll
    for (int q = 0; q < Q; ++q) {
      if (weights.values[q] != kUnseen) {  // what it does not see need not be a number
#pragma unroll
        for (int i = 0; i < kEight; ++i) {
          sums[q][j][i] = fmaf(weights.values[q], eight[i], sums[q][j][i]);
        }
      }
    }
  }

  // Adds the sums of the lanes with the same dimensions.
  __device__ __forceinline__ void write_outs(int lanes, int dim, const float (&sums)[Q][J][kEight]) {
#pragma unroll
    for (int q = 0; q < Q; ++q) {
      const Shared<float> to = memory_.outs + (warp() * Q + q) * kv_.head_dim;
#pragma unroll
      for (int j = 0; j < J; ++j) {
#pragma unroll
        for (int i = 0; i < kEight; ++i) {
          float sum = sums[q][j][i];
          for (int step = kWarp / 2; step >= lanes; step /= 2) {
            sum = sum + __shfl_xor_sync(kFullMask, sum, step);
          }
          const int at = dim + j * kWarp * kEight + i;
          if (lane() < lanes && at < kv_.head_dim) {
            to[at] = sum;
          }
        }
      }
    }
  }

  // Each thread keeps the same values of all queries, so nodes are its own; of a level, which nobody else reads until
  // the next barrier, the thread of dimension 0 writes maximum and sum.
  __device__ void add_chunk(int chunk) {
    const int stride = Q * kv_.head_dim;
    for (int q = 0; q < tile_.queries(); ++q) {
      for (int i = threadIdx.x; i < kv_.head_dim; i += kAttentionThreads) {
        const Shared<float> from = memory_.outs + q * kv_.head_dim + i;
        MergeValue value{memory_.maxima[q], memory_.sums[q],
                         (from[0] + from[stride]) + (from[2 * stride] + from[3 * stride])};
        int level = 0;
        for (; ((chunk >> level) & 1) != 0; ++level) {
          value = merge(node(level, q, i), value);
        }
        memory_.node_outs[level * stride + q * kv_.head_dim + i] = value.out;
        if (i == 0) {
          memory_.node_maxima[level * Q + q] = value.maximum;
          memory_.node_sums[level * Q + q] = value.sum;
        }
      }
    }
  }

  __device__ __forceinline__ MergeValue node(int level, int q, int i) const {
    return {memory_.node_maxima[level * Q + q], memory_.node_sums[level * Q + q],
            memory_.node_outs[(level * Q + q) * kv_.head_dim + i]};
  }

  // Nodes left over after `chunks` chunks, newest to oldest.
  __device__ void finish(int chunks) {
    __syncthreads();
    for (int q = 0; q < tile_.queries(); ++q) {
      for (int i = threadIdx.x; i < kv_.head_dim; i += kAttentionThreads) {
        MergeValue value;
        for (int level = 0; (chunks >> level) != 0; ++level) {
          if (((chunks >> level) & 1) != 0) {
            value = merge(node(level, q, i), value);
          }
        }
        write(q, i, value);
      }
    }
  }

  __device__ void write(int q, int i, const MergeValue& value) {
    if (task_.segments == 1) {
      tile_.out(task_, kv_.head_dim, q)[i] = value.out / value.sum;
      return;
    }
    float* partial = tile_.partial(task_, kv_.head_dim, q);
    partial[kPartialHead + i] = value.out;
    if (i == 0) {
      partial[0] = value.maximum;
      partial[1] = value.sum;
    }
  }

  static constexpr float kUnseen = -1.0F;
  static constexpr int kScoreUnroll = Q == 8 && (kType == KvType::kF32 || kType == KvType::kBF16) ? 2 : 4;  // registers
  static constexpr int kKeyLanes = kChunkKeys / kEight;  // of the keys of a dimension

  const AttentionArguments& task_;
  const KvView& kv_;
  const AttentionTile& tile_;
  const AttentionMemory<Q>& memory_;
};

/// Nodes of the merge of a segment's chunks.
inline __host__ __device__ int merge_levels(const AttentionArguments& task) {
  return (task.segment_level < task.levels ? task.segment_level : task.levels) + 1;
}

/// Blocks for each multiprocessor that registers should allow; many queries of types without scales would spill.
template <KvType kType, int Q>
constexpr int kAttentionBlocks = Q == 8 && (kType == KvType::kF32 || kType == KvType::kBF16) ? 3 : 4;

template <KvType kType, int Q, int J>
__global__ void __launch_bounds__(kAttentionThreads, kAttentionBlocks<kType, Q>)
    attention_kernel(const AttentionArguments task, const KvView kv) {
  const AttentionTile tile = attention_tile(task, task.tiles[blockIdx.x]);
  if (tile.begin_chunk >= tile.end_chunk) {
    return;
  }
  const int levels = merge_levels(task);
  SharedMemory shared;
  const AttentionMemory<Q> memory(shared, kv.head_dim, levels);
  AttentionBlock<kType, Q, J>(task, kv, tile, memory).run(levels);
}

template <KvType kType, int Q, int J>
void launch_attention_tiles(const AttentionArguments& task, const KvView& kv, StreamHandle stream) {
  const LaunchShape shape{.grid = {static_cast<unsigned>(task.tile_count), static_cast<unsigned>(task.group_count),
                                   static_cast<unsigned>(task.segments)},
                          .block = {kAttentionThreads},
                          .shared_bytes = AttentionMemory<Q>::bytes(kv.head_dim, merge_levels(task)),
                          .stream = stream};
  launch(attention_kernel<kType, Q, J>, "attention", shape, task, kv);
}

/// J: times that a lane has eight dimensions.
template <KvType kType>
void launch_attention_type(const AttentionArguments& task, const KvView& kv, StreamHandle stream) {
  if (kv.head_dim > kWarp * kEight) {
    launch_attention_tiles<kType, 2, 2>(task, kv, stream);
  } else if (task.queries == 1) {
    launch_attention_tiles<kType, 1, 1>(task, kv, stream);
  } else if (task.queries <= 4) {
    launch_attention_tiles<kType, 4, 1>(task, kv, stream);
  } else {
    launch_attention_tiles<kType, 8, 1>(task, kv, stream);
  }
}

}  // namespace longship::cuda
