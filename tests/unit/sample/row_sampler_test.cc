// Rows of logits that are cut over the ranks of a group give what the whole rows give.
#include "engine/sample/row_sampler.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "comm/transport.h"
#include "engine/sample/row_edits.h"
#include "parallel/groups.h"
#include "parallel/shard.h"

namespace longship {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

// As the head is cut.
std::vector<Range> cut(int64_t vocab, int ranks) {
  const int64_t unit = vocabulary_unit(vocab, ranks);
  std::vector<Range> shares;
  for (int rank = 0; rank < ranks; ++rank) {
    const Range units = share((vocab + unit - 1) / unit, ranks, rank);
    shares.push_back({std::min(vocab, units.begin * unit), std::min(vocab, units.end * unit)});
  }
  return shares;
}

// Some steps with rows of logits, and how tokens are chosen from them.
struct Steps {
  int64_t vocab;
  std::vector<StepPlan> plans{};
  std::vector<std::vector<float>> logits{};  // [rows, V] of each plan
};

SampledRow random_row(std::mt19937_64& random, int64_t vocab) {
  const auto pick = [&](int64_t most) { return static_cast<int64_t>(random() % static_cast<uint64_t>(most + 1)); };
  const auto token = [&] { return static_cast<int32_t>(pick(vocab - 1)); };
  SamplingParams params;
  params.temperature = pick(3) == 0 ? 0 : 0.2 * static_cast<double>(1 + pick(8));
  constexpr int64_t kTopK[] = {0, 0, 1, 40, 256, 257, 600};
  params.top_k = kTopK[pick(6)];
  params.top_p = pick(1) == 0 ? 1 : 0.09 * static_cast<double>(1 + pick(10));
  params.min_p = pick(2) != 0 ? 0 : 0.003 * static_cast<double>(pick(20));
  params.seed = random();
  std::vector<int32_t> prompt(20);
  std::vector<int32_t> output(static_cast<std::size_t>(pick(30)));
  std::generate(prompt.begin(), prompt.end(), token);
  std::generate(output.begin(), output.end(), token);
  if (pick(2) == 0) {
    params.repetition_penalty = 1.3;
    params.frequency_penalty = 0.4;
    params.logit_bias = {{token(), 3.0F}, {token(), -2.0F}};
  }
  TokenSet allowed(vocab);
  for (int64_t i = 0; i < vocab; i += 1 + pick(40)) {
    allowed.add(i);
  }
  const std::vector<int32_t> banned = {token(), token()};
  const bool guided = pick(3) == 0;
  SampledRow row = sampled_row(params, prompt, output, vocab, pick(1) == 0 ? banned : std::vector<int32_t>(),
                               guided ? &allowed : nullptr);
  constexpr int64_t kLogprobs[] = {-1, 0, 5, 20, 256, 300};
  row.logprobs = kLogprobs[pick(5)];
  return row;
}

Steps random_steps(int64_t vocab, uint64_t seed) {
  std::mt19937_64 random(seed);
  Steps steps{vocab};
  for (uint64_t step = 0; step < 12; ++step) {
    StepPlan plan;
    plan.step = step;
    for (uint64_t sequence = 0; sequence < 3; ++sequence) {
      PlanSlice slice{.sequence = sequence, .rows = 4, .logit_rows = static_cast<int64_t>(random() % 4)};
      slice.whole_rows = random() % 4 == 0;
      const int64_t sampled = slice.whole_rows ? static_cast<int64_t>(random() % 2) : slice.logit_rows;
      for (int64_t row = 0; row < std::min(sampled, slice.logit_rows); ++row) {
        slice.sampled.push_back(random_row(random, vocab));
      }
      plan.slices.push_back(std::move(slice));
    }
    std::normal_distribution<float> normal(0, random() % 2 == 0 ? 3.0F : 0.5F);
    std::vector<float> logits(static_cast<std::size_t>(plan.logit_rows() * vocab));
    for (float& logit : logits) {
      logit = std::round(normal(random) * 16) / 16;  // so that there are ties
      logit = random() % 1000 == 0 ? kNever : logit;
    }
    steps.plans.push_back(std::move(plan));
    steps.logits.push_back(std::move(logits));
  }
  return steps;
}

struct Outcome {
  std::vector<RowChoice> choices;
  std::vector<float> rows;
};

// Each rank's part of the logits on its own, as its head computes them.
Outcome sample_on(int ranks, const Steps& steps) {
  Outcome outcome;
  run_thread_ranks(ranks, [&](Transport& transport) {
    const auto group = transport.split(0, transport.rank());
    const auto kernels = make_kernels({.name = "reference"});
    const std::vector<Range> shares = cut(steps.vocab, ranks);
    const Range mine = shares[static_cast<std::size_t>(transport.rank())];
    RowSampler sampler(shares, transport.rank(), 12);
    sampler.allocate();
    Stream stream;
    for (std::size_t i = 0; i < steps.plans.size(); ++i) {
      const int64_t rows = steps.plans[i].logit_rows();
      const Tensor logits = Tensor::allocate(DType::kF32, {rows, mine.size()});
      for (int64_t row = 0; row < rows; ++row) {
        std::copy_n(steps.logits[i].data() + row * steps.vocab + mine.begin, mine.size(),
                    logits.data<float>() + row * mine.size());
      }
      const StepResult result = sampler.sample(steps.plans[i], logits, *group, *kernels, stream);
      EXPECT_EQ(result.step, i);
      if (transport.rank() == 0) {
        const auto whole = result.rows.values<float>();
        outcome.rows.insert(outcome.rows.end(), whole.begin(), whole.end());
        outcome.choices.insert(outcome.choices.end(), result.choices.begin(), result.choices.end());
      } else {
        EXPECT_TRUE(result.choices.empty());
      }
    }
  });
  return outcome;
}

// From the whole rows.
Outcome expected(const Steps& steps) {
  Outcome outcome;
  for (std::size_t i = 0; i < steps.plans.size(); ++i) {
    std::span<const float> rest = steps.logits[i];
    const auto vocab = static_cast<std::size_t>(steps.vocab);
    for (const PlanSlice& slice : steps.plans[i].slices) {
      for (int64_t row = 0; row < slice.logit_rows; ++row, rest = rest.subspan(vocab)) {
        const int64_t sampled = row - slice.logit_rows + std::ssize(slice.sampled);
        if (slice.whole_rows) {
          outcome.rows.insert(outcome.rows.end(), rest.begin(), rest.begin() + steps.vocab);
        }
        if (sampled >= 0) {
          outcome.choices.push_back(choose(slice.sampled[static_cast<std::size_t>(sampled)], rest.first(vocab)));
        }
      }
    }
  }
  return outcome;
}

void expect_equal(const Outcome& outcome, const Outcome& expected) {
  EXPECT_EQ(outcome.rows, expected.rows);
  ASSERT_EQ(outcome.choices.size(), expected.choices.size());
  for (std::size_t i = 0; i < expected.choices.size(); ++i) {
    const RowChoice& choice = outcome.choices[i];
    EXPECT_EQ(choice.token, expected.choices[i].token) << i;
    EXPECT_EQ(choice.logprob, expected.choices[i].logprob) << i;
    ASSERT_EQ(choice.top.size(), expected.choices[i].top.size()) << i;
    for (std::size_t k = 0; k < choice.top.size(); ++k) {
      EXPECT_EQ(choice.top[k].token, expected.choices[i].top[k].token) << i;
      EXPECT_EQ(choice.top[k].logprob, expected.choices[i].top[k].logprob) << i;
    }
  }
}

TEST(RowSampler, PartsOfAVocabularyGiveWhatItsWholeGives) {
  for (const int64_t vocab : {7, 300, 2500, 5120, 9001}) {
    const Steps steps = random_steps(vocab, static_cast<uint64_t>(vocab));
    const Outcome whole = expected(steps);
    ASSERT_GT(whole.choices.size(), 30U);
    for (const int ranks : {1, 2, 3, 4, 7}) {
      SCOPED_TRACE("vocabulary " + std::to_string(vocab) + " on " + std::to_string(ranks));
      expect_equal(sample_on(ranks, steps), whole);
    }
  }
}

// A summary is short of what a flat distribution needs, and has more than a peaked one does.
TEST(RowSampler, ASummaryKnowsWhenItIsShort) {
  const std::vector<float> flat(4096, 1.0F);
  std::vector<float> peaked = flat;
  peaked[77] = 30;
  SampledRow row{.temperature = 1, .seed = 1};
  const auto short_of = [&](const std::vector<float>& logits) {
    return !choose(row, summarise(row, logits, logits, 0)).has_value();
  };
  EXPECT_TRUE(short_of(flat));
  EXPECT_FALSE(short_of(peaked));
  row.top_p = 0.5;
  EXPECT_TRUE(short_of(flat));
  EXPECT_FALSE(short_of(peaked));
  row.top_k = 256;
  EXPECT_FALSE(short_of(flat));
  row = {.temperature = 1, .min_p = 0.5, .seed = 1};
  EXPECT_TRUE(short_of(flat));
  EXPECT_FALSE(short_of(peaked));
  row = {.temperature = 0};
  EXPECT_FALSE(short_of(flat));
}

TEST(RowSummary, SumsOfBlocksAreThoseOfExp) {
  std::mt19937_64 random(3);
  std::normal_distribution<float> normal(-2, 6);
  for (const std::size_t size : {1U, 15U, 16U, 1000U, 1024U, 1025U, 7000U}) {
    std::vector<float> logits(size);
    std::generate(logits.begin(), logits.end(), [&] { return normal(random); });
    logits[size / 2] = kNever;
    logits[0] = std::numeric_limits<float>::quiet_NaN();
    logits.push_back(0.5F);
    for (const double temperature : {0.1, 1.0, 3.0}) {
      std::vector<BlockSum> sums(static_cast<std::size_t>(blocks_of(std::ssize(logits))));
      sum_blocks(logits, temperature, sums);
      const LogitSum all = add_blocks(sums, temperature);
      double sum = 0;
      for (const float logit : logits) {
        sum += logit > kNever ? std::exp((static_cast<double>(logit) - all.largest) / temperature) : 0;
      }
      EXPECT_NEAR(all.sum / sum, 1, 1e-6) << size << " " << temperature;
    }
  }
}

TEST(RowSummary, BestCandidatesAreInOrderAndEqualOnesByRisingId) {
  std::mt19937_64 random(4);
  std::vector<float> logits(5000);
  std::generate(logits.begin(), logits.end(), [&] { return static_cast<float>(random() % 300); });
  logits[9] = std::numeric_limits<float>::quiet_NaN();
  std::vector<Candidate> all;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (i != 9) all.push_back({static_cast<int32_t>(i + 50), logits[i], -logits[i]});
  }
  std::vector<float> raw = logits;
  for (float& value : raw) value = -value;
  std::sort(all.begin(), all.end(), before);
  for (const int64_t count : {0, 1, 2, 256, 1024, 1025, 4999, 6000}) {
    const std::vector<Candidate> best = best_candidates(logits, raw, 50, count);
    ASSERT_EQ(std::ssize(best), std::min<int64_t>(count, 4999));
    for (std::size_t i = 0; i < best.size(); ++i) {
      ASSERT_EQ(best[i].token, all[i].token) << i;
      ASSERT_EQ(best[i].raw, all[i].raw) << i;
    }
  }
}

}  // namespace
}  // namespace longship
