// Attention of a few query rows that share a key/value head.

namespace longship::LONGSHIP_CPU_NAMESPACE {

constexpr int kChunkVectors = static_cast<int>(cpu::kChunkKeys / cpu::kLanes);

/// Keys and values of type kHalf ? f16 : f32.
template <bool kHalf>
struct KvValues {
  static constexpr int64_t kBytes = kHalf ? 2 : 4;

  static LONGSHIP_INLINE F32 vector(const std::byte* base, int64_t index) {
    if constexpr (kHalf) {
      return load_f16(reinterpret_cast<const uint16_t*>(base) + index);
    } else {
      return load(reinterpret_cast<const float*>(base) + index);
    }
  }

  static LONGSHIP_INLINE F32 vector_n(const std::byte* base, int64_t index, int64_t lanes) {
    if constexpr (kHalf) {
      uint16_t last[cpu::kLanes] = {};
      __builtin_memcpy(last, base + index * kBytes, static_cast<size_t>(lanes * kBytes));
      return load_f16(last);
    } else {
      return load_n(reinterpret_cast<const float*>(base) + index, lanes);
    }
  }
};

/// Sum of exp(score - maximum) v over some keys, not yet divided by `sum`, in a buffer of kMaxHeadDim values.
struct AttentionPartial {
  float maximum;
  float sum;
  float* out;
};

/// The buffers of one query: at most one partial a level, and the one being added.
class PartialBuffers {
 public:
  explicit PartialBuffers(int64_t head_dim) : head_dim_(head_dim) {
    for (float* buffer = storage_; free_count_ < kCount; buffer += cpu::kMaxHeadDim) {
      free_[free_count_++] = buffer;
    }
  }

  int64_t head_dim() const { return head_dim_; }
  float* take() { return free_[--free_count_]; }
  void give_back(float* buffer) { free_[free_count_++] = buffer; }

 private:
  static constexpr int kCount = cpu::kMergeLevels + 1;
  alignas(64) float storage_[kCount * cpu::kMaxHeadDim];
  int64_t head_dim_;
  float* free_[kCount];
  int free_count_ = 0;
};

struct MergePartials {
  PartialBuffers& buffers;

  AttentionPartial operator()(const AttentionPartial& older, const AttentionPartial& newer) const {
    const float maximum = older.maximum < newer.maximum ? newer.maximum : older.maximum;
    const F32 a = exp(broadcast(older.maximum - maximum));
    const F32 b = exp(broadcast(newer.maximum - maximum));
    for_each_vector(buffers.head_dim(), [&](int64_t i, int64_t lanes) {
      const F32 scaled = mul(load_n(newer.out + i, lanes), b);
      store_n(older.out + i, fma(load_n(older.out + i, lanes), a, scaled), lanes);
    });
    buffers.give_back(newer.out);
    const F32 sum = fma(broadcast(older.sum), a, mul(broadcast(newer.sum), b));
    return {maximum, first_lane(sum), older.out};
  }
};

/// Where one query gathers its chunks.
struct Gatherer {
  explicit Gatherer(int64_t head_dim) : buffers(head_dim) {}
  Gatherer(const Gatherer&) = delete;

  PartialBuffers buffers;
  ChunkMerger<AttentionPartial, MergePartials> merger{MergePartials{buffers}};
};

/// One query row of one head, which sees the keys [begin, end).
struct Query {
  const float* values;
  float* out;
  int64_t begin;
  int64_t end;
};

/// Q queries against the keys of one chunk.
template <bool kHalf, int Q>
class Chunk {
 public:
  using Values = KvValues<kHalf>;

  Chunk(const cpu::AttentionTask& task, const Query (&queries)[Q], int64_t first, int64_t origin)
      : head_dim_(task.head_dim),
        keys_(static_cast<const std::byte*>(task.keys) + origin * Values::kBytes),
        values_(static_cast<const std::byte*>(task.values) + origin * Values::kBytes) {
    for (int q = 0; q < Q; ++q) {
      const int64_t begin = queries[q].begin - first;
      const int64_t end = queries[q].end - first;
      begin_[q] = begin < 0 ? 0 : begin;
      end_[q] = end < cpu::kChunkKeys ? end : cpu::kChunkKeys;
    }
    score(queries, task.scale);
  }

  bool sees_keys(int q) const { return begin_[q] < end_[q]; }
  int64_t begin(int q) const { return begin_[q]; }
  int64_t end(int q) const { return end_[q]; }

