#include "engine/backend/cpu/cpu_attention.h"

#include <algorithm>
#include <atomic>

#include "engine/backend/kv_page.h"

namespace longship::cpu {

namespace {

static_assert(kBlock == kKvBlock);

// Values or multiply-adds below which another thread is not worth waking.
constexpr int64_t kGrainValues = 4096;
constexpr int64_t kGrainProducts = 65536;
// Teams for each thread, so that threads of unequal speed end together.
constexpr int64_t kTeamsPerThread = 4;
// Chunks of keys from which reading them once for all heads is worth a merge.
constexpr int64_t kDeepChunks = 4;
// Chunks of a team's unit below which more teams are worth more than reading in order.
constexpr int64_t kTeamChunks = 4;

int64_t items_per_grain(int64_t grain, int64_t size) {
  return std::max<int64_t>(1, grain / std::max<int64_t>(1, size));
}

// One head of one token into its page; a key is a column of its page.
void write_head(const uint16_t* key, const uint16_t* value, int64_t head_dim, int64_t column, uint16_t* keys,
                uint16_t* values) {
  for (int64_t i = 0; i < head_dim; ++i) {
    keys[i * kPageTokens + column] = key[i];
  }
  std::copy_n(value, head_dim, values + column * head_dim);
}

void write_token(const Isa& isa, const HeadsView& keys, const HeadsView& values, const BatchSlice& slice, int64_t row,
                 KvLayer& kv) {
  const int64_t position = slice.begin + row - slice.first_row;
  const int32_t page = slice.pages[static_cast<std::size_t>(position / kPageTokens)];
  const int64_t column = position % kPageTokens;
  const int64_t dh = keys.head_dim;
  for (int64_t head = 0; head < keys.heads; ++head) {
    const KvPage store(kv, page, head);
    const float* key = keys.row(row) + head * dh;
    const float* value = values.row(row) + head * dh;
    if (kv.keys.dtype() == DType::kF16) {
      uint16_t half_key[kMaxHeadDim];
      uint16_t half_value[kMaxHeadDim];
      isa.to_f16(key, dh, half_key);
      isa.to_f16(value, dh, half_value);
      write_head(half_key, half_value, dh, column, reinterpret_cast<uint16_t*>(store.keys()),
                 reinterpret_cast<uint16_t*>(store.values()));
    } else {
      store.write(column, key, value);
    }
  }
}

// body(slice, row) for every row of the batch that belongs to a sequence; each touches `values` values.
template <class Body>
void for_tokens(ThreadPool& pool, const Batch& batch, int64_t values, const Body& body) {
  pool.parallel_for(batch.rows(), items_per_grain(kGrainValues, values), [&](int64_t begin, int64_t end) {
    flush_denormals();
    for (const BatchSlice& slice : batch.slices) {
      const int64_t last = std::min(end, slice.first_row + slice.rows);
      for (int64_t row = std::max(begin, slice.first_row); row < last; ++row) {
        body(slice, row);
      }
    }
  });
}

// Heads [begin, end) of those that read one key/value head: as few groups of at most `most` as there can be, of about
// the same size.
int32_t heads_together(const std::vector<int32_t>& kv_head, int32_t begin, int32_t most) {
  int32_t end = begin + 1;
  while (end < std::ssize(kv_head) &&
         kv_head[static_cast<std::size_t>(end)] == kv_head[static_cast<std::size_t>(begin)]) {
    ++end;
  }
  const int32_t groups = (end - begin + most - 1) / most;
  return (end - begin + groups - 1) / groups;
}

// Appends the units of one sequence; heads that share keys go together, up to `most_heads`. Returns the products of
// query and key values that they compute, about.
int64_t plan_slice(const BatchSlice& slice, const std::vector<int32_t>& kv_head, int32_t most_heads,
                   std::vector<AttentionUnit>& units) {
  int64_t keys = 0;
  for (int32_t head = 0; head < std::ssize(kv_head);) {
    const int32_t heads = heads_together(kv_head, head, most_heads);
    const int32_t most_rows = static_cast<int32_t>(kMaxQueries) / heads;
    for (int64_t row = 0; row < slice.rows; row += most_rows) {
      const auto rows = static_cast<int32_t>(std::min<int64_t>(most_rows, slice.rows - row));
      units.push_back({slice.pages.data(), slice.first_row + row, slice.begin + row, rows, head, heads,
                       kv_head[static_cast<std::size_t>(head)]});
      keys += (slice.begin + row + rows) * rows * heads;
    }
    head += heads;
  }
  return keys;
}

// Chunks of keys that the unit's rows see.
Range chunks_of(const AttentionTask& task, const AttentionUnit& unit) {
  const int64_t end = unit.position + unit.rows;
  const int64_t begin = task.window == 0 ? 0 : std::max<int64_t>(0, unit.position + 1 - task.window);
  return {begin / kPageTokens, (end + kPageTokens - 1) / kPageTokens};
}

// Segments of 2^level chunks, aligned, so that the merge of a segment's chunks is a node of the whole merge.
Range segments_of(const Range& chunks, int level) {
  return {chunks.begin >> level, ((chunks.end - 1) >> level) + 1};
}

}  // namespace

void AttentionPlan::split(const AttentionTask& task, std::size_t index, int64_t wanted) {
  const AttentionUnit whole = units_[index];
  const Range chunks = chunks_of(task, whole);
  int level = 1;
  while (chunks.size() > wanted << level) {
    ++level;
  }
  const Range segments = segments_of(chunks, level);
  split_of_.insert(split_of_.end(), static_cast<std::size_t>(segments.size()), static_cast<int32_t>(splits_.size()));
  left_.push_back(static_cast<int32_t>(segments.size()));
  splits_.push_back({std::ssize(split_units_), segments.size(), segments.begin});
  for (int64_t segment = segments.begin; segment < segments.end; ++segment) {
    AttentionUnit& unit = split_units_.emplace_back(whole);
    unit.first_chunk = segment << level;
    unit.end_chunk = (segment + 1) << level;
    unit.partial = partials_;
    partials_ += whole.queries();
  }
}

// Units of the same row from unit `index` on that can be computed together.
int64_t AttentionPlan::team_at(std::size_t index, int64_t most) const {
  const AttentionUnit& first = units_[index];
  std::size_t end = index + 1;
  while (end < units_.size() && end < index + static_cast<std::size_t>(most) && units_[end].row == first.row &&
         first.rows == 1 && units_[end].rows == 1 && units_[end].heads == first.heads) {
    ++end;
  }
  return static_cast<int64_t>(end - index);
}

void AttentionPlan::make_teams(int64_t most) {
  teams_.clear();
  for (std::size_t i = 0; i < units_.size(); i += static_cast<std::size_t>(teams_.back().count)) {
    teams_.push_back({static_cast<int64_t>(i), 1, team_at(i, most)});
  }
}

// Each team in several, of about `wanted` segments.
void AttentionPlan::split_all(const AttentionTask& task, int64_t wanted) {
  split_units_.clear();
  for (std::size_t i = 0; i < units_.size(); ++i) {
    split(task, i, wanted);
  }
  units_.swap(split_units_);
  std::vector<AttentionTeam> whole;
  whole.swap(teams_);
  for (const AttentionTeam& team : whole) {
    const SplitUnits& first = splits_[static_cast<std::size_t>(team.first_unit)];
    for (int64_t segment = 0; segment < first.count; ++segment) {
      teams_.push_back({first.first_unit + segment, first.count, team.count});
    }
  }
}

// Whether segments give as many threads work as heads would, and read enough keys once to be worth a merge.
bool AttentionPlan::worth_segments(const AttentionTask& task, int64_t heads, int threads) const {
  int64_t segments = 0;
  bool deep = false;
  for (const AttentionTeam& team : teams_) {
    const Range chunks = chunks_of(task, units_[static_cast<std::size_t>(team.first_unit)]);
    segments += segments_of(chunks, 1).size();
    deep |= chunks.size() >= kDeepChunks;
  }
  return deep && segments >= std::min<int64_t>(threads, heads);
}

// Few tokens that see many keys: each team in several segments, so that every thread gets some. Fewer keys: a unit for
// each head.
void AttentionPlan::make(const AttentionTask& task, const Batch& batch, const std::vector<int32_t>& kv_head,
                         int threads) {
  const int64_t enough = threads == 1 ? 0 : kTeamsPerThread * threads;
  plan_all(task, batch, kv_head, static_cast<int32_t>(kMaxQueries));
  int64_t chunks = 0;
  for (const AttentionUnit& unit : units_) {
    chunks += chunks_of(task, unit).size();
  }
  make_teams(std::clamp<int64_t>(chunks / std::max<int64_t>(1, enough * kTeamChunks), 1, kMostTogether));
  const int64_t wanted = (enough + std::ssize(teams_) - 1) / std::max<int64_t>(1, std::ssize(teams_));
  if (wanted < 2 || batch.rows() != std::ssize(batch.slices)) {
    return;
  }
  if (worth_segments(task, batch.rows() * std::ssize(kv_head), threads)) {
    split_all(task, wanted);
  } else {
    plan_all(task, batch, kv_head, 1);
    make_teams(1);
  }
}

void AttentionPlan::plan_all(const AttentionTask& task, const Batch& batch, const std::vector<int32_t>& kv_head,
                             int32_t most_heads) {
  units_.clear();
  splits_.clear();
  split_of_.clear();
  left_.clear();
  partials_ = 0;
  int64_t keys = 0;
  for (const BatchSlice& slice : batch.slices) {
    LONGSHIP_CHECK(std::ssize(slice.pages) < int64_t{1} << kMergeLevels, "a context longer than the merge's levels");
    keys += plan_slice(slice, kv_head, most_heads, units_);
  }
  const int64_t window = task.window == 0 ? keys : batch.rows() * std::ssize(kv_head) * task.window;
  products_ = 2 * std::min(keys, window) * task.head_dim;
}

const SplitUnits* AttentionPlan::ended(int64_t unit) {
  if (splits_.empty()) {
    return nullptr;
  }
  const auto split = static_cast<std::size_t>(split_of_[static_cast<std::size_t>(unit)]);
  const bool last = std::atomic_ref(left_[split]).fetch_sub(1, std::memory_order_acq_rel) == 1;
  return last ? &splits_[split] : nullptr;
}

int64_t AttentionPlan::scratch_bytes(int threads) {
  // make() splits fewer teams than `enough`, each into at most wanted + 1 segments: below 3 x enough in all.
  const int64_t segments = 3 * kTeamsPerThread * threads * kMostTogether;
  return threads == 1 ? 0 : segments * kMaxQueries * partial_values(kMaxHeadDim) * static_cast<int64_t>(sizeof(float));
}

void write_kv(const Isa& isa, ThreadPool& pool, const HeadsView& keys, const HeadsView& values, const Batch& batch,
              KvLayer& kv) {
  for_tokens(pool, batch, 2 * keys.heads * keys.head_dim,
             [&](const BatchSlice& slice, int64_t row) { write_token(isa, keys, values, slice, row, kv); });
}

void rope_kv_write(const Isa& isa, ThreadPool& pool, const HeadsView& query, const HeadsView& keys,
                   const HeadsView& values, const Tensor& cos, const Tensor& sin, const Batch& batch, KvLayer& kv) {
  const int64_t half = query.head_dim / 2;
  const auto rotate = [&](const HeadsView& x, int64_t row) {
    for (int64_t head = 0; head < x.heads; ++head) {
      isa.rope(x.row(row) + head * x.head_dim, cos.data<float>() + row * half, sin.data<float>() + row * half, half);
    }
  };
  for_tokens(pool, batch, (query.heads + 2 * keys.heads) * keys.head_dim, [&](const BatchSlice& slice, int64_t row) {
    rotate(query, row);
    rotate(keys, row);
    write_token(isa, keys, values, slice, row, kv);
  });
}

void attend(const Isa& isa, ThreadPool& pool, AttentionTask task, const Batch& batch,
            const std::vector<int32_t>& kv_head, AttentionPlan& plan, const Tensor& partials) {
  plan.make(task, batch, kv_head, pool.threads());
  task.partials = partials.data<float>();
  LONGSHIP_CHECK(plan.partials() * partial_values(task.head_dim) * static_cast<int64_t>(sizeof(float)) <=
                     std::max<int64_t>(0, partials.bytes()),
                 "more partial results than reserved");
  const std::span<const AttentionTeam> teams = plan.teams();
  const AttentionUnit* units = plan.units().data();
  pool.parallel_for(std::ssize(teams),
                    items_per_grain(kGrainProducts, plan.products() / std::max<int64_t>(1, std::ssize(teams))),
                    [&](int64_t begin, int64_t end) {
                      flush_denormals();
                      for (const AttentionTeam& team :
                           teams.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin))) {
                        isa.attention(task, units, team);
                        for (int64_t i = 0; i < team.count; ++i) {
                          if (const SplitUnits* split = plan.ended(team.first_unit + i * team.stride)) {
                            isa.merge_segments(task, units, *split);
                          }
                        }
                      }
                    });
}

}  // namespace longship::cpu
