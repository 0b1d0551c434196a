// Q query rows that share a key/value head against the keys and values of one chunk of a q8_0 cache, by integers.
// A score is the sum over blocks of 32 dimensions of (integers of query and key multiplied) x their scales, as in
// products with block-quantised weights. Values are summed up with weight x scale of value as integers of 16 bits, of
// which the chunk's largest scale has the largest. All sums of integers are exact.

namespace longship::LONGSHIP_CPU_NAMESPACE {

/// Queries and what they are as integers.
template <int Q>
struct IntegerQueries {
  const Query (*all)[Q];
  alignas(64) int8_t quants[Q][cpu::kMaxHeadDim];
  cpu::ActivationBlock blocks[Q][cpu::kMaxHeadDim / cpu::kBlock];

  /// Refers to `queries` from now on.
  void set(const Query (&queries)[Q], int64_t head_dim) {
    all = &queries;
    for (int q = 0; q < Q; ++q) {
      quantise(queries[q].values, head_dim, quants[q], blocks[q]);
    }
  }
};

/// As Chunk, which has the same functions.
template <int Q>
class IntegerChunk {
 public:
  using Queries = const IntegerQueries<Q>&;

  IntegerChunk(const cpu::AttentionTask& task, Queries queries, int64_t first, const PageHead& page,
               const PageHead* next)
      : weights_(*queries.all, first), head_dim_(task.head_dim), page_(page), next_(next) {
    const int64_t row_bytes = task.page_bytes / head_dim_;
    for (int64_t block = 0; block < head_dim_ / cpu::kBlock; ++block) {
      score_block(queries, block, row_bytes);
    }
    for (int q = 0; q < Q; ++q) {
      order_scores(weights_.of(q), task.scale);
      seen_alike_ = seen_alike_ && weights_.begin(q) == weights_.begin(0) && weights_.end(q) == weights_.end(0);
      if (weights_.sees_keys(q)) {
        first_pair_ = weights_.begin(q) / 2 < first_pair_ ? weights_.begin(q) / 2 : first_pair_;
        end_pair_ = (weights_.end(q) + 1) / 2 > end_pair_ ? (weights_.end(q) + 1) / 2 : end_pair_;
      }
    }
  }

  ChunkWeights<Q>& weights() { return weights_; }

  void gather(float* const (&out)[Q]) const {
    for (int64_t block = 0; block < head_dim_ / cpu::kBlock; ++block) {
      gather_block(block, out);
    }
  }

 private:
  static constexpr int kRowsTogether = 4;  ///< Of keys: as many bytes as a lane has.
  /// Halves of a part of the keys (see interleave_half()), and queries, whose scores are summed up in registers.
  static constexpr int kHalvesTogether = kRegisters >= 32 ? 2 : 1;
  static constexpr int kQueriesTogether = kRegisters >= 32 ? static_cast<int>(cpu::kMaxQueries) : 3;

  /// weight x scale of value of one query and 32 dimensions.
  struct alignas(64) IntegerWeights {
    int16_t of_keys[cpu::kChunkKeys];
  };

  /// Adds the products of 32 dimensions to the scores, which are in the order of interleave_half().
  LONGSHIP_INLINE void score_block(Queries queries, int64_t block, int64_t row_bytes) {
    I32 dots[Q][kChunkVectors];
#pragma GCC unroll 2
    for (int part = 0; part < kParts; ++part) {
#pragma GCC unroll 2
      for (int half = 0; half < 2; half += kHalvesTogether) {
        score_part<0>(queries, block, row_bytes, part, half, dots);
      }
    }
    add_scaled(queries, block, dots);
  }

