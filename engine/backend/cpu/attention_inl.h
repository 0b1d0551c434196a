// Attention of a few query rows that share a key/value head.

namespace longship::LONGSHIP_CPU_NAMESPACE {

/// Sum of exp(score - maximum) v over some keys, not yet divided by `sum`, in a buffer of kMaxHeadDim values.
struct AttentionPartial {
  float maximum;
  float sum;
  float* out;
};

/// The buffers of one query: at most one partial a level, and the one being added.
class PartialBuffers {
 public:
  PartialBuffers() {
    for (float* buffer = storage_; free_count_ < kCount; buffer += cpu::kMaxHeadDim) {
      free_[free_count_++] = buffer;
    }
  }

  void set_head_dim(int64_t head_dim) { head_dim_ = head_dim; }
  int64_t head_dim() const { return head_dim_; }
  float* take() { return free_[--free_count_]; }
  void give_back(float* buffer) { free_[free_count_++] = buffer; }

 private:
  static constexpr int kCount = cpu::kMergeLevels + 1;
  alignas(64) float storage_[kCount * cpu::kMaxHeadDim];
  int64_t head_dim_ = 0;
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
  Gatherer() = default;
  Gatherer(const Gatherer&) = delete;

  PartialBuffers buffers;
  ChunkMerger<AttentionPartial, MergePartials> merger{MergePartials{buffers}};
};

/// One query row of one head, which sees the keys [begin, end).
struct Query {
  const float* values;
  int64_t begin;
  int64_t end;
};

/// Vectors of each of Q queries that are summed up together: as many as leave their sums in registers.
template <int Q>
constexpr int vectors_together() {
  constexpr int kMostSums = kRegisters >= 32 ? 24 : 6;
  int vectors = kChunkVectors;
  while (vectors > 1 && vectors * Q > kMostSums) {
    vectors /= 2;
  }
  return vectors;
}

/// Where one head's keys and values of a page lie.
struct PageHead {
  const std::byte* keys;
  const std::byte* values;

  PageHead(const cpu::AttentionTask& task, const cpu::AttentionUnit& unit, int64_t chunk) {
    const int64_t at = (unit.pages[chunk] * task.kv_heads + unit.kv_head) * task.page_bytes;
    keys = static_cast<const std::byte*>(task.keys) + at;
    values = static_cast<const std::byte*>(task.values) + at;
  }

  /// Asks for `bytes` bytes from `begin` on.
  LONGSHIP_INLINE void prefetch(int64_t begin, int64_t bytes) const {
    for (int64_t at = begin; at < begin + bytes; at += cpu::kCacheLine) {
      prefetch_second_cache(keys + at);
      prefetch_second_cache(values + at);
    }
  }
};

/// Q queries against the keys of one chunk.
template <cpu::KvType kType, int Q>
class Chunk {
 public:
  /// The page holds keys from `first` on. Asks meanwhile for page `next`, if it is not null.
  Chunk(const cpu::AttentionTask& task, const Query (&queries)[Q], int64_t first, const PageHead& page,
        const PageHead* next)
      : head_dim_(task.head_dim), keys_(page.keys, task.head_dim), values_(page.values, task.head_dim) {
    for (int q = 0; q < Q; ++q) {
      const int64_t begin = queries[q].begin - first;
      const int64_t end = queries[q].end - first;
      begin_[q] = begin < 0 ? 0 : begin;
      end_[q] = end < cpu::kChunkKeys ? end : cpu::kChunkKeys;
    }
    score(queries, task.scale, task.page_bytes / task.head_dim, next);
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
    constexpr int kVectors = vectors_together<N>();
    int64_t i = 0;
    for (; i + kVectors * cpu::kLanes <= head_dim_; i += kVectors * cpu::kLanes) {
      accumulate_columns<N, kVectors>(first, begin, end, i, out);
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

  void score(const Query (&queries)[Q], float scale, int64_t row_bytes, const PageHead* next) {
    constexpr int kVectors = vectors_together<Q>();
    for (int first = 0; first < kChunkVectors; first += kVectors) {
      score_keys<kVectors>(queries, scale, first, row_bytes, first == 0 ? next : nullptr);
    }
  }

  // A lane a key, so that a score is one sum over the head's dimensions in order.
  template <int V>
  LONGSHIP_INLINE void score_keys(const Query (&queries)[Q], float scale, int first, int64_t row_bytes,
                                  const PageHead* next) {
    F32 scores[Q][V];
#pragma GCC unroll 8
    for (int q = 0; q < Q; ++q) {
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) {
        scores[q][v] = zero();
      }
    }
    for (int64_t i = 0; i < head_dim_; ++i) {
      if (next != nullptr) {
        next->prefetch(i * row_bytes, row_bytes);
      }
      F32 keys[V];
      keys_.row(i, first, keys);
#pragma GCC unroll 8
      for (int q = 0; q < Q; ++q) {
        const F32 value = broadcast(queries[q].values[i]);
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) {
          scores[q][v] = fma(keys[v], value, scores[q][v]);
        }
      }
    }
#pragma GCC unroll 8
    for (int q = 0; q < Q; ++q) {
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) {
        store(weights_[q] + (first + v) * cpu::kLanes, mul(scores[q][v], broadcast(scale)));
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
        values[v] = values_.vector(key, column + v * cpu::kLanes);
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
      const F32 value = values_.vector_n(key, column, lanes);
      for (int q = 0; q < N; ++q) {
        const F32 sum = load_n(out[q] + column, lanes);
        store_n(out[q] + column, fma(broadcast(weights_[first + q][key]), value, sum), lanes);
      }
    }
  }

