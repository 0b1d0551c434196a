// Attention of a few query rows that share a key/value head.

namespace longship::LONGSHIP_CPU_NAMESPACE {

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
    const bool newer_leads = older.maximum < newer.maximum;
    const float maximum = newer_leads ? newer.maximum : older.maximum;
    const F32 less = exp(broadcast((newer_leads ? older.maximum : newer.maximum) - maximum));
    const F32 a = newer_leads ? less : broadcast(1.0F);
    const F32 b = newer_leads ? broadcast(1.0F) : less;
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

/// The units of a team, whose queries are Q each.
class TeamUnits {
 public:
  TeamUnits(const cpu::AttentionUnit* units, const cpu::AttentionTeam& team) : units_(units), team_(team) {}

  int64_t count() const { return team_.count; }
  const cpu::AttentionUnit& operator[](int64_t i) const { return units_[team_.first_unit + i * team_.stride]; }

 private:
  const cpu::AttentionUnit* units_;
  const cpu::AttentionTeam& team_;
};

/// One chunk of a unit's keys, number `index` of its sequence; asks meanwhile for page `next`, if it is not null.
template <class ChunkOf, int Q>
void attend_chunk(const cpu::AttentionTask& task, typename ChunkOf::Queries queries, int64_t index,
                  const PageHead& page, const PageHead* next, Gatherer (&gatherers)[Q]) {
  ChunkOf chunk(task, queries, index * cpu::kChunkKeys, page, next);
  ChunkWeights<Q>& weights = chunk.weights();
  AttentionPartial partials[Q];
  float* out[Q];
  for (int q = 0; q < Q; ++q) {
    out[q] = gatherers[q].buffers.take();
    if (weights.sees_keys(q)) {
      partials[q] = weights.weigh(q, out[q]);
    }
  }
  chunk.gather(out);
  for (int q = 0; q < Q; ++q) {
    if (weights.sees_keys(q)) {
      gatherers[q].merger.add(index, partials[q]);
    } else {
      gatherers[q].buffers.give_back(out[q]);
    }
  }
}

/// Those of the team's keys that its queries see, [begin, end) in all, chunk by chunk, whose class is `ChunkOf`:
/// queries(i) has those of unit i.
template <class ChunkOf, int Q, class QueriesOf>
void attend(const cpu::AttentionTask& task, const TeamUnits& units, const QueriesOf& queries, int64_t begin,
            int64_t end, Gatherer (&gatherers)[cpu::kMostTogether][Q]) {
  const int64_t first_seen = begin / cpu::kChunkKeys;
  const int64_t end_seen = (end + cpu::kChunkKeys - 1) / cpu::kChunkKeys;
  const int64_t end_chunk = end_seen < units[0].end_chunk ? end_seen : units[0].end_chunk;
  // Many rows read each page again and again: it stays in the cache.
  const bool asks = units[0].rows == 1;
  for (int64_t index = first_seen > units[0].first_chunk ? first_seen : units[0].first_chunk; index < end_chunk;
       ++index) {
    for (int64_t i = 0; i < units.count(); ++i) {
      const bool last = i + 1 == units.count();
      const bool more = asks && (!last || index + 1 < end_chunk);
      const PageHead next(task, units[last ? 0 : i + 1], more && last ? index + 1 : index);
      attend_chunk<ChunkOf, Q>(task, queries(i), index, PageHead(task, units[i], index), more ? &next : nullptr,
                               gatherers[i]);
    }
  }
  for (int64_t i = 0; i < units.count(); ++i) {
    for (int q = 0; q < Q; ++q) {
      const AttentionPartial total = gatherers[i][q].merger.finish();
      if (units[i].partial < 0) {
        write_total(task, total, output_of(task, units[i], q));
      } else {
        write_partial(task, total, partial_of(task, units[i], q));
      }
    }
  }
}

/// The queries of a unit.
template <int Q>
void set_queries(const cpu::AttentionTask& task, const cpu::AttentionUnit& unit, Query (&queries)[Q]) {
  for (int q = 0; q < Q; ++q) {
    const int64_t row = q / unit.heads;
    const int64_t end = unit.position + row + 1;
    const int64_t begin = task.window == 0 || end < task.window ? 0 : end - task.window;
    queries[q] = {task.query + (unit.row + row) * task.query_stride + (unit.head + q % unit.heads) * task.head_dim,
                  begin, end};
  }
}

template <cpu::KvType kType, int Q>
void attend_team(const cpu::AttentionTask& task, const TeamUnits& units) {
  Query queries[cpu::kMostTogether][Q];
  Gatherer gatherers[cpu::kMostTogether][Q];
  for (int64_t i = 0; i < units.count(); ++i) {
    set_queries(task, units[i], queries[i]);
    for (Gatherer& gatherer : gatherers[i]) {
      gatherer.buffers.set_head_dim(task.head_dim);
    }
  }
  const int64_t begin = queries[0][0].begin;
  const int64_t end = queries[0][Q - 1].end;
  if constexpr (kType == cpu::KvType::kQ8) {
    if (!task.exact) {
      IntegerQueries<Q> integers[cpu::kMostTogether];
      for (int64_t i = 0; i < units.count(); ++i) {
        integers[i].set(queries[i], task.head_dim);
      }
      const auto of_unit = [&](int64_t i) -> const auto& {
        return integers[i];
      };
      return attend<IntegerChunk<Q>, Q>(task, units, of_unit, begin, end, gatherers);
    }
  }
  const auto of_unit = [&](int64_t i) -> const auto& {
    return queries[i];
  };
  attend<Chunk<kType, Q>, Q>(task, units, of_unit, begin, end, gatherers);
}

template <cpu::KvType kType>
void attend_team(const cpu::AttentionTask& task, const TeamUnits& units) {
  static_assert(cpu::kMaxQueries == 6);
  switch (units[0].queries()) {
    case 1:
      return attend_team<kType, 1>(task, units);
    case 2:
      return attend_team<kType, 2>(task, units);
    case 3:
      return attend_team<kType, 3>(task, units);
    case 4:
      return attend_team<kType, 4>(task, units);
    case 5:
      return attend_team<kType, 5>(task, units);
    default:
      return attend_team<kType, 6>(task, units);
  }
}

inline void attention(const cpu::AttentionTask& task, const cpu::AttentionUnit* all, const cpu::AttentionTeam& team) {
  const TeamUnits units(all, team);
  switch (task.type) {
    case cpu::KvType::kF16:
      return attend_team<cpu::KvType::kF16>(task, units);
    case cpu::KvType::kBF16:
      return attend_team<cpu::KvType::kBF16>(task, units);
    case cpu::KvType::kQ8:
      return attend_team<cpu::KvType::kQ8>(task, units);
    default:
      return attend_team<cpu::KvType::kF32>(task, units);
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
