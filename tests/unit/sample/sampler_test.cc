#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "tests/unit/sample/chi_square.h"
#include "tests/unit/sample/sample.h"

namespace longship {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

using Tokens = std::vector<int32_t>;

struct Case {
  std::vector<float> logits;
  Tokens prompt;
  Tokens output;
  SamplingParams params;
};

// The probabilities as the documentation of sample() states them, each step over the whole vocabulary.
std::vector<double> probabilities(const Case& c) {
  std::vector<double> x(c.logits.begin(), c.logits.end());
  for (std::size_t id = 0; id < x.size(); ++id) {
    const auto in = [&](const Tokens& tokens) {
      return std::count(tokens.begin(), tokens.end(), static_cast<int>(id));
    };
    if (in(c.prompt) + in(c.output) > 0) {
      x[id] = x[id] > 0 ? x[id] / c.params.repetition_penalty : x[id] * c.params.repetition_penalty;
    }
    x[id] -= c.params.frequency_penalty * static_cast<double>(in(c.output));
    x[id] -= in(c.output) > 0 ? c.params.presence_penalty : 0;
  }
  std::vector<std::size_t> order(x.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return x[a] > x[b]; });
  const double largest = x[order[0]];
  std::vector<double> p(x.size());
  std::transform(x.begin(), x.end(), p.begin(),
                 [&](double logit) { return std::exp((logit - largest) / c.params.temperature); });
  const auto drop_from = [&](std::size_t rank) {
    for (std::size_t i = rank; i < order.size(); ++i) {
      p[order[i]] = 0;
    }
  };
  std::replace_if(
      p.begin(), p.end(), [&](double value) { return value < c.params.min_p; }, 0);
  if (c.params.top_k > 0) {
    drop_from(static_cast<std::size_t>(c.params.top_k));
  }
  const double wanted = c.params.top_p * std::accumulate(p.begin(), p.end(), 0.0);
  double sum = 0;
  for (std::size_t i = 0; c.params.top_p < 1 && i < order.size(); ++i) {
    sum += p[order[i]];
    if (sum >= wanted) {
      drop_from(i + 1);
    }
  }
  const double total = std::accumulate(p.begin(), p.end(), 0.0);
  std::transform(p.begin(), p.end(), p.begin(), [&](double value) { return value / total; });
  return p;
}

// Draws with many seeds follow the probabilities, and never give what a filter has cut.
void expect_distribution(Case c, int draws) {
  const std::vector<double> p = probabilities(c);
  std::vector<double> counts(p.size());
  for (int i = 0; i < draws; ++i) {
    c.params.seed = static_cast<uint64_t>(i);
    const int32_t token = sample(c.logits, c.prompt, c.output, c.params);
    ASSERT_GT(p[static_cast<std::size_t>(token)], 0) << "token " << token << " was cut";
    ++counts[static_cast<std::size_t>(token)];
  }
  std::vector<double> expected;
  for (const double probability : p) {
    expected.push_back(probability * draws);
  }
  if (std::count_if(p.begin(), p.end(), [](double value) { return value > 0; }) > 1) {
    EXPECT_LT(chi_square_sigmas(counts, expected), 4.5);
  }
}

Case random_case(uint64_t seed, int64_t vocab) {
  std::mt19937_64 random(seed);
  const auto pick = [&](int64_t most) { return static_cast<int64_t>(random() % static_cast<uint64_t>(most + 1)); };
  const auto pick_token = [&] { return static_cast<int32_t>(pick(vocab - 1)); };
  Case c;
  for (int64_t i = 0; i < vocab; ++i) {
    c.logits.push_back(static_cast<float>(pick(32)) / 8 - 2);  // coarse, so that there are ties
  }
  std::generate_n(std::back_inserter(c.prompt), 1 + pick(5), pick_token);
  std::generate_n(std::back_inserter(c.output), pick(6), pick_token);
  SamplingParams& params = c.params;
  params.temperature = 0.3 + 0.2 * static_cast<double>(pick(5));
  params.top_k = pick(1) == 0 ? 0 : 1 + pick(vocab);
  params.top_p = pick(1) == 0 ? 1.0 : 0.05 + 0.093 * static_cast<double>(pick(10));
  params.min_p = pick(1) == 0 ? 0.0 : 0.0137 * static_cast<double>(pick(20));
  params.repetition_penalty = pick(1) == 0 ? 1.0 : 1.37;
  params.frequency_penalty = pick(1) == 0 ? 0.0 : 0.31;
  params.presence_penalty = pick(1) == 0 ? 0.0 : -0.57;
  return c;
}