  /// The sums of all queries from kFirst on, for the keys of one part of each row and kHalvesTogether halves of it.
  template <int kFirst>
  LONGSHIP_INLINE void score_part(Queries queries, int64_t block, int64_t row_bytes, int part, int half,
                                  I32 (&dots)[Q][kChunkVectors]) {
    constexpr int kQueries = Q - kFirst < kQueriesTogether ? Q - kFirst : kQueriesTogether;
    constexpr int kVectors = 2 * kHalvesTogether;
    Part sums[kQueries][kVectors];
#pragma GCC unroll 8
    for (int q = 0; q < kQueries; ++q) {
      const int16_t(&of_query)[2] = queries.blocks[kFirst + q][block].sums;
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        sums[q][v] = first_part(broadcast_i32(kDotU8IsBiased ? -128 * (of_query[0] + of_query[1]) : 0));
      }
    }
    const std::byte* keys = page_.keys + part * sizeof(Part);
    for (int64_t i = block * cpu::kBlock; i < (block + 1) * cpu::kBlock; i += kRowsTogether) {
      if (kFirst == 0 && next_ != nullptr) {
        ask_for_keys(i, row_bytes, part, half);
      }
      Part rows[kRowsTogether];
#pragma GCC unroll 8
      for (int row = 0; row < kRowsTogether; ++row) {
        rows[row] = signed_weights(load_part(keys + (i + row) * cpu::kChunkKeys));
      }
      Part weights[kVectors];
#pragma GCC unroll 2
      for (int h = 0; h < kHalvesTogether; ++h) {
        interleave_half(rows, half + h, weights + 2 * h);
      }
#pragma GCC unroll 8
      for (int q = 0; q < kQueries; ++q) {
        const Part query = first_part(broadcast_bytes(queries.quants[kFirst + q] + i));
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) {
          sums[q][v] = dot_signed(sums[q][v], weights[v], query);
        }
      }
    }
#pragma GCC unroll 8
    for (int q = 0; q < kQueries; ++q) {
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        set_part(dots[kFirst + q][2 * half + v], part, sums[q][v]);
      }
    }
    if constexpr (kFirst + kQueries < Q) {
      score_part<kFirst + kQueries>(queries, block, row_bytes, part, half, dots);
    }
  }

  /// While the keys of some dimensions from `row` on are read, of a part and half of each row.
  LONGSHIP_INLINE void ask_for_keys(int64_t row, int64_t row_bytes, int part, int half) const {
    if constexpr (kRegisters < 32) {
      constexpr int64_t kSteps = cpu::kBlock / kRowsTogether;
      const int64_t step = row % cpu::kBlock / kRowsTogether + kSteps * (2 * part + half);
      prefetch_step<1, 1>(next_->keys, row / cpu::kBlock * cpu::kBlock + step);
    } else {
      page_.prefetch_keys(row * row_bytes, kRowsTogether * row_bytes, head_dim_ * row_bytes, *next_);
    }
  }

  LONGSHIP_INLINE void add_scaled(Queries queries, int64_t block, const I32 (&dots)[Q][kChunkVectors]) {
    const auto* stored = reinterpret_cast<const uint16_t*>(page_.keys + head_dim_ * cpu::kChunkKeys);
    F32 scales[kChunkVectors];
    for (int v = 0; v < kChunkVectors; ++v) {
      scales[v] = load_f16(stored + block * cpu::kChunkKeys + v * cpu::kLanes);
    }
    transpose_quads(scales);
#pragma GCC unroll 8
    for (int q = 0; q < Q; ++q) {
      const F32 scale = broadcast(queries.blocks[q][block].scale);
#pragma GCC unroll 8
      for (int v = 0; v < kChunkVectors; ++v) {
        float* to = weights_.of(q) + v * cpu::kLanes;
        const F32 sum = block == 0 ? zero() : load(to);
        store(to, fma(to_f32(dots[q][v]), mul(scales[v], scale), sum));
      }
    }
  }

  /// From the order of interleave_half() to that of the keys.
  static void order_scores(float* scores, float scale) {
    F32 sums[kChunkVectors];
    for (int v = 0; v < kChunkVectors; ++v) {
      sums[v] = mul(load(scores + v * cpu::kLanes), broadcast(scale));
    }
    transpose_quads(sums);
    for (int v = 0; v < kChunkVectors; ++v) {
      store(scores + v * cpu::kLanes, sums[v]);
    }
  }

  /// Scales of values of 32 dimensions, the keys' in order, over `step`: the largest of those that a query sees is
  /// 32767 steps. Its weights are 1 at most.
  struct ScaledSteps {
    F32 scales[kChunkVectors];
    float step;
  };

  LONGSHIP_INLINE static ScaledSteps in_steps(const F32 (&scales)[kChunkVectors]) {
    constexpr float kMostSteps = 32767.0F;
    constexpr float kSmallest = 1e-30F;  // see quantise()
    I32 bits = zero_i32();
    for (int v = 0; v < kChunkVectors; ++v) {
      bits = max(bits, as_bits(abs(scales[v])));
    }
    const float largest = max_lanes_or_nan(bits);
    const bool vanishes = largest < kSmallest;
    const F32 inverse = broadcast(vanishes ? 0.0F : kMostSteps / largest);
    ScaledSteps steps;
    for (int v = 0; v < kChunkVectors; ++v) {
      steps.scales[v] = mul(scales[v], inverse);
    }
    steps.step = vanishes ? 0.0F : largest / kMostSteps;
    return steps;
  }

  /// Of the keys that query q sees: what lies elsewhere may be anything.
  ScaledSteps steps_seen_by(int q, const F32 (&scales)[kChunkVectors]) const {
    F32 seen[kChunkVectors];
    for (int v = 0; v < kChunkVectors; ++v) {
      seen[v] = weights_.seen_by(q, v * cpu::kLanes, scales[v], zero());
    }
    return in_steps(seen);
  }

  /// out = the sum of weight x value, for 32 dimensions.
  void gather_block(int64_t block, float* const (&out)[Q]) const {
    const int64_t blocks = head_dim_ / cpu::kBlock;
    const auto* stored = reinterpret_cast<const uint16_t*>(page_.values + head_dim_ * cpu::kChunkKeys);
    F32 scales[kChunkVectors];
    for (int v = 0; v < kChunkVectors; ++v) {
      scales[v] = load_f16_apart(stored + v * cpu::kLanes * blocks, blocks, block);
    }
    float step[Q];
    IntegerWeights weights[Q];
    ScaledSteps steps;
    for (int q = 0; q < Q; ++q) {
      if (q == 0 || !seen_alike_) {
        steps = steps_seen_by(q, scales);
      }
      step[q] = steps.step;
      for (int v = 0; v < kChunkVectors; ++v) {
        const int64_t first = v * cpu::kLanes;
        store_i16(weights[q].of_keys + first, round_to_i32(mul(load(weights_.of(q) + first), steps.scales[v])));
      }
    }
    I32 sums[Q][2];
    add_pairs(weights, block, sums);
    for (int q = 0; q < Q; ++q) {
      if (weights_.sees_keys(q)) {
        F32 values[2] = {mul(to_f32(sums[q][0]), broadcast(step[q])), mul(to_f32(sums[q][1]), broadcast(step[q]))};
        interleave_quads(values);
        store(out[q] + block * cpu::kBlock, values[0]);
        store(out[q] + block * cpu::kBlock + cpu::kLanes, values[1]);
      }
    }
  }

  /// Sums over the keys that any query sees, in the order of interleave_words().
  LONGSHIP_INLINE void add_pairs(const IntegerWeights (&weights)[Q], int64_t block, I32 (&sums)[Q][2]) const {
#pragma GCC unroll 2
    for (int part = 0; part < kParts; ++part) {
      add_pairs_of_part(weights, block, part, sums);
    }
  }

  LONGSHIP_INLINE void add_pairs_of_part(const IntegerWeights (&weights)[Q], int64_t block, int part,
                                         I32 (&sums)[Q][2]) const {
    Part of_part[Q][2];
#pragma GCC unroll 8
    for (int q = 0; q < Q; ++q) {
      of_part[q][0] = of_part[q][1] = first_part(zero_i32());
    }
    const std::byte* values = page_.values + block * cpu::kBlock + part * sizeof(Part) / 2;
    constexpr int64_t kPairs = cpu::kChunkKeys / 2;
    for (int64_t pair = first_pair_; pair < end_pair_; ++pair) {
      if (next_ != nullptr) {
        prefetch_step<kParts, 1>(next_->values, (block * kParts + part) * kPairs + pair);
      }
      Part both[2] = {load_i8_words(values + 2 * pair * head_dim_), load_i8_words(values + (2 * pair + 1) * head_dim_)};
      interleave_words(both);
#pragma GCC unroll 8
      for (int q = 0; q < Q; ++q) {
        const Part weight = first_part(broadcast_bytes(weights[q].of_keys + 2 * pair));
        of_part[q][0] = dot_words(of_part[q][0], both[0], weight);
        of_part[q][1] = dot_words(of_part[q][1], both[1], weight);
      }
    }
#pragma GCC unroll 8
    for (int q = 0; q < Q; ++q) {
      set_part(sums[q][0], part, of_part[q][0]);
      set_part(sums[q][1], part, of_part[q][1]);
    }
  }

  ChunkWeights<Q> weights_;
  int64_t head_dim_;
  PageHead page_;
  const PageHead* next_;
  bool seen_alike_ = true;  // all queries see the same keys
  int64_t first_pair_ = cpu::kChunkKeys / 2;
  int64_t end_pair_ = 0;
};

}  // namespace longship::LONGSHIP_CPU_NAMESPACE
