// Adapters on devices: which steps with them are recorded, that a graph takes the rows of any, and that this changes no
// bit, on one rank and on several.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "decode_job.h"
#include "tests/support/adapter_files.h"

namespace longship {
namespace {

using testing::AdapterModule;
using testing::DecodeJob;
using testing::DecodeModel;
using testing::Rows;

struct Subject {
  const char* model;
  std::vector<std::string> targets;  // of the first adapter; the second has the last two
  bool transposed = false;
  const char* prefix = "";
};

const Subject kLlama{"models/llama", {"q_proj", "k_proj", "o_proj", "gate_proj", "v_proj", "down_proj"}};
const Subject kGpt2{"models/gpt2-bare", {"c_proj", "c_fc", "c_attn"}, true, "transformer."};

// Two adapters of other ranks, types and modules.
class Adapters {
 public:
  explicit Adapters(const Subject& subject) {
    write(subject, subject.targets, 17, "F16");
    write(subject, {subject.targets.end() - 2, subject.targets.end()}, 3, "BF16");
  }

  std::span<const Adapter> get() const { return adapters_; }

 private:
  void write(const Subject& subject, const std::vector<std::string>& targets, int64_t rank, const std::string& dtype) {
    const auto modules =
        testing::modules_of(data_path(subject.model), targets, rank, subject.transposed, subject.prefix);
    const std::filesystem::path folder = folder_.path() / std::to_string(rank);
    testing::write_adapter(folder, testing::adapter_config(targets, rank, 2.0 * static_cast<double>(rank)),
                           testing::narrowed(testing::adapter_tensors(modules, 1), dtype));
    adapters_.push_back(Adapter::open(folder));
  }