  /// Turns the scores of query q into weights exp(score - maximum); keys that it does not see get 0.
  AttentionPartial weigh(int q, float* out) {
    const F32 nothing = broadcast(-__builtin_inff());
    F32 scores[kChunkVectors];
    F32 highest = nothing;
    for (int v = 0; v < kChunkVectors; ++v) {
      const int64_t first = v * cpu::kLanes;
      scores[v] = select_lanes(clamp(begin_[q] - first), clamp(end_[q] - first), load(weights_[q] + first), nothing);
      highest = max(highest, scores[v]);
    }
    const float maximum = max_lanes(highest);
    for (int v = 0; v < kChunkVectors; ++v) {
      scores[v] = exp(sub(scores[v], broadcast(maximum)));
      store(weights_[q] + v * cpu::kLanes, scores[v]);
    }
    const F32 sum = add(add(scores[0], scores[1]), add(scores[2], scores[3]));
    return {maximum, sum_lanes(sum), out};
  }

  /// out[i] += weight x value for keys [begin, end), in that order, of N queries from `first` on.
  template <int N>
  void accumulate(int first, int64_t begin, int64_t end, float* const* out) const {
    int64_t i = 0;
    for (; i + 4 * cpu::kLanes <= head_dim_; i += 4 * cpu::kLanes) {
      accumulate_columns<N, 4>(first, begin, end, i, out);
    }
    for (; i + cpu::kLanes <= head_dim_; i += cpu::kLanes) {
      accumulate_columns<N, 1>(first, begin, end, i, out);
    }
    if (i < head_dim_) {
      accumulate_last<N>(first, begin, end, i, out);
    }
  }

 private:
  static int64_t clamp(int64_t lane) { return lane < 0 ? 0 : (lane > cpu::kLanes ? cpu::kLanes : lane); }

  // A lane a key, so that a score is one sum over the head's dimensions in order.
  void score(const Query (&queries)[Q], float scale) {
    F32 scores[Q][kChunkVectors];
    for (int q = 0; q < Q; ++q) {
      for (int v = 0; v < kChunkVectors; ++v) {
        scores[q][v] = zero();
      }
    }
    for (int64_t i = 0; i < head_dim_; ++i) {
      F32 keys[kChunkVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kChunkVectors; ++v) {
        keys[v] = Values::vector(keys_, i * cpu::kChunkKeys + v * cpu::kLanes);
      }
#pragma GCC unroll 8
      for (int q = 0; q < Q; ++q) {
        const F32 value = broadcast(queries[q].values[i]);
#pragma GCC unroll 8
        for (int v = 0; v < kChunkVectors; ++v) {
          scores[q][v] = fma(keys[v], value, scores[q][v]);
        }
      }
    }
    for (int q = 0; q < Q; ++q) {
      for (int v = 0; v < kChunkVectors; ++v) {
        store(weights_[q] + v * cpu::kLanes, mul(scores[q][v], broadcast(scale)));
      }
    }
  }

  template <int N, int V>
  LONGSHIP_INLINE void accumulate_columns(int first, int64_t begin, int64_t end, int64_t column,
                                          float* const* out) const {
    F32 sums[N][V];
#pragma GCC unroll 8
    for (int q = 0; q < N; ++q) {
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) {
        sums[q][v] = load(out[q] + column + v * cpu::kLanes);
      }
    }
    for (int64_t key = begin; key < end; ++key) {
      F32 values[V];
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) {
        values[v] = Values::vector(values_, key * head_dim_ + column + v * cpu::kLanes);
      }
#pragma GCC unroll 8
      for (int q = 0; q < N; ++q) {
        const F32 weight = broadcast(weights_[first + q][key]);
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) {
          sums[q][v] = fma(weight, values[v], sums[q][v]);
        }
      }
    }
#pragma GCC unroll 8
    for (int q = 0; q < N; ++q) {
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) {
        store(out[q] + column + v * cpu::kLanes, sums[q][v]);
      }
    }
  }

  template <int N>
  LONGSHIP_INLINE void accumulate_last(int first, int64_t begin, int64_t end, int64_t column, float* const* out) const {
    const int64_t lanes = head_dim_ - column;
    for (int64_t key = begin; key < end; ++key) {
      const F32 value = Values::vector_n(values_, key * head_dim_ + column, lanes);
      for (int q = 0; q < N; ++q) {
        const F32 sum = load_n(out[q] + column, lanes);
        store_n(out[q] + column, fma(broadcast(weights_[first + q][key]), value, sum), lanes);
      }
    }
  }

  int64_t head_dim_;
  const std::byte* keys_;
  const std::byte* values_;
  int64_t begin_[Q];
  int64_t end_[Q];
  alignas(64) float weights_[Q][cpu::kChunkKeys];
};

