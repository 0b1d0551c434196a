#include <gtest/gtest.h>

#include <random>

#include "tests/unit/schedule/runner.h"

namespace longship::fake {
namespace {

// Random requests that arrive while others run: some are cancelled, some are turns of a conversation or begin like
// another.
class Workload {
 public:
  Workload(const SchedulerLimits& limits, uint64_t seed) : limits_(limits), runner_(limits, seed % 3), random_(seed) {}

  void run(int requests) {
    for (int submitted = 0; submitted < requests || !runner_.scheduler().idle(); ++steps_) {
      ASSERT_LT(steps_, 1'000'000) << "some request starves";
      if (submitted < requests && chance(30)) {
        submit(random_request());
        ++submitted;
      }
      if (chance(3) && !requests_.empty()) {
        runner_.cancel(static_cast<RequestId>(pick(1, last())));
      }
      runner_.step();
      check_finished();
      continue_conversations(submitted, requests);
    }
    runner_.run();
    check_finished();
    EXPECT_EQ(finished_, static_cast<int64_t>(requests_.size()));
    EXPECT_EQ(runner_.scheduler().free_pages(), limits_.kv_pages);
  }

  Runner& runner() { return runner_; }
  int64_t cached_tokens() const { return cached_tokens_; }

 private:
  int64_t pick(int64_t least, int64_t most) { return std::uniform_int_distribution<int64_t>(least, most)(random_); }
  int64_t last() const { return static_cast<int64_t>(requests_.size()); }
  bool chance(int64_t percent) { return pick(1, 100) <= percent; }

  std::vector<int32_t> random_tokens(int64_t count) {
    std::vector<int32_t> tokens;
    for (int64_t i = 0; i < count; ++i) {
      tokens.push_back(static_cast<int32_t>(pick(0, limits_.vocab - 1)));
    }
    return tokens;
  }

  GenerationRequest random_request() {
    GenerationRequest request;
    request.prompt = random_tokens(chance(20) ? pick(1, limits_.max_model_len - 1) : pick(1, 20));
    if (chance(30) && !requests_.empty()) {
      const std::vector<int32_t>& other = requests_.at(static_cast<RequestId>(pick(1, last()))).prompt;
      std::copy_n(other.begin(), std::min(other.size(), request.prompt.size()), request.prompt.begin());
    }
    request.adapter = limits_.adapters == 0 ? 0 : static_cast<int32_t>(pick(0, limits_.adapters));
    request.max_tokens = pick(0, 60);
    request.priority = pick(-1, 1);
    request.client = static_cast<uint64_t>(pick(0, 2));
    request.prompt_logits = chance(6);
    request.prompt_logprobs = chance(6) ? pick(0, 3) : -1;
    if (chance(30)) {
      request.stop_ids = random_tokens(3);
    }
    request.sampling = {.temperature = chance(30) ? 0.0 : 0.8,
                        .top_k = chance(50) ? 10 : 0,
                        .top_p = 0.9,
                        .repetition_penalty = chance(50) ? 1.2 : 1.0,
                        .seed = static_cast<uint64_t>(pick(0, 1 << 30))};
    return request;
  }

  void submit(GenerationRequest request) { requests_[runner_.submit(request)] = request; }

  // The next turn of some conversations that have just finished, now and then with another beginning.
  void continue_conversations(int& submitted, int most) {
    for (const RequestId id : std::exchange(ended_conversations_, {})) {
      GenerationRequest next = random_request();
      const Report& report = runner_.report(id);
      const auto length = static_cast<int64_t>(requests_.at(id).prompt.size() + report.tokens.size());
      if (submitted >= most || length + 10 >= limits_.max_model_len || !chance(70)) {
        continue;
      }
      next.prompt = requests_.at(id).prompt;
      next.adapter = limits_.adapters > 0 && chance(80) ? requests_.at(id).adapter : next.adapter;
      next.prompt.insert(next.prompt.end(), report.tokens.begin(), report.tokens.end());
      if (chance(20)) {
        next.prompt.resize(static_cast<std::size_t>(pick(1, length)));
      }
      const std::vector<int32_t> more = random_tokens(pick(0, 8));
      next.prompt.insert(next.prompt.end(), more.begin(), more.end());
      submit(std::move(next));
      ++submitted;
    }
  }

  void check_finished() {
    for (const RequestId id : runner_.take_finished()) {
      ++finished_;
      const GenerationRequest& request = requests_.at(id);
      const Report& report = runner_.report(id);
      check(request, report);
      cached_tokens_ += report.cached_tokens;
      if (chance(40)) {
        ended_conversations_.push_back(id);
      }
    }
  }

  void check(const GenerationRequest& request, const Report& report) {
    Answer expected = answer_alone(request, limits_);
    if (report.reason == FinishReason::kCancelled) {
      ASSERT_LE(report.tokens.size(), expected.tokens.size());
      expected.tokens.resize(report.tokens.size());
    } else {
      ASSERT_EQ(report.reason, expected.reason) << report.error;
      const std::size_t rows = request.prompt_logits ? request.prompt.size() : 0;
      ASSERT_EQ(report.prompt_logits.size(), rows * static_cast<std::size_t>(limits_.vocab));
      ASSERT_EQ(report.prompt_logprobs.size(), request.prompt_logprobs >= 0 ? request.prompt.size() - 1 : 0);
    }
    ASSERT_EQ(report.tokens, expected.tokens);
    ASSERT_LT(report.cached_tokens, static_cast<int64_t>(request.prompt.size()));
    check_prompt_logits(request, report);
  }

