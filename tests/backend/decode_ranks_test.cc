// Decode steps of ranks that share layers, as graphs: the bits of one rank, over every way between devices.
#include <gtest/gtest.h>

#include "decode_model.h"
#include "engine/model/edges.h"

namespace longship {
namespace {

using testing::DecodeModel;
using testing::Rows;

constexpr const char* kModel = "models/gpt2-bare";

std::shared_ptr<Kernels> kernels_of_rank(bool graphs) {
  return make_cuda_kernels({.name = "cuda", .deterministic = true, .graphs = graphs}, 0);
}

// Prompts and sequences that come while others are decoded; sizes that take turns.
const std::vector<std::vector<Rows>>& workload() {
  static const std::vector<std::vector<Rows>> steps = [] {
    std::vector<std::vector<Rows>> all = {{{0, 9}, {1, 5}}};
    for (int i = 0; i < 3; ++i) {
      all.push_back({{1, 1}});
    }
    for (int i = 0; i < 3; ++i) {
      all.push_back({{2, 1}, {0, 1}, {1, 1}});
      all.push_back({{1, 1}});
    }
    return all;
  }();
  return steps;
}

using Logits = std::vector<std::vector<float>>;

Logits run_all(DecodeModel& model) {
  Logits logits;
  for (const std::vector<Rows>& step : workload()) {
    logits.push_back(model.run(step));
  }
  return logits;
}

// Columns `share` of rows of `vocab` values.
std::vector<float> part_of(const std::vector<float>& rows, int64_t vocab, const Range& share) {
  std::vector<float> part;
  for (auto row = rows.begin(); row != rows.end(); row += vocab) {
    part.insert(part.end(), row + share.begin, row + share.end);
  }
  return part;
}

struct Job {
  const char* wire;
  int ranks;  // of a stage
  int stages = 1;
};

const Logits& logits_of_one_rank() {
  static const Logits logits = [] {
    DecodeModel alone(kModel, false);
    return run_all(alone);
  }();
  return logits;
}

class DecodeRanks : public ::testing::TestWithParam<Job> {};

TEST_P(DecodeRanks, AreRecordedAndGiveTheBitsOfOne) {
  const Job job = GetParam();
  const Logits& expected = logits_of_one_rank();
  run_thread_ranks(job.ranks * job.stages, [&](Transport& transport) {
    DecodeModel model(kModel, kernels_of_rank(true), &transport, device_wire_of(job.wire), job.stages);
    const std::vector<Range> shares = vocabulary_shares(model.config(), job.ranks);
    const Range& share = shares[static_cast<std::size_t>(model.context().me.tp)];
    const Logits logits = run_all(model);
    for (std::size_t i = 0; i < logits.size() && model.is_last_stage(); ++i) {
      EXPECT_EQ(logits[i], part_of(expected[i], model.config().vocab, share))
          << "step " << i << " of rank " << transport.rank();
    }
    if (job.ranks > 1 && std::string_view(job.wire) == "host") {
      EXPECT_EQ(model.replayed(), 0) << "the host copies between the ranks of a stage";
    } else {  // whatever way stages have to each other
      EXPECT_GE(model.replayed(), 4);
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Wires, DecodeRanks,
                         ::testing::Values(Job{"ipc", 2}, Job{"ipc", 3}, Job{"nccl", 2}, Job{"nccl", 3}, Job{"host", 2},
                                           Job{"ipc", 2, 2}, Job{"nccl", 2, 2}, Job{"nccl", 1, 2}, Job{"host", 1, 2},
                                           Job{"host", 2, 2}),
                         [](const auto& job) {
                           return std::string(job.param.wire) + "_ranks_" + std::to_string(job.param.ranks) +
                                  "_stages_" + std::to_string(job.param.stages);
                         });

}  // namespace
}  // namespace longship