  testing::TemporaryFolder folder_;
  std::vector<Adapter> adapters_;
};

std::shared_ptr<Kernels> kernels_of_rank(bool graphs) {
  return make_cuda_kernels({.name = "cuda", .deterministic = true, .graphs = graphs}, 0);
}

std::unique_ptr<DecodeModel> alone(const Subject& subject, bool graphs, std::span<const Adapter> adapters) {
  return std::make_unique<DecodeModel>(subject.model, kernels_of_rank(graphs), nullptr, DeviceWire::kAuto, 1, adapters);
}

// Sequences of the model and of either adapter, in other places and company each time.
const std::vector<std::vector<Rows>>& workload() {
  static const std::vector<std::vector<Rows>> steps = [] {
    std::vector<std::vector<Rows>> all = {{{0, 9, 1}, {1, 5}, {2, 7, 2}}, {{3, 20, 2}, {4, 1, 1}}, {{5, 3}}};
    for (int i = 0; i < 2; ++i) {
      all.push_back({{0, 1, 1}, {1, 1}, {2, 1, 2}});
      all.push_back({{1, 1}, {5, 1}, {3, 1, 2}, {2, 1, 2}});
      all.push_back({{4, 1, 1}, {0, 1, 1}, {1, 1}});
      all.push_back({{2, 1, 2}, {5, 1}, {1, 1}});
      all.push_back({{1, 1}, {5, 1}});
      all.push_back({{4, 1, 1}});
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

// Every sequence by itself.
Logits one_by_one(const Subject& subject, std::span<const Adapter> adapters) {
  const auto model = alone(subject, false, adapters);
  const auto base = alone(subject, false, {});
  Logits logits;
  for (const std::vector<Rows>& step : workload()) {
    std::vector<float>& all = logits.emplace_back();
    for (const Rows& rows : step) {
      const std::vector<float> row = (rows.adapter == 0 ? *base : *model).run({rows});
      all.insert(all.end(), row.begin(), row.end());
    }
  }
  return logits;
}

class DecodeAdapters : public ::testing::TestWithParam<const Subject*> {};

TEST_P(DecodeAdapters, AGraphTakesTheRowsOfAnyAdapter) {
  const Adapters adapters(*GetParam());
  const Logits expected = one_by_one(*GetParam(), adapters.get());
  for (const bool graphs : {false, true}) {
    const auto model = alone(*GetParam(), graphs, adapters.get());
    const Logits logits = run_all(*model);
    for (std::size_t i = 0; i < logits.size(); ++i) {
      EXPECT_EQ(logits[i], expected[i]) << "step " << i << (graphs ? " with graphs" : "");
    }
    // Of 12 decode steps the first two of each size are put on the stream by hand: four rows with adapters, one row
    // with, two without.
    EXPECT_EQ(model->replayed(), graphs ? 6 : 0);
  }
}

TEST_P(DecodeAdapters, AnAdapterChangesItsSequence) {
  const Adapters adapters(*GetParam());
  const auto model = alone(*GetParam(), true, adapters.get());
  const auto base = model->run({{0, 6}});
  const auto first = alone(*GetParam(), true, adapters.get())->run({{0, 6, 1}});
  const auto second = alone(*GetParam(), true, adapters.get())->run({{0, 6, 2}});
  EXPECT_NE(base, first);
  EXPECT_NE(base, second);
  EXPECT_NE(first, second);
}

INSTANTIATE_TEST_SUITE_P(Models, DecodeAdapters, ::testing::Values(&kLlama, &kGpt2),
                         [](const auto& subject) { return "model" + std::to_string(subject.index); });

// Without --deterministic products of many rows may keep activations in 16 bits, which adapters do not read.
TEST(FastAdapters, AreNearTheDeterministicOnes) {
  const Subject subject{"models/qwen2-bf16", kLlama.targets};
  const Adapters adapters(subject);
  const std::vector<Rows> step = {{0, 40, 1}, {1, 20}, {2, 30, 2}};
  const auto exact = alone(subject, false, adapters.get())->run(step);
  const auto base = alone(subject, false, {})->run({{0, 40}, {1, 20}, {2, 30}});
  DecodeModel model(subject.model, std::shared_ptr<Kernels>(make_cuda_kernels({.name = "cuda"}, 0)), nullptr,
                    DeviceWire::kAuto, 1, adapters.get());
  const auto fast = model.run(step);
  ASSERT_EQ(fast.size(), exact.size());
  const auto distance = [&](const std::vector<float>& from, std::size_t row) {
    const std::size_t vocab = exact.size() / step.size();
    double difference = 0;
    for (std::size_t i = row * vocab; i < (row + 1) * vocab; ++i) {
      difference = std::max(difference, std::abs(static_cast<double>(from[i]) - static_cast<double>(exact[i])));
    }
    return difference;
  };
  for (const std::size_t row : {0U, 2U}) {
    EXPECT_LT(distance(fast, row), distance(base, row) / 10) << "row " << row;
  }
}

const Logits& logits_of_one_rank() {
  static const Logits logits = [] {
    const Adapters adapters(kGpt2);
    return one_by_one(kGpt2, adapters.get());
  }();
  return logits;
}

class DecodeAdaptersOfRanks : public ::testing::TestWithParam<DecodeJob> {};

TEST_P(DecodeAdaptersOfRanks, GiveTheBitsOfOne) {
  const DecodeJob& job = GetParam();
  const Logits& expected = logits_of_one_rank();
  run_thread_ranks(job.ranks * job.stages, [&](Transport& transport) {
    const Adapters own(kGpt2);  // files are read by one thread
    DecodeModel model(kGpt2.model, kernels_of_rank(true), &transport, device_wire_of(job.wire), job.stages, own.get());
    testing::expect_parts_of(expected, run_all(model), job, model);
    if (job.copies_by_host()) {
      EXPECT_EQ(model.replayed(), 0) << "the host copies between the ranks of a stage";
    } else {
      EXPECT_EQ(model.replayed(), 6);
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Wires, DecodeAdaptersOfRanks,
                         ::testing::Values(DecodeJob{"ipc", 2}, DecodeJob{"nccl", 3}, DecodeJob{"host", 2},
                                           DecodeJob{"ipc", 2, 2}, DecodeJob{"nccl", 2, 2}),
                         testing::job_name);

}  // namespace
}  // namespace longship
