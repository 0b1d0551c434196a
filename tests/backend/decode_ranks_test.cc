// Decode steps of ranks that share layers, as graphs: the bits of one rank, over every way between devices.
#include <gtest/gtest.h>

#include "decode_job.h"

namespace longship {
namespace {

using testing::DecodeJob;
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

const Logits& logits_of_one_rank() {
  static const Logits logits = [] {
    DecodeModel alone(kModel, false);
    return run_all(alone);
  }();
  return logits;
}

class DecodeRanks : public ::testing::TestWithParam<DecodeJob> {};

TEST_P(DecodeRanks, AreRecordedAndGiveTheBitsOfOne) {
  const DecodeJob& job = GetParam();
  const Logits& expected = logits_of_one_rank();
  run_thread_ranks(job.ranks * job.stages, [&](Transport& transport) {
    DecodeModel model(kModel, kernels_of_rank(true), &transport, device_wire_of(job.wire), job.stages);
    testing::expect_parts_of(expected, run_all(model), job, model);
    if (job.copies_by_host()) {
      EXPECT_EQ(model.replayed(), 0) << "the host copies between the ranks of a stage";
    } else {  // whatever way stages have to each other
      EXPECT_GE(model.replayed(), 4);
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Wires, DecodeRanks,
                         ::testing::Values(DecodeJob{"ipc", 2}, DecodeJob{"ipc", 3}, DecodeJob{"nccl", 2},
                                           DecodeJob{"nccl", 3}, DecodeJob{"host", 2}, DecodeJob{"ipc", 2, 2},
                                           DecodeJob{"nccl", 2, 2}, DecodeJob{"nccl", 1, 2}, DecodeJob{"ipc", 1, 2},
                                           DecodeJob{"host", 1, 2}, DecodeJob{"host", 2, 2}),
                         testing::job_name);

}  // namespace
}  // namespace longship