  int64_t head_dim_;
  KeyPage<kType> keys_;
  ValuePage<kType> values_;
  int64_t begin_[Q];
  int64_t end_[Q];
  alignas(64) float weights_[Q][cpu::kChunkKeys];
};

/// The values of one chunk, weighted, for all its queries. Keys that all of them see are read once; each query's sum
/// runs over its own keys in order.
template <cpu::KvType kType, int Q>
void gather_values(const Chunk<kType, Q>& chunk, float* const (&out)[Q], int64_t head_dim) {
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

/// Writes what one query gathered: its output, or a partial of the unit.
inline void write_total(const cpu::AttentionTask& task, const AttentionPartial& total, float* out) {
  for_each_vector(task.head_dim, [&](int64_t i, int64_t lanes) {
    store_n(out + i, div(load_n(total.out + i, lanes), broadcast(total.sum)), lanes);
  });
}

inline void write_partial(const cpu::AttentionTask& task, const AttentionPartial& total, float* partial) {
  partial[0] = total.maximum;
  partial[1] = total.sum;
  for_each_vector(task.head_dim, [&](int64_t i, int64_t lanes) {
    store_n(partial + cpu::kLanes + i, load_n(total.out + i, lanes), lanes);
  });
}

inline float* partial_of(const cpu::AttentionTask& task, const cpu::AttentionUnit& unit, int64_t query) {
  return task.partials + (unit.partial + query) * cpu::partial_values(task.head_dim);
}

/// Output of query q of the unit.
inline float* output_of(const cpu::AttentionTask& task, const cpu::AttentionUnit& unit, int64_t q) {
  return task.out + (unit.row + q / unit.heads) * task.out_stride + (unit.head + q % unit.heads) * task.head_dim;
}

/// Those of the unit's keys that Q queries see, chunk by chunk. Rows are in order: the first query's keys begin first,
/// the last one's end last.
template <cpu::KvType kType, int Q>
void attend(const cpu::AttentionTask& task, const cpu::AttentionUnit& unit, const Query (&queries)[Q],
            Gatherer (&gatherers)[Q]) {
  const int64_t first_seen = queries[0].begin / cpu::kChunkKeys;
  const int64_t end_seen = (queries[Q - 1].end + cpu::kChunkKeys - 1) / cpu::kChunkKeys;
  const int64_t end = end_seen < unit.end_chunk ? end_seen : unit.end_chunk;
  for (int64_t index = first_seen > unit.first_chunk ? first_seen : unit.first_chunk; index < end; ++index) {
    const PageHead page(task, unit, index);
    // Many rows read each page again and again: it stays in the cache.
    const bool asks = unit.rows == 1 && index + 1 < end;
    const PageHead next(task, unit, asks ? index + 1 : index);
    Chunk<kType, Q> chunk(task, queries, index * cpu::kChunkKeys, page, asks ? &next : nullptr);
    AttentionPartial partials[Q];
    float* out[Q];
    for (int q = 0; q < Q; ++q) {
      out[q] = gatherers[q].buffers.take();
      if (chunk.sees_keys(q)) {
        partials[q] = chunk.weigh(q, out[q]);
      }
    }
    gather_values(chunk, out, task.head_dim);
    for (int q = 0; q < Q; ++q) {
      if (chunk.sees_keys(q)) {
        gatherers[q].merger.add(index, partials[q]);
      } else {
        gatherers[q].buffers.give_back(out[q]);
      }
    }
  }
  for (int q = 0; q < Q; ++q) {
    const AttentionPartial total = gatherers[q].merger.finish();
    if (unit.partial < 0) {
      write_total(task, total, output_of(task, unit, q));
    } else {
      write_partial(task, total, partial_of(task, unit, q));
    }
  }
}

template <cpu::KvType kType, int Q>
void attend_unit(const cpu::AttentionTask& task, const cpu::AttentionUnit& unit) {
  Query queries[Q];
  for (int q = 0; q < Q; ++q) {
    const int64_t row = q / unit.heads;
    const int64_t end = unit.position + row + 1;
    const int64_t begin = task.window == 0 || end < task.window ? 0 : end - task.window;
    queries[q] = {task.query + (unit.row + row) * task.query_stride + (unit.head + q % unit.heads) * task.head_dim,
                  begin, end};
  }
  Gatherer gatherers[Q];
  for (Gatherer& gatherer : gatherers) {
    gatherer.buffers.set_head_dim(task.head_dim);
  }
  attend<kType, Q>(task, unit, queries, gatherers);
}

template <cpu::KvType kType>
void attend_unit(const cpu::AttentionTask& task, const cpu::AttentionUnit& unit) {
  static_assert(cpu::kMaxQueries == 6);
  switch (unit.queries()) {
    case 1:
      return attend_unit<kType, 1>(task, unit);
    case 2:
      return attend_unit<kType, 2>(task, unit);
    case 3:
      return attend_unit<kType, 3>(task, unit);
    case 4:
      return attend_unit<kType, 4>(task, unit);
    case 5:
      return attend_unit<kType, 5>(task, unit);
    default:
      return attend_unit<kType, 6>(task, unit);
  }
}

inline void attention(const cpu::AttentionTask& task, const cpu::AttentionUnit& unit) {
  switch (task.type) {
    case cpu::KvType::kF16:
      return attend_unit<cpu::KvType::kF16>(task, unit);
    case cpu::KvType::kBF16:
      return attend_unit<cpu::KvType::kBF16>(task, unit);
    case cpu::KvType::kQ8:
      return attend_unit<cpu::KvType::kQ8>(task, unit);
    default:
      return attend_unit<cpu::KvType::kF32>(task, unit);
  }
}

/// Segments are nodes of the same merge as the chunks in them, so they carry as chunks do.
inline void merge_segments(const cpu::AttentionTask& task, const cpu::AttentionUnit* units,
                           const cpu::SplitUnits& split) {
  const cpu::AttentionUnit& first = units[split.first_unit];
  for (int64_t q = 0; q < first.queries(); ++q) {
    Gatherer gatherer;
    gatherer.buffers.set_head_dim(task.head_dim);
    for (int64_t i = 0; i < split.count; ++i) {
      const float* partial = partial_of(task, units[split.first_unit + i], q);
      float* out = gatherer.buffers.take();
      for_each_vector(task.head_dim, [&](int64_t k, int64_t lanes) {
        store_n(out + k, load_n(partial + cpu::kLanes + k, lanes), lanes);
      });
      gatherer.merger.add(split.first_segment + i, AttentionPartial{partial[0], partial[1], out});
    }
    write_total(task, gatherer.merger.finish(), output_of(task, first, q));
  }
}

}  // namespace longship::LONGSHIP_CPU_NAMESPACE
