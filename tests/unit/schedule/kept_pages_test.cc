// A leader that follows one that was killed at any instant goes on with the pages of that one.
#include "engine/kv/kept_pages.h"

#include <gtest/gtest.h>

#include "tests/unit/schedule/runner.h"

namespace longship::fake {
namespace {

constexpr SchedulerLimits kLimits = {.vocab = 40,
                                     .adapters = 1,
                                     .max_model_len = 200,
                                     .max_num_seqs = 8,
                                     .max_batched_tokens = 16,
                                     .max_logit_rows = 16,
                                     .kv_pages = 100,
                                     .page_tokens = 4,
                                     .window = 2};

class KeptMemory {
 public:
  explicit KeptMemory(const SchedulerLimits& limits)
      : words_(static_cast<std::size_t>(KeptPages::bytes(limits.kv_pages, limits.page_tokens) / 8)),
        pages_(reinterpret_cast<std::byte*>(words_.data()), limits.kv_pages, limits.page_tokens) {}
  KeptPages* pages() { return &pages_; }

 private:
  std::vector<uint64_t> words_;
  KeptPages pages_;
};

// One with an adapter, of which a draft model knows nothing.
std::vector<GenerationRequest> requests(bool adapted = true) {
  std::vector<GenerationRequest> all;
  for (int32_t i = 0; i < 6; ++i) {
    GenerationRequest request;
    for (int32_t token = 0; token < 13 + 2 * (i / 2); ++token) {
      request.prompt.push_back((token * 3 + i / 4) % 40);
    }
    request.max_tokens = 60;
    request.sampling.seed = 11;
    request.sampling.choice = static_cast<uint32_t>(i);
    request.adapter = adapted && i == 1 ? 1 : 0;
    all.push_back(request);
  }
  return all;
}

// Runs all requests with a kill after every `life` steps; gives the rows run.
int64_t run_with_kills(const SchedulerLimits& limits, int life, bool tell_last) {
  KeptMemory memory(limits);
  const std::vector<GenerationRequest> plain = requests(limits.draft_tokens == 0);
  std::vector<GenerationRequest> all = plain;
  std::vector<bool> finished(all.size());
  std::optional<Model> model(std::in_place, limits.vocab, limits.kv_pages, limits.page_tokens);
  std::optional<Model> draft_model(model);
  int64_t rows = 0;
  for (int lives = 0; lives < 1000 && std::count(finished.begin(), finished.end(), false) > 0; ++lives) {
    Runner runner(limits, memory.pages(), std::move(*model), std::move(*draft_model));
    std::map<std::size_t, RequestId> ids;
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (!finished[i]) ids[i] = runner.submit(all[i]);
    }
    for (int step = 0; step < life && runner.step(); ++step) {
    }
    for (const auto& [i, id] : ids) {
      const Report& report = runner.report(id);
      const std::size_t told = report.tokens.size() - (tell_last || report.finished || report.tokens.empty() ? 0 : 1);
      all[i].output.insert(all[i].output.end(), report.tokens.begin(),
                           report.tokens.begin() + static_cast<std::ptrdiff_t>(told));
      finished[i] = report.finished;
    }
    rows += runner.rows_run();
    if (limits.draft_tokens > 0) {
      const EngineStats stats = runner.scheduler().stats();
      EXPECT_EQ(stats.accepted_tokens, stats.draft_tokens) << "the draft model goes on with what it had";
    }
    model.emplace(runner.take_model());
    draft_model.emplace(runner.take_draft_model());
  }
  for (std::size_t i = 0; i < plain.size(); ++i) {
    EXPECT_EQ(all[i].output, answer_alone(plain[i], limits).tokens) << i << " with a life of " << life;
  }
  return rows;
}

TEST(KeptPages, AnswersAreThoseOfARunWithoutKills) {
  for (const int life : {7, 8, 9, 10, 13, 25}) {
    for (const bool tell_last : {true, false}) {
      run_with_kills(kLimits, life, tell_last);
      SchedulerLimits guessing = kLimits;
      guessing.lookup = {.draft_tokens = 3, .most_match = 3, .least_match = 1};
      run_with_kills(guessing, life, tell_last);
      SchedulerLimits scarce = kLimits;
      scarce.kv_pages = 55;
      run_with_kills(scarce, life, tell_last);
    }
  }
}

// A round of guesses takes several steps, and a life is longer than one.
TEST(KeptPages, ADraftModelGoesOnWithWhatItHad) {
  SchedulerLimits drafting = kLimits;
  drafting.draft_tokens = 3;
  for (const int life : {17, 18, 19, 25, 40}) {
    for (const bool tell_last : {true, false}) {
      run_with_kills(drafting, life, tell_last);
    }
  }
}

TEST(KeptPages, AfterAKillNothingThatWasToldIsComputedAgain) {
  const int64_t without_kills = run_with_kills(kLimits, 1000, true);
  KeptMemory memory(kLimits);
  std::vector<GenerationRequest> all = requests();
  Runner first(kLimits, memory.pages(), {kLimits.vocab, kLimits.kv_pages, kLimits.page_tokens});
  for (const GenerationRequest& request : all) first.submit(request);
  while (first.report(all.size()).tokens.size() < 20) first.step();
  for (std::size_t i = 0; i < all.size(); ++i) all[i].output = first.report(i + 1).tokens;
  Runner second(kLimits, memory.pages(), first.take_model());
  for (const GenerationRequest& request : all) second.submit(request);
  second.run();
  const auto in_flight = static_cast<int64_t>(all.size());  // computed, and not told
  EXPECT_LE(first.rows_run() + second.rows_run(), without_kills + in_flight);
}

TEST(KeptPages, WhatNoStepHasFinishedIsNotKnown) {
  KeptMemory memory(kLimits);
  KeptPages& kept = *memory.pages();
  const std::vector<int32_t> tokens = {1, 2, 3, 4};
  kept.note_full(7, PrefixCache::kBeginning, 1, tokens, 5);
  kept.note_full(8, 1, 2, tokens, 6);
  kept.note_done(6);
  std::vector<KeptPages::Page> known = kept.take_over();
  ASSERT_EQ(known.size(), 1U);
  EXPECT_EQ(known[0].page, 7);
  kept.note_done(7);  // another step of that number
  EXPECT_EQ(kept.take_over().size(), 1U);
  kept.note_full(8, 1, 2, tokens, 6);
  known = kept.take_over();
  ASSERT_EQ(known.size(), 2U);
  EXPECT_EQ(known[1].before, 1U);
  kept.forget(7);
  ASSERT_EQ(kept.take_over().size(), 1U);
}

TEST(KeptPages, APartIsKnownUntilItsPageIsFull) {
  KeptMemory memory(kLimits);
  const std::vector<int32_t> tokens = {1, 2, 3, 4};
  const std::span<const int32_t> all(tokens);
  KeptPages& kept = *memory.pages();
  kept.note_part(3, PrefixCache::kBeginning, all.first(2));
  kept.note_part(3, PrefixCache::kBeginning, all.first(3));
  kept.note_full(3, PrefixCache::kBeginning, 9, tokens, 0);
  std::vector<KeptPages::Page> known = kept.take_over();
  ASSERT_EQ(known.size(), 1U);
  EXPECT_FALSE(known[0].full()) << "its step has not run";
  EXPECT_TRUE(std::ranges::equal(known[0].tokens, all.first(3)));
  kept.shorten(3, 1);
  EXPECT_TRUE(std::ranges::equal(kept.take_over()[0].tokens, all.first(1)));
  kept.note_full(3, PrefixCache::kBeginning, 9, tokens, 0);
  kept.note_done(1);
  known = kept.take_over();
  EXPECT_TRUE(known[0].full());
  EXPECT_TRUE(std::ranges::equal(known[0].tokens, all));
}

}  // namespace
}  // namespace longship::fake
