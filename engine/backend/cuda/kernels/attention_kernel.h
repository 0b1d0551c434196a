#pragma once

// Attention of a few queries that share a key/value head, chunk by chunk. A block of four warps has one tile of rows
// times one group of heads and the chunks of one segment. Per chunk: each warp adds up a quarter of the dimensions of
// all scores, two keys a lane; a warp a query turns them into weights; each warp adds up the weighted values of a
// quarter of the keys, two dimensions a lane; the four sums are added and merged with those of the chunks before.

#include "cuda/launch.h"
#include "engine/backend/cuda/kernels/attention.h"
#include "engine/backend/cuda/kernels/attention_merge_inl.h"
#include "engine/backend/cuda/kernels/attention_tile.h"
#include "engine/backend/cuda/kernels/kv_pairs.h"

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
    const int key = 2 * lane();
    const int quarter = (kv_.head_dim + kAttentionWarps - 1) / kAttentionWarps;
    const int begin = warp() * quarter;
    const int end = begin + quarter < kv_.head_dim ? begin + quarter : kv_.head_dim;
    float sums[Q][2] = {};
    if (key + 1 >= first && key < last) {
#pragma unroll 4
      for (int i = begin; i < end; ++i) {
        const float2 pair = load_keys<kType>(keys, kv_.head_dim, i, key);
        const PerQuery<Q> query = memory_.queries[i];
#pragma unroll
        for (int q = 0; q < Q; ++q) {
          sums[q][0] = fmaf(query.values[q], pair.x, sums[q][0]);
          sums[q][1] = fmaf(query.values[q], pair.y, sums[q][1]);
        }
      }
    }
#pragma unroll
    for (int q = 0; q < Q; ++q) {
      const Shared<float> to = memory_.scores + (warp() * Q + q) * kChunkKeys + key;
      to[0] = sums[q][0];
      to[1] = sums[q][1];
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
    float sums[Q][J][2] = {};
    const int begin = warp() * kQuarter > first ? warp() * kQuarter : first;
    const int end = (warp() + 1) * kQuarter < last ? (warp() + 1) * kQuarter : last;
#pragma unroll 2
    for (int key = begin; key < end; ++key) {
      float2 pairs[J];
#pragma unroll
      for (int j = 0; j < J; ++j) {
        const int i = 2 * (lane() + j * kWarp);
        pairs[j] = i < kv_.head_dim ? load_values<kType>(values, kv_.head_dim, i, key) : make_float2(0, 0);
      }
      const PerQuery<Q> weights = memory_.weights[key];
#pragma unroll
      for (int q = 0; q < Q; ++q) {
        if (weights.values[q] != kUnseen) {  // what it does not see need not be a number
#pragma unroll
          for (int j = 0; j < J; ++j) {
            sums[q][j][0] = fmaf(weights.values[q], pairs[j].x, sums[q][j][0]);
            sums[q][j][1] = fmaf(weights.values[q], pairs[j].y, sums[q][j][1]);
          }
        }
      }
    }
#pragma unroll
    for (int j = 0; j < J; ++j) {
      const int i = 2 * (lane() + j * kWarp);
#pragma unroll
      for (int q = 0; q < Q; ++q) {
        const Shared<float> to = memory_.outs + (warp() * Q + q) * kv_.head_dim + i;
        if (i < kv_.head_dim) {
          to[0] = sums[q][j][0];
        }
        if (i + 1 < kv_.head_dim) {
          to[1] = sums[q][j][1];
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

  const AttentionArguments& task_;
  const KvView& kv_;
  const AttentionTile& tile_;
  const AttentionMemory<Q>& memory_;
};

/// Nodes of the merge of a segment's chunks.
inline __host__ __device__ int merge_levels(const AttentionArguments& task) {
  return (task.segment_level < task.levels ? task.segment_level : task.levels) + 1;
}

template <KvType kType, int Q, int J>
__global__ void __launch_bounds__(kAttentionThreads, 4)
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

/// J: pairs of dimensions of a lane.
template <KvType kType>
void launch_attention_type(const AttentionArguments& task, const KvView& kv, StreamHandle stream) {
  const int pairs = (kv.head_dim + 2 * kWarp - 1) / (2 * kWarp);
  if (pairs > 4) {
    launch_attention_tiles<kType, 2, 8>(task, kv, stream);
  } else if (pairs > 2) {
    task.queries == 1 ? launch_attention_tiles<kType, 1, 4>(task, kv, stream)
                      : launch_attention_tiles<kType, 4, 4>(task, kv, stream);
  } else if (task.queries == 1) {
    launch_attention_tiles<kType, 1, 2>(task, kv, stream);
  } else if (task.queries <= 4) {
    launch_attention_tiles<kType, 4, 2>(task, kv, stream);
  } else {
    launch_attention_tiles<kType, 8, 2>(task, kv, stream);
  }
}

}  // namespace longship::cuda
