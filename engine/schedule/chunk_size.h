#pragma once

#include <cstdint>

#include "engine/schedule/rank_report.h"

namespace longship {

/// What the stages of a pipeline need to know to share a prompt.
struct PipelineCost {
  int stages = 1;
  double key = 0;  ///< Time of attending to one key, where the rest of a token's work takes 1.
};

/// Of a stage whose layers are like the others'.
PipelineCost pipeline_cost(int stages, const StageCost& stage);

/// Tokens of the next chunk of a prompt of which [begin, end) is left to run, at most `most`. With one stage a chunk is
/// as large as it may be. With several, the stages work on different chunks at the same time, and a prompt is cut into
/// chunks that take equal time: later ones, which attend to more keys, are smaller. Small chunks fill and empty the
/// pipeline sooner, large ones cost fewer steps; of n tokens' work W at o for each step, (W / k + o) (k + stages - 1)
/// is least for k^2 = W (stages - 1) / o chunks.
int64_t chunk_tokens(int64_t begin, int64_t end, int64_t most, const PipelineCost& cost);

}  // namespace longship