/// The values of one chunk, weighted, for all its queries. Keys that all of them see are read once; each query's sum
/// runs over its own keys in order.
template <bool kHalf, int Q>
void gather_values(const Chunk<kHalf, Q>& chunk, float* const (&out)[Q], int64_t head_dim) {
  int64_t begin = 0;
  int64_t end = cpu::kChunkKeys;
  for (int q = 0; q < Q; ++q) {
    begin = chunk.begin(q) > begin ? chunk.begin(q) : begin;
    end = chunk.end(q) < end ? chunk.end(q) : end;
    if (chunk.sees_keys(q)) {
      for_each_vector(head_dim, [&](int64_t i, int64_t lanes) { store_n(out[q] + i, zero(), lanes); });
    }
  }
  if (begin >= end) {
    for (int q = 0; q < Q; ++q) {
      if (chunk.sees_keys(q)) {
        chunk.template accumulate<1>(q, chunk.begin(q), chunk.end(q), out + q);
      }
    }
    return;
  }
  for (int q = 0; q < Q; ++q) {
    chunk.template accumulate<1>(q, chunk.begin(q), begin, out + q);
  }
  chunk.template accumulate<Q>(0, begin, end, out);
  for (int q = 0; q < Q; ++q) {
    chunk.template accumulate<1>(q, end, chunk.end(q), out + q);
  }
}

/// All keys of Q queries of one unit, chunk by chunk. Rows are in order: the first query's keys begin first, the
/// last one's end last.
template <bool kHalf, int Q>
void attend(const cpu::AttentionTask& task, const cpu::AttentionUnit& unit, const Query (&queries)[Q],
            Gatherer* const (&gatherers)[Q]) {
  for (int64_t index = queries[0].begin / cpu::kChunkKeys; index * cpu::kChunkKeys < queries[Q - 1].end; ++index) {
    const int64_t origin = (unit.pages[index] * task.kv_heads + unit.kv_head) * task.head_dim * cpu::kChunkKeys;
    Chunk<kHalf, Q> chunk(task, queries, index * cpu::kChunkKeys, origin);
    AttentionPartial partials[Q];
    float* out[Q];
    for (int q = 0; q < Q; ++q) {
      out[q] = gatherers[q]->buffers.take();
      if (chunk.sees_keys(q)) {
        partials[q] = chunk.weigh(q, out[q]);
      }
    }
    gather_values(chunk, out, task.head_dim);
    for (int q = 0; q < Q; ++q) {
      if (chunk.sees_keys(q)) {
        gatherers[q]->merger.add(index, partials[q]);
      } else {
        gatherers[q]->buffers.give_back(out[q]);
      }
    }
  }
  for (int q = 0; q < Q; ++q) {
    const AttentionPartial total = gatherers[q]->merger.finish();
    for_each_vector(task.head_dim, [&](int64_t i, int64_t lanes) {
      store_n(queries[q].out + i, div(load_n(total.out + i, lanes), broadcast(total.sum)), lanes);
    });
  }
}

template <bool kHalf, int Q>
void attend_unit(const cpu::AttentionTask& task, const cpu::AttentionUnit& unit) {
  Query queries[Q];
  for (int q = 0; q < Q; ++q) {
    const int64_t row = q / unit.heads;
    const int64_t column = (unit.head + q % unit.heads) * task.head_dim;
    const int64_t end = unit.position + row + 1;
    const int64_t begin = task.window == 0 || end < task.window ? 0 : end - task.window;
    queries[q] = {task.query + (unit.row + row) * task.query_stride + column,
                  task.out + (unit.row + row) * task.out_stride + column, begin, end};
  }
  Gatherer gatherers[cpu::kMaxQueries] = {Gatherer(task.head_dim), Gatherer(task.head_dim), Gatherer(task.head_dim),
                                          Gatherer(task.head_dim)};
  Gatherer* pointers[Q];
  for (int q = 0; q < Q; ++q) {
    pointers[q] = &gatherers[q];
  }
  attend<kHalf, Q>(task, unit, queries, pointers);
}

template <bool kHalf>
void attend_unit(const cpu::AttentionTask& task, const cpu::AttentionUnit& unit) {
  switch (unit.rows * unit.heads) {
    case 1:
      return attend_unit<kHalf, 1>(task, unit);
    case 2:
      return attend_unit<kHalf, 2>(task, unit);
    case 3:
      return attend_unit<kHalf, 3>(task, unit);
    default:
      return attend_unit<kHalf, 4>(task, unit);
  }
}

inline void attention(const cpu::AttentionTask& task, const cpu::AttentionUnit& unit) {
  static_assert(cpu::kMaxQueries == 4);
  return task.half ? attend_unit<true>(task, unit) : attend_unit<false>(task, unit);
}

}  // namespace longship::LONGSHIP_CPU_NAMESPACE