TEST(Sampler, DrawsFollowTheFilteredDistribution) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE("case " + std::to_string(seed));
    expect_distribution(random_case(seed, 30), 3000);
  }
}

TEST(Sampler, TopPOfALargeVocabularyIsTheSame) {
  for (const double temperature : {0.2, 1.0, 10.0}) {
    Case c = random_case(5, 3000);
    c.params = {.temperature = temperature, .top_p = 0.9};
    expect_distribution(c, 1000);
  }
}

TEST(Sampler, EveryFilterCutsWhatItSays) {
  const std::vector<float> logits = {std::log(0.1F), std::log(0.4F), std::log(0.2F), std::log(0.3F)};
  const auto kept = [&](SamplingParams params) {
    std::vector<bool> seen(4);
    for (params.seed = 0; params.seed < 400; ++params.seed) {
      seen[static_cast<std::size_t>(sample(logits, Tokens{0}, {}, params))] = true;
    }
    return seen;
  };
  using Kept = std::vector<bool>;
  EXPECT_EQ(kept({}), (Kept{true, true, true, true}));
  EXPECT_EQ(kept({.top_k = 2}), (Kept{false, true, false, true}));
  EXPECT_EQ(kept({.top_p = 0.69}), (Kept{false, true, false, true}));
  EXPECT_EQ(kept({.top_p = 0.71}), (Kept{false, true, true, true}));
  EXPECT_EQ(kept({.min_p = 0.49}), (Kept{false, true, true, true}));
  EXPECT_EQ(kept({.min_p = 0.51}), (Kept{false, true, false, true}));
  EXPECT_EQ(kept({.temperature = 0.5, .min_p = 0.26}), (Kept{false, true, false, true}));
  EXPECT_EQ(kept({.top_k = 3, .top_p = 0.75}), (Kept{false, true, false, true}));
}

TEST(Sampler, BiasesAndBansComeBeforeTheChoice) {
  SamplingParams greedy = {.temperature = 0};
  const std::vector<float> logits = {1, 3, 2};
  EXPECT_EQ(sample(logits, Tokens{0}, {}, greedy, Tokens{1, 99, -1}), 2);
  greedy.logit_bias = {{0, 2.5F}, {1, -1.0F}};
  EXPECT_EQ(sample(logits, Tokens{0}, {}, greedy), 0);
}

TEST(Sampler, OnlyAllowedTokensAreChosen) {
  const std::vector<float> logits = {1, 3, 2, -9};
  SamplingParams params = {.temperature = 0};
  params.allowed_ids = {3, 0};
  EXPECT_EQ(sample(logits, Tokens{0}, {}, params), 0);
  EXPECT_EQ(sample(logits, Tokens{0}, {}, params, Tokens{0}), 3);
  params.temperature = 5;
  for (params.seed = 0; params.seed < 100; ++params.seed) {
    const int32_t token = sample(logits, Tokens{0}, {}, params);
    EXPECT_TRUE(token == 0 || token == 3) << token;
  }
}

TEST(Sampler, ABadWordIsNeverCompleted) {
  const std::vector<float> logits = {1, 3, 2};
  SamplingParams greedy = {.temperature = 0};
  greedy.bad_words = {{1}};
  EXPECT_EQ(sample(logits, Tokens{0}, {}, greedy), 2);
  greedy.bad_words = {{0, 2, 1}};
  EXPECT_EQ(sample(logits, Tokens{0}, Tokens{0, 2}, greedy), 2);
  EXPECT_EQ(sample(logits, Tokens{0}, Tokens{2, 2}, greedy), 1);
  EXPECT_EQ(sample(logits, Tokens{0, 2}, {}, greedy), 1) << "the prompt is no part of the output";
  EXPECT_EQ(sample(logits, Tokens{0}, Tokens{2}, greedy), 1) << "the output is shorter than the word";
}

TEST(Sampler, EachChoiceDrawsNumbersOfItsOwn) {
  const std::vector<float> logits(1000, 0.0F);
  SamplingParams params;
  params.seed = 5;
  const int32_t first = sample(logits, Tokens{0}, {}, params);
  params.choice = 1;
  EXPECT_NE(sample(logits, Tokens{0}, {}, params), first);
  params.choice = 0;
  EXPECT_EQ(sample(logits, Tokens{0}, {}, params), first);
}

TEST(Sampler, GreedyTakesTheLargestAndTheLowestOfEquals) {
  const SamplingParams greedy = {.temperature = 0};
  EXPECT_EQ(sample(std::vector<float>{1, 3, 2, 3}, Tokens{0}, {}, greedy), 1);
  EXPECT_EQ(sample(std::vector<float>(7, -1.5F), Tokens{0}, {}, greedy), 0);
  EXPECT_EQ(sample(std::vector<float>{-kInfinity, -kInfinity, -3.0F}, Tokens{0}, {}, greedy), 2);
}

