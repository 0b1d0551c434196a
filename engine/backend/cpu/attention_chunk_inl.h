// Q query rows that share a key/value head against the keys and values of one chunk, in f32.

namespace longship::LONGSHIP_CPU_NAMESPACE {

/// Sum of exp(score - maximum) v over some keys, not yet divided by `sum`, in a buffer of kMaxHeadDim values.
struct AttentionPartial {
  float maximum;
  float sum;
  float* out;
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

  /// While keys are read at `begin`: asks for `bytes` bytes of keys a little ahead, of this page or of `next`.
  LONGSHIP_INLINE void prefetch_keys(int64_t begin, int64_t bytes, int64_t page_bytes, const PageHead& next) const {
    constexpr int64_t kFarBytes = 6144;
    constexpr int64_t kNearBytes = 1024;
    const int64_t far = begin + (kFarBytes < page_bytes ? kFarBytes : page_bytes);
    const std::byte* from = far < page_bytes ? keys + far : next.keys + (far - page_bytes);
    for (int64_t at = 0; at < bytes; at += cpu::kCacheLine) {
      prefetch_second_cache(from + at);
      __builtin_prefetch(keys + begin + kNearBytes + at);
    }
  }

  LONGSHIP_INLINE void prefetch_values(int64_t begin, int64_t bytes) const {
    for (int64_t at = 0; at < bytes; at += cpu::kCacheLine) {
      prefetch_second_cache(values + begin + at);
    }
  }
};

/// One of kPasses x head_dim steps that together pass over a page of kBytes bytes a value: asks for as many lines of
/// `page` as fall to it, in order. Asked for evenly, they come while the present page is worked on; a core that has
/// asked for more than a few waits (with few registers: 3.9 us a chunk of f16 from memory where a quarter of the steps
/// asked for all, 2.9 so).
template <int kPasses, int kBytes>
LONGSHIP_INLINE void prefetch_step(const std::byte* page, int64_t step) {
  if constexpr (kPasses > kBytes) {
    constexpr int kStepsPerLine = kPasses / kBytes;
    if (step % kStepsPerLine == 0) {
      prefetch_second_cache(page + step / kStepsPerLine * cpu::kCacheLine);
    }
  } else {
    constexpr int kLinesPerStep = kBytes / kPasses;
#pragma GCC unroll 4
    for (int line = 0; line < kLinesPerStep; ++line) {
      prefetch_second_cache(page + (step * kLinesPerStep + line) * cpu::kCacheLine);
    }
  }
}

/// Which keys of a chunk each of Q queries sees, and what they weigh.
template <int Q>
class ChunkWeights {
 public:
  /// The chunk holds keys from `first` on.
  ChunkWeights(const Query (&queries)[Q], int64_t first) {
    for (int q = 0; q < Q; ++q) {
      const int64_t begin = queries[q].begin - first;
      const int64_t end = queries[q].end - first;
      begin_[q] = begin < 0 ? 0 : begin;
      end_[q] = end < cpu::kChunkKeys ? end : cpu::kChunkKeys;
    }
  }

  bool sees_keys(int q) const { return begin_[q] < end_[q]; }
  int64_t begin(int q) const { return begin_[q]; }
  int64_t end(int q) const { return end_[q]; }

