#pragma once

#include <span>
#include <vector>

#include "core/thread_pool.h"
#include "engine/backend/cpu/isa.h"
#include "engine/backend/kernels.h"

namespace longship::cpu {

/// See Kernels::kv_write.
void write_kv(const Isa& isa, ThreadPool& pool, const HeadsView& keys, const HeadsView& values, const Batch& batch,
              KvLayer& kv);

/// See Kernels::rope_kv_write; one pass.
void rope_kv_write(const Isa& isa, ThreadPool& pool, const HeadsView& query, const HeadsView& keys,
                   const HeadsView& values, const Tensor& cos, const Tensor& sin, const Batch& batch, KvLayer& kv);

/// How the attention of a step is divided. Keeps its memory between steps.
class AttentionPlan {
 public:
  void make(const AttentionTask& task, const Batch& batch, const std::vector<int32_t>& kv_head, int threads);

  std::span<const AttentionUnit> units() const { return units_; }
  std::span<const AttentionTeam> teams() const { return teams_; }  ///< Of the units, each in one.
  int64_t partials() const { return partials_; }                   ///< Of all units.
  int64_t products() const { return products_; }                   ///< Multiply-adds, about.
  /// Called once for each unit when it is computed, by any thread: for the last one of a split, that split, whose
  /// partials then are there; else null.
  const SplitUnits* ended(int64_t unit);

  /// Memory for the partials of any step.
  static int64_t scratch_bytes(int threads);

 private:
  void plan_all(const AttentionTask& task, const Batch& batch, const std::vector<int32_t>& kv_head, int32_t most_heads);
  void split(const AttentionTask& task, std::size_t index, int64_t wanted);
  int64_t team_at(std::size_t index, int64_t most) const;
  void make_teams(int64_t most);
  bool worth_segments(const AttentionTask& task, int64_t heads, int threads) const;
  void split_all(const AttentionTask& task, int64_t wanted);

  std::vector<AttentionUnit> units_;
  std::vector<AttentionUnit> split_units_;
  std::vector<AttentionTeam> teams_;
  std::vector<SplitUnits> splits_;
  std::vector<int32_t> split_of_;  ///< By unit, where units are split.
  std::vector<int32_t> left_;      ///< Units of each split that are not computed yet.
  int64_t partials_ = 0;
  int64_t products_ = 0;
};

/// See Kernels::attention. `partials` has AttentionPlan::scratch_bytes().
void attend(const Isa& isa, ThreadPool& pool, AttentionTask task, const Batch& batch,
            const std::vector<int32_t>& kv_head, AttentionPlan& plan, const Tensor& partials);

}  // namespace longship::cpu
