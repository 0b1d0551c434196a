#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "comm/transport.h"
#include "engine/engine.h"
#include "engine/model/checkpoint.h"
#include "engine/model/stage.h"
#include "launcher/kv_size.h"
#include "launcher/options/engine_options.h"

namespace longship {

/// The model that the options name. Errors: kModelFile.
Checkpoint open_model(const EngineOptions& options);

/// Called on every rank while its weights load, from its thread.
using LoadReport = std::function<void(int64_t bytes_done, int64_t bytes_total)>;

/// A front end talks to the engine in a thread of the leader; what it returns is the job's exit code.
using FrontEnd = std::function<int(Engine&)>;

/// Runs one rank of the job until the front end returns: all ranks of the transport call it together with the same
/// options, and tp x pp ranks there must be. Loads, agrees after each phase, runs the rank loop. Followers return 0.
/// Errors (the same on every rank during start-up): kModelFile, kDoesNotFit, kUsage, kRank.
int run_rank(const EngineOptions& options, Transport& transport, const LoadReport& report, const FrontEnd& front_end);

/// The memory of one rank, as run_rank() would allocate it.
struct RankPlan {
  int rank = 0;
  Coord coord;
  Range layers;
  MemoryUse memory;
  int64_t source_bytes = 0;  ///< Read from the checkpoint.
};

struct MemoryPlan {
  int64_t max_model_len = 0;
  int64_t kv_tokens = 0;  ///< Room in the key/value cache.
  std::vector<RankPlan> ranks;
};

/// Plans every rank from the model's own declarations, allocates nothing and starts no ranks: the sizes are those that
/// run_rank() would choose with such a budget of each rank, or without one those of plenty. Errors: kUsage,
/// kDoesNotFit.
MemoryPlan plan_memory(const EngineOptions& options, const Checkpoint& checkpoint,
                       const std::optional<KvBudget>& budget = std::nullopt);

}  // namespace longship