  /// Turns the scores of query q into weights exp(score - maximum); keys that it does not see get 0.
  AttentionPartial weigh(int q, float* out) {
    const F32 nothing = broadcast(-__builtin_inff());
    F32 scores[kChunkVectors];
    for (int v = 0; v < kChunkVectors; ++v) {
      scores[v] = load(weights_[q] + v * cpu::kLanes);
    }
    if (begin_[q] > 0 || end_[q] < cpu::kChunkKeys) {
      for (int v = 0; v < kChunkVectors; ++v) {
        scores[v] = seen_by(q, v * cpu::kLanes, scores[v], nothing);
      }
    }
    F32 highest = nothing;
    for (int v = 0; v < kChunkVectors; ++v) {
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

  /// `x` in those of the 16 lanes from lane `first` of the chunk on that query q sees, `other` elsewhere.
  F32 seen_by(int q, int64_t first, F32 x, F32 other) const {
    return select_lanes(clamp(begin_[q] - first), clamp(end_[q] - first), x, other);
  }

  /// Scores first, then weights.
  float* of(int q) { return weights_[q]; }
  const float* of(int q) const { return weights_[q]; }

 private:
  static int64_t clamp(int64_t lane) { return lane < 0 ? 0 : (lane > cpu::kLanes ? cpu::kLanes : lane); }

  int64_t begin_[Q];
  int64_t end_[Q];
  alignas(64) float weights_[Q][cpu::kChunkKeys];
};

/// Q queries against the keys of one chunk.
template <cpu::KvType kType, int Q>
class Chunk {
 public:
  using Queries = const Query (&)[Q];

  /// The page holds keys from `first` on. Asks meanwhile for page `next`, if it is not null: for its keys where it
  /// reads keys, for its values where it reads values, as a core waits for a few lines at a time only.
  Chunk(const cpu::AttentionTask& task, Queries queries, int64_t first, const PageHead& page, const PageHead* next)
      : weights_(queries, first),
        head_dim_(task.head_dim),
        keys_(page.keys, task.head_dim),
        values_(page.values, task.head_dim),
        page_(page),
        page_bytes_(task.page_bytes),
        next_(next) {
    score(queries, task.scale, task.page_bytes / task.head_dim);
  }

  ChunkWeights<Q>& weights() { return weights_; }

  /// The chunk's values, weighted, for all its queries. Keys that all of them see are read once; each query's sum runs
  /// over its own keys in order.
  void gather(float* const (&out)[Q]) const {
    int64_t begin = 0;
    int64_t end = cpu::kChunkKeys;
    for (int q = 0; q < Q; ++q) {
      begin = weights_.begin(q) > begin ? weights_.begin(q) : begin;
      end = weights_.end(q) < end ? weights_.end(q) : end;
      if (weights_.sees_keys(q)) {
        for_each_vector(head_dim_, [&](int64_t i, int64_t lanes) { store_n(out[q] + i, zero(), lanes); });
      }
    }
    if (begin >= end) {
      for (int q = 0; q < Q; ++q) {
        if (weights_.sees_keys(q)) {
          accumulate<1>(q, weights_.begin(q), weights_.end(q), out + q);
        }
      }
      return;
    }
    for (int q = 0; q < Q; ++q) {
      accumulate<1>(q, weights_.begin(q), begin, out + q);
    }
    accumulate<Q>(0, begin, end, out);
    for (int q = 0; q < Q; ++q) {
      accumulate<1>(q, end, weights_.end(q), out + q);
    }
  }

 private:
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

  void score(Queries queries, float scale, int64_t row_bytes) {
    constexpr int kVectors = vectors_together<Q>();
    for (int first = 0; first < kChunkVectors; first += kVectors) {
      score_keys<kVectors>(queries, scale, first, row_bytes);
    }
  }

  // A lane a key, so that a score is one sum over the head's dimensions in order.
  template <int V>
  LONGSHIP_INLINE void score_keys(Queries queries, float scale, int first, int64_t row_bytes) {
    F32 scores[Q][V];
#pragma GCC unroll 8
    for (int q = 0; q < Q; ++q) {
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) {
        scores[q][v] = zero();
      }
    }
    for (int64_t i = 0; i < head_dim_; ++i) {
      if (next_ != nullptr) {
        ask_for_keys<V>(i, first, row_bytes);
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
        store(weights_.of(q) + (first + v) * cpu::kLanes, mul(scores[q][v], broadcast(scale)));
      }
    }
  }

  /// While V vectors of row i from vector `first` on are multiplied.
  template <int V>
  LONGSHIP_INLINE void ask_for_keys(int64_t i, int first, int64_t row_bytes) const {
    if constexpr (kRegisters < 32) {
      prefetch_step<kChunkVectors / V, kValueBytes>(next_->keys, first / V * head_dim_ + i);
    } else if (first == 0) {
      page_.prefetch_keys(i * row_bytes, row_bytes, page_bytes_, *next_);
    }
  }

  /// While V vectors of a key's values from `column` on are added up.
  template <int V>
  LONGSHIP_INLINE void ask_for_values(int64_t key, int64_t column) const {
    if constexpr (kRegisters < 32) {
      prefetch_step<kChunkVectors / V, kValueBytes>(next_->values, column / (V * cpu::kLanes) * cpu::kChunkKeys + key);
    } else {
      next_->prefetch_values((key * head_dim_ + column) * kValueBytes, V * cpu::kLanes * kValueBytes);
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
      if (next_ != nullptr) {
        ask_for_values<V>(key, column);
      }
      F32 values[V];
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) {
        values[v] = values_.vector(key, column + v * cpu::kLanes);
      }
#pragma GCC unroll 8
      for (int q = 0; q < N; ++q) {
        const F32 weight = broadcast(weights_.of(first + q)[key]);
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
        store_n(out[q] + column, fma(broadcast(weights_.of(first + q)[key]), value, sum), lanes);
      }
    }
  }

  static constexpr int kValueBytes = kType == cpu::KvType::kF32 ? 4 : kType == cpu::KvType::kQ8 ? 1 : 2;

  ChunkWeights<Q> weights_;
  int64_t head_dim_;
  KeyPage<kType> keys_;
  ValuePage<kType> values_;
  PageHead page_;
  int64_t page_bytes_;
  const PageHead* next_;
};

}  // namespace longship::LONGSHIP_CPU_NAMESPACE
