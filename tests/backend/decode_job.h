#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "decode_model.h"
#include "engine/model/edges.h"

namespace longship::testing {

/// Ranks that run a DecodeModel together.
struct DecodeJob {
  const char* wire;
  int ranks;  ///< Of a stage.
  int stages = 1;

  /// Whether the host copies between the ranks of a stage, so that no step can be repeated as a whole.
  bool copies_by_host() const { return ranks > 1 && std::string(wire) == "host"; }
};

inline std::string job_name(const ::testing::TestParamInfo<DecodeJob>& job) {
  return std::string(job.param.wire) + "_ranks_" + std::to_string(job.param.ranks) + "_stages_" +
         std::to_string(job.param.stages);
}

/// On the last stage: the logits of each step are this rank's columns of what one rank alone has.
inline void expect_parts_of(const std::vector<std::vector<float>>& alone, const std::vector<std::vector<float>>& logits,
                            const DecodeJob& job, DecodeModel& model) {
  const std::vector<Range> shares = vocabulary_shares(model.config(), job.ranks);
  const Range& share = shares[static_cast<std::size_t>(model.context().me.tp)];
  for (std::size_t i = 0; i < logits.size() && model.is_last_stage(); ++i) {
    std::vector<float> part;
    for (auto row = alone[i].begin(); row != alone[i].end(); row += model.config().vocab) {
      part.insert(part.end(), row + share.begin, row + share.end);
    }
    EXPECT_EQ(logits[i], part) << "step " << i << " of shard " << model.context().me.tp;
  }
}

}  // namespace longship::testing