TEST(Sampler, TiesGoToTheLowestIdInEveryFilter) {
  const std::vector<float> logits(50, 2.0F);
  for (uint64_t seed = 0; seed < 100; ++seed) {
    EXPECT_LT(sample(logits, Tokens{0}, {}, {.top_k = 3, .seed = seed}), 3);
    EXPECT_LT(sample(logits, Tokens{0}, {}, {.top_p = 0.0999, .seed = seed}), 5);
  }
}

TEST(Sampler, PenaltiesChangeTheGreedyChoice) {
  const std::vector<float> logits = {4.0F, 3.9F, -1.0F};
  const auto choose = [&](const Tokens& prompt, const Tokens& output, SamplingParams params) {
    params.temperature = 0;
    return sample(logits, prompt, output, params);
  };
  EXPECT_EQ(choose({0}, {}, {.repetition_penalty = 1.1}), 1);
  EXPECT_EQ(choose({2}, {}, {.repetition_penalty = 1.1}), 0);
  EXPECT_EQ(choose({0}, {}, {.presence_penalty = 1.0}), 0) << "the prompt does not count";
  EXPECT_EQ(choose({0}, {0}, {.presence_penalty = 0.2}), 1);
  EXPECT_EQ(choose({0}, {0}, {.frequency_penalty = 0.06}), 0);
  EXPECT_EQ(choose({0}, {0, 0}, {.frequency_penalty = 0.06}), 1);
  EXPECT_EQ(choose({0}, {2}, {.presence_penalty = -6.0}), 2);
}

TEST(Sampler, TheDrawBelongsToTheIndexOfTheTokenAndTheSeed) {
  const std::vector<float> logits(1000, 0.0F);
  const Tokens output(12, 3);
  const int32_t token = sample(logits, Tokens{1}, output, {.seed = 9});
  EXPECT_EQ(sample(logits, Tokens{5, 6, 7}, Tokens(12, 8), {.seed = 9}), token);
  EXPECT_NE(sample(logits, Tokens{1}, Tokens(13, 3), {.seed = 9}), token);
  EXPECT_NE(sample(logits, Tokens{1}, output, {.seed = 10}), token);
}

TEST(Sampler, NothingIsChosenWhereAllIsForbidden) {
  for (const double temperature : {0.0, 1.0}) {
    SamplingParams params = {.temperature = temperature};
    EXPECT_EQ(sample(std::vector<float>{kNan, -kInfinity}, Tokens{0}, {}, params), -1);
    EXPECT_EQ(sample(std::vector<float>{1, 2}, Tokens{0}, {}, params, Tokens{1, 0}), -1);
    params.allowed_ids = {1};
    params.bad_words = {{1}};
    EXPECT_EQ(sample(std::vector<float>{1, 2}, Tokens{0}, {}, params), -1);
  }
}

TEST(Sampler, StrangeNumbersGiveATokenAllTheSame) {
  const std::vector<std::vector<float>> rows = {
      {kNan, 1, 2}, {1, kNan, 2}, {kInfinity, 1, kInfinity}, {-kInfinity, -kInfinity, 1}, {3e38F, -3e38F, 0}, {1, 0.5}};
  const double not_a_number = std::numeric_limits<double>::quiet_NaN();
  const SamplingParams strange[] = {{},
                                    {.temperature = 1e-300},
                                    {.temperature = 1e300},
                                    {.temperature = not_a_number},
                                    {.temperature = -1},
                                    {.top_k = -5},
                                    {.top_k = INT64_MAX},
                                    {.top_p = 0},
                                    {.top_p = -1},
                                    {.top_p = not_a_number},
                                    {.min_p = 2},
                                    {.min_p = not_a_number},
                                    {.repetition_penalty = 0},
                                    {.repetition_penalty = -1},
                                    {.frequency_penalty = 1e300}};
  for (const std::vector<float>& logits : rows) {
    for (const SamplingParams& params : strange) {
      const int32_t token = sample(logits, Tokens{0}, Tokens{0, 0}, params);
      EXPECT_TRUE(token >= 0 && token < std::ssize(logits));
    }
  }
  for (uint64_t seed = 0; seed < 50; ++seed) {
    EXPECT_EQ(sample(std::vector<float>{-kInfinity, 1, -kInfinity}, Tokens{0}, {}, {.seed = seed}), 1);
  }
}

}  // namespace
}  // namespace longship
