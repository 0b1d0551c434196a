// The host a step behind the device: the same tokens, whatever comes next.
#include "engine/step_runner.h"

#include <gtest/gtest.h>

#include <set>

#include "decode_model.h"
#include "engine/model/edges.h"

namespace longship {
namespace {

using testing::DecodeModel;

/// How the tokens of a sequence are chosen.
SampledRow sampled(int sequence) {
  SampledRow row{.seed = static_cast<uint64_t>(sequence) + 40};
  row.temperature = sequence % 2 == 0 ? 0 : 1.5;
  row.top_k = sequence % 2 == 0 ? 0 : 20;
  return row;
}

/// Generates with one model, token after token, as a scheduler does.
class Generation {
 public:
  /// `transport`: of the ranks that share the layers of so many stages, of which this is one; null: alone.
  explicit Generation(bool ahead, Transport* transport = nullptr, DeviceWire wire = DeviceWire::kAuto, int stages = 1)
      : model_("models/gpt2-bare", make_cuda_kernels({.name = "cuda", .deterministic = true, .graphs = true}, 0),
               transport, wire, stages),
        world_(transport == nullptr ? make_self_transport()->split(0, 0) : transport->split(0, transport->rank())),
        sampler_(vocabulary_shares(model_.config(), model_.context().tp.size()), model_.context().tp.rank(), 12),
        ahead_(ahead) {
    sampler_.allocate();
    for (int32_t page = 0; page < 16; ++page) {
      free_.push_back(page);
    }
  }

  /// A step of one row of each of these sequences, which begin with a token of their own.
  void step(const std::vector<int>& sequences) {
    StepPlan plan{.step = ++steps_, .model = model_of_plans, .tokens = {}, .slices = {}};
    for (const int id : sequences) {
      add(id, plan);
    }
    const StepResult result = ahead_ ? runner_.run(plan) : run_as_it_is(plan);
    EXPECT_EQ(result.step, steps_);
    std::vector<int32_t> tokens(sequences.size());
    if (world_->rank() == 0) {
      ASSERT_EQ(result.choices.size(), sequences.size());
      std::ranges::transform(result.choices, tokens.begin(), [](const RowChoice& choice) { return choice.token; });
    }
    tell(tokens);
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      sequence(sequences[i]).tokens.push_back(tokens[i]);
    }
  }

  void finish(int id) {
    const std::vector<int32_t>& pages = sequence(id).pages;
    free_.insert(free_.end(), pages.begin(), pages.end());  // the next to be taken
    sequence(id).pages.clear();
  }
  /// Waits for steps that nobody asks for.
  void finish_all() { model_.stream().synchronise(); }
  void replace_last(int id, int32_t token) { sequence(id).tokens.back() = token; }

  const std::vector<int32_t>& tokens(int id) { return sequence(id).tokens; }
  SampledRow& row(int id) { return sequence(id).row; }
  /// Steps that were put on the stream.
  int begun() const { return model_.called() + model_.replayed(); }

  PlanModel model_of_plans = PlanModel::kTarget;

 private:
  struct Sequence {
    std::vector<int32_t> tokens;
    std::vector<int32_t> pages;
    SampledRow row;
  };

  Sequence& sequence(int id) {
    while (std::ssize(sequences_) <= id) {
      const auto next = static_cast<int>(sequences_.size());
      sequences_.push_back({.tokens = {next * 17 + 3}, .pages = {}, .row = sampled(next)});
    }
    return sequences_[static_cast<std::size_t>(id)];
  }

  void add(int id, StepPlan& plan) {
    Sequence& one = sequence(id);
    const auto begin = std::ssize(one.tokens) - 1;
    while (std::ssize(one.pages) * kPageTokens < std::ssize(one.tokens)) {
      one.pages.push_back(free_.back());
      free_.pop_back();
    }
    one.row.index = static_cast<uint64_t>(begin);
    plan.tokens.push_back(one.tokens.back());
    plan.slices.push_back({.sequence = static_cast<uint64_t>(id),
                           .begin = begin,
                           .rows = 1,
                           .logit_rows = 1,
                           .pages = one.pages,
                           .sampled = {one.row}});
  }

  // As the leader's plans do.
  void tell(std::vector<int32_t>& tokens) {
    Tensor told = Tensor::wrap(DType::kI32, {std::ssize(tokens)}, tokens.data());
    Stream host;
    world_->broadcast(told, 0, host);
  }

  // As all ranks together find out.
  bool stages_go_ahead() {
    Tensor votes = Tensor::allocate(DType::kF32, {1});
    *votes.data<float>() = StepRunner::can_go_ahead(model_.context()) ? 1 : 0;
    Stream host;
    world_->all_reduce(votes, host);
    return *votes.data<float>() == static_cast<float>(world_->size());
  }

  StepResult run_as_it_is(const StepPlan& plan) {
    const Tensor logits = model_.stage().execute(plan, model_.context());
    return sampler_.sample(plan, logits, model_.context().tp, model_.kernels(), model_.stream());
  }

  DecodeModel model_;
  std::unique_ptr<Communicator> world_;
  RowSampler sampler_;
  StepRunner runner_{model_.stage(), model_.is_last_stage() ? &sampler_ : nullptr, model_.context(), stages_go_ahead()};
  bool ahead_;
  uint64_t steps_ = 0;
  std::vector<Sequence> sequences_;
  std::vector<int32_t> free_;
};

/// Both ways side by side.
class StepRunnerTest : public ::testing::Test {
 protected:
  void steps(const std::vector<int>& sequences, int count) {
    for (int i = 0; i < count; ++i) {
      ahead_.step(sequences);
      plain_.step(sequences);
    }
    for (const int id : sequences) {
      ASSERT_EQ(ahead_.tokens(id), plain_.tokens(id)) << "sequence " << id;
    }
  }
  template <class Change>
  void both(const Change& change) {
    change(ahead_);
    change(plain_);
  }
  /// Steps that were begun and not asked for, or not yet.
  int unused() const { return ahead_.begun() - plain_.begun(); }

