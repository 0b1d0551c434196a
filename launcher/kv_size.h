#pragma once

#include <cstdint>

#include "engine/model/config.h"
#include "engine/model/stage.h"
#include "launcher/options/engine_options.h"

namespace longship {

/// How many tokens the key/value cache and one sequence hold.
struct KvSize {
  int64_t pages = 0;
  int64_t max_model_len = 0;
};

/// What one rank may use.
struct KvBudget {
  /// A rank's part of its host's free memory, of which keys and values take kv_cache_fraction.
  static KvBudget of_host(const EngineOptions& options, int64_t free_bytes, int ranks);
  /// A rank's part of a device's memory: kv_cache_fraction of all of it (0.9 if not given), less what others use.
  static KvBudget of_device(const EngineOptions& options, const DeviceMemory& device, int ranks);

  int64_t bytes = 0;
  double kv_part = 0;  ///< Of them, for keys and values; 0: none was asked for.
};

/// What one rank may use, and what its stage takes of it.
struct RankMemory {
  RankMemory(const KvBudget& budget, const MemoryUse& stage, int64_t kv_pages);

  int64_t budget_bytes;
  double kv_part;
  int64_t fixed_bytes;  ///< Weights and workspace.
  int64_t page_bytes;   ///< Of one page of keys and values.

  /// Pages that fit beside weights and workspace; below 0 if these alone do not.
  int64_t affordable_pages() const;
  /// Pages that the memory asked for them holds; 0 if none was asked for.
  int64_t wanted_pages(const EngineOptions& options) const;
};

/// Before the memory is known: the context asked for, or the model's, and room for one sequence of it or for several
/// as far as usual.
KvSize usual_kv_size(const EngineOptions& options, const ModelConfig& config);

/// What the ranks can hold, by the least that any of them can afford and wants: less context if none was asked for and
/// the usual does not fit. `example` is one of them, for the message. Errors: kDoesNotFit.
KvSize fitting_kv_size(const EngineOptions& options, const KvSize& usual, int64_t affordable_pages,
                       int64_t wanted_pages, const RankMemory& example);

}  // namespace longship
