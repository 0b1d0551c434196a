// What the scheduler does to save work changes no token of a real model.
#include <gtest/gtest.h>

#include "tests/support/engine_run.h"
#include "tests/support/fixtures.h"

namespace longship {
namespace {

using testing::RequestResult;

EngineOptions options(int pp) {
  return {.model = testing::data_path("models/llama"),
          .overrides = {},
          .pp = pp,
          .max_model_len = 256,
          .max_num_seqs = 4,
          .max_batched_tokens = 96};
}

// Answers to prompts that begin alike, each of another choice, some greedy.
std::vector<GenerationRequest> requests() {
  std::vector<GenerationRequest> all;
  for (uint32_t i = 0; i < 6; ++i) {
    GenerationRequest request;
    for (int32_t token = 0; token < 150; ++token) {
      request.prompt.push_back(1 + token * 7 % 90);
    }
    request.prompt.resize(150 - 10 * (i / 2));
    request.max_tokens = 40;
    request.logprobs = 3;
    request.sampling.temperature = i % 2 == 0 ? 0 : 1;
    request.sampling.seed = 5;
    request.sampling.choice = i;
    all.push_back(request);
  }
  return all;
}

void expect_equal(const std::vector<RequestResult>& results, const std::vector<RequestResult>& plain) {
  for (std::size_t i = 0; i < plain.size(); ++i) {
    EXPECT_EQ(plain[i].tokens.size(), 40U);
    EXPECT_EQ(results[i].tokens, plain[i].tokens) << i;
    EXPECT_EQ(results[i].logprobs, plain[i].logprobs) << i;
  }
}

class Scheduling : public ::testing::TestWithParam<int> {
 protected:
  static std::vector<RequestResult> plain(int pp) {
    EngineOptions one_by_one = options(pp);
    one_by_one.prefix_cache = false;
    one_by_one.max_num_seqs = 1;
    return testing::run_on_threads(one_by_one, requests());
  }
};

TEST_P(Scheduling, SharedPagesChangeNoBit) {
  const std::vector<RequestResult> shared = testing::run_on_threads(options(GetParam()), requests());
  expect_equal(shared, plain(GetParam()));
  int64_t cached = 0;
  for (const RequestResult& result : shared) {
    cached += result.finish.cached_tokens;
  }
  EXPECT_GE(cached, 4 * 64) << "pages were shared";
}

TEST_P(Scheduling, GuessesChangeNoBit) {
  EngineOptions guessing = options(GetParam());
  guessing.lookup = {.draft_tokens = 4, .most_match = 3, .least_match = 1};
  expect_equal(testing::run_on_threads(guessing, requests()), plain(GetParam()));
}

INSTANTIATE_TEST_SUITE_P(Stages, Scheduling, ::testing::Values(1, 2));

}  // namespace
}  // namespace longship