  Generation ahead_{true};
  Generation plain_{false};
};

TEST_F(StepRunnerTest, BeginsTheNextStepBeforeItIsAskedFor) {
  steps({0, 1}, 1);
  EXPECT_EQ(unused(), 0);
  for (int i = 0; i < 4; ++i) {  // from the second step on that goes on from another
    steps({0, 1}, 1);
    EXPECT_EQ(unused(), 1);
  }
  EXPECT_GT(std::set<int32_t>(ahead_.tokens(1).begin(), ahead_.tokens(1).end()).size(), 2U);
}

TEST_F(StepRunnerTest, SequencesThatComeAndGoGetTheirTokens) {
  steps({0, 1, 2}, 3);
  steps({1, 0, 2}, 3);  // another order: dropped
  EXPECT_EQ(unused(), 2);
  both([](Generation& one) { one.finish(1); });
  steps({0, 2}, 3);
  steps({0, 2, 3}, 3);  // on the page that was 1's
  both([](Generation& one) { one.finish(0); });
  steps({3, 2}, 2);
  EXPECT_EQ(unused(), 5);
}

TEST_F(StepRunnerTest, ATokenThatIsAnotherDropsTheStep) {
  steps({0, 1}, 3);
  both([](Generation& one) { one.replace_last(1, 5); });
  steps({0, 1}, 1);
  EXPECT_EQ(unused(), 1);
  steps({0, 1}, 2);
  EXPECT_EQ(unused(), 2);
}

TEST_F(StepRunnerTest, OtherSamplingDropsTheStep) {
  steps({1}, 3);
  both([](Generation& one) { one.row(1).seed = 999; });
  steps({1}, 3);
  EXPECT_EQ(unused(), 2);
}

TEST_F(StepRunnerTest, NothingIsBegunWhereTheHostMustSeeLogits) {
  both([](Generation& one) {
    one.row(0).logprobs = 2;
    one.row(1).top_k = 0;  // the draw may fall behind the first candidates
    one.row(2).banned = {4};
  });
  for (const int id : {0, 1, 2}) {
    steps({id}, 4);
    steps({id, 4}, 2);
  }
  EXPECT_EQ(unused(), 0);
}

TEST_F(StepRunnerTest, NothingIsBegunForADraftModel) {
  both([](Generation& one) { one.model_of_plans = PlanModel::kDraft; });
  steps({0}, 4);
  EXPECT_EQ(unused(), 0);
}

TEST_F(StepRunnerTest, CrossesPages) {
  steps({0}, kPageTokens + 4);  // not begun ahead: the one that needs another page
  EXPECT_EQ(unused(), 1);
}

struct Job {
  const char* wire;
  int ranks;  // of a stage
  int stages;
  bool ahead;
};

// All ranks begin the same steps ahead, and drop the same.
class StepRunnerOfRanks : public ::testing::TestWithParam<Job> {
 protected:
  static constexpr int kReplacedAfter = 8;

  // Steps of both sequences, in two orders, and of one, a token of which is replaced.
  static void generate(Generation& one) {
    const std::vector<std::vector<int>> steps = {{0, 1}, {0, 1}, {0, 1}, {1, 0}, {1, 0}, {1}, {1}, {1}, {1}, {1}, {1}};
    for (int i = 0; i < static_cast<int>(steps.size()); ++i) {
      one.step(steps[static_cast<std::size_t>(i)]);
      if (i == kReplacedAfter) {
        one.replace_last(1, 5);
      }
    }
  }
};

TEST_P(StepRunnerOfRanks, ChooseAndBeginAlike) {
  const Job job = GetParam();
  Generation alone(false);
  generate(alone);
  run_thread_ranks(job.ranks * job.stages, [&](Transport& transport) {
    Generation ranks(true, &transport, device_wire_of(job.wire), job.stages);
    generate(ranks);
    EXPECT_EQ(ranks.tokens(0), alone.tokens(0));
    EXPECT_EQ(ranks.tokens(1), alone.tokens(1));
    // Dropped where the order, the sequences and a token are others; the last one is not asked for.
    EXPECT_EQ(ranks.begun() - alone.begun(), job.ahead ? 4 : 0) << "rank " << transport.rank();
    ranks.finish_all();
  });
}

INSTANTIATE_TEST_SUITE_P(Jobs, StepRunnerOfRanks,
                         ::testing::Values(Job{"ipc", 2, 1, true}, Job{"nccl", 2, 1, true}, Job{"host", 2, 1, false},
                                           Job{"nccl", 1, 2, true}, Job{"nccl", 2, 2, true}, Job{"nccl", 1, 3, true},
                                           Job{"ipc", 1, 2, true}, Job{"ipc", 2, 2, true}, Job{"ipc", 1, 3, true},
                                           Job{"host", 1, 2, false}),
                         [](const auto& job) {
                           return std::string(job.param.wire) + "_ranks_" + std::to_string(job.param.ranks) +
                                  "_stages_" + std::to_string(job.param.stages);
                         });

}  // namespace
}  // namespace longship