  void check_prompt_logits(const GenerationRequest& request, const Report& report) {
    History history = beginning_with(request.adapter);
    auto reported = report.prompt_logits.begin();
    for (std::size_t i = 0; reported != report.prompt_logits.end(); ++i) {
      history.extend(request.prompt[i]);
      const std::vector<float> expected = logits(history, limits_.vocab);
      ASSERT_TRUE(std::equal(expected.begin(), expected.end(), reported)) << "position " << i;
      reported += limits_.vocab;
    }
  }

  SchedulerLimits limits_;
  Runner runner_;
  std::mt19937_64 random_;
  std::map<RequestId, GenerationRequest> requests_;
  std::vector<RequestId> ended_conversations_;
  int64_t steps_ = 0;
  int64_t finished_ = 0;
  int64_t cached_tokens_ = 0;
};

TEST(Workload, EveryRequestGetsWhatItWouldGetAlone) {
  int64_t preemptions = 0;
  int64_t cached_tokens = 0;
  int64_t accepted_by_lookup = 0;
  int64_t accepted_by_model = 0;
  uint64_t seed = 0;
  for (const int window : {1, 2, 3, 4}) {
    for (const int64_t max_num_seqs : {1, 3, 8}) {
      for (const int64_t max_batched_tokens : {1, 5, 16, 64}) {
        for (const int64_t kv_pages : {10, 14, 60}) {
          const SchedulerLimits limits = {
              .vocab = 40,
              .max_model_len = 80,
              .max_num_seqs = max_num_seqs,
              .max_batched_tokens = max_batched_tokens,
              .max_logit_rows = seed % 2 == 0 ? max_batched_tokens : max_num_seqs,
              .kv_pages = kv_pages,
              .page_tokens = 8,
              .window = window,
              .prefix_cache = seed % 4 != 0,
              .lookup = {.draft_tokens = seed % 4 == 1 ? 3 : 0, .most_match = 3, .least_match = 1},
              .draft_tokens = seed % 4 >= 2 ? 4 : 0};
          SCOPED_TRACE("seed " + std::to_string(seed));
          Workload workload(limits, seed++);
          workload.run(150);
          if (testing::Test::HasFailure()) {
            return;
          }
          preemptions += workload.runner().preemptions();
          cached_tokens += workload.cached_tokens();
          (limits.draft_tokens > 0 ? accepted_by_model : accepted_by_lookup) +=
              workload.runner().scheduler().stats().accepted_tokens;
        }
      }
    }
  }
  EXPECT_GT(preemptions, 500);
  EXPECT_GT(cached_tokens, 1000);
  EXPECT_GT(accepted_by_lookup, 1000);
  EXPECT_GT(accepted_by_model, 1000);
}

TEST(Workload, RequestsOfSeveralAdaptersNeverShareAPage) {
  int64_t preemptions = 0;
  int64_t cached_tokens = 0;
  int64_t accepted = 0;
  for (uint64_t seed = 0; seed < 12; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Workload workload({.vocab = 40,
                       .adapters = 2,
                       .max_model_len = 80,
                       .max_num_seqs = 6,
                       .max_batched_tokens = 24,
                       .max_logit_rows = 24,
                       .kv_pages = seed % 2 == 0 ? 14 : 60,
                       .page_tokens = 8,
                       .window = static_cast<int>(1 + seed % 3),
                       .lookup = {.draft_tokens = seed % 3 == 1 ? 3 : 0, .most_match = 3, .least_match = 1},
                       .draft_tokens = seed % 3 == 2 ? 4 : 0},
                      seed);
    workload.run(150);
    preemptions += workload.runner().preemptions();
    cached_tokens += workload.cached_tokens();
    accepted += workload.runner().scheduler().stats().accepted_tokens;
  }
  EXPECT_GT(preemptions, 50);
  EXPECT_GT(cached_tokens, 500);
  EXPECT_GT(accepted, 100);
}

// The least pool that a request fits in, and a page of one token.
TEST(Workload, PagesOfOneTokenAndAPoolOfOneSequence) {
  for (uint64_t seed = 0; seed < 8; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Workload workload({.vocab = 40,
                       .max_model_len = 50,
                       .max_num_seqs = 4,
                       .max_batched_tokens = 7,
                       .max_logit_rows = 7,
                       .kv_pages = 50,
                       .page_tokens = 1,
                       .window = 2,
                       .prefix_cache = true,
                       .lookup = {.draft_tokens = seed % 2 == 0 ? 4 : 0, .most_match = 2, .least_match = 1},
                       .draft_tokens = seed % 2 == 0 ? 0 : 3},
                      seed);
    workload.run(150);
  }
}

}  // namespace
}  // namespace longship::fake
