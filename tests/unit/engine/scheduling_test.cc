// What is done to save work, and how a model is laid out, changes no token of a real model.
#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "comm/transport.h"
#include "launcher/assemble.h"
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
  guessing.speculation.lookup = {.draft_tokens = 4, .most_match = 3, .least_match = 1};
  expect_equal(testing::run_on_threads(guessing, requests()), plain(GetParam()));
}

struct DraftCase {
  const char* draft;
  int tp;
  int pp;
};

class DraftModel : public ::testing::TestWithParam<DraftCase> {};

TEST_P(DraftModel, ChangesNoBit) {
  const auto& [draft, tp, pp] = GetParam();
  EngineOptions guessing = options(pp);
  guessing.tp = tp;
  const std::vector<RequestResult> plain = testing::run_on_threads(guessing, requests());
  guessing.speculation = {.draft_model = testing::data_path(draft), .draft_tokens = 3};
  expect_equal(testing::run_on_threads(guessing, requests()), plain);
}

INSTANTIATE_TEST_SUITE_P(Layouts, DraftModel,
                         ::testing::Values(DraftCase{"models/llama", 1, 1}, DraftCase{"models/llama", 2, 1},
                                           DraftCase{"models/llama", 1, 2}, DraftCase{"models/qwen3", 1, 1},
                                           DraftCase{"models/qwen3", 2, 1}, DraftCase{"models/qwen3", 1, 2}));

// What the engine counts, at the end of a run.
EngineStats stats_of(const EngineOptions& options) {
  EngineStats stats;
  run_thread_ranks(options.tp * options.pp, [&](Transport& transport) {
    run_rank(
        options, transport, [](int64_t, int64_t) {},
        [&](Engine& engine) {
          for (const GenerationRequest& request : requests()) engine.submit(request);
          for (std::size_t finished = 0; finished < requests().size();) {
            const auto event = engine.next_event(std::chrono::steady_clock::now() + std::chrono::seconds(60));
            if (!event) throw Error(ErrorKind::kInternal, "no event within a minute");
            if (event->kind == EngineEvent::Kind::kStats) stats = event->stats;
            finished += event->kind == EngineEvent::Kind::kFinished ? 1 : 0;
          }
          return 0;
        });
  });
  return stats;
}

TEST(DraftModels, OneThatEqualsTheTargetIsRight) {
  for (const auto& [tp, pp] : {std::pair{1, 1}, {2, 1}, {1, 2}}) {
    EngineOptions guessing = options(pp);
    guessing.tp = tp;
    guessing.speculation = {.draft_model = testing::data_path("models/llama"), .draft_tokens = 3};
    const EngineStats stats = stats_of(guessing);
    EXPECT_GT(stats.draft_tokens, 6 * 25);
    EXPECT_EQ(stats.accepted_tokens, stats.draft_tokens) << tp << " x " << pp;
  }
}

TEST(DraftModels, AnotherVocabularyIsRefused) {
  EngineOptions guessing = options(1);
  guessing.speculation = {.draft_model = testing::data_path("models/qwen2"), .draft_tokens = 3};
  try {
    testing::run_on_threads(guessing, requests());
    ADD_FAILURE() << "it was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_NE(error.cause().find("vocabulary of 337"), std::string::npos) << error.cause();
  }
}

// The small model whose tokenizer has other texts in places of these.
std::filesystem::path with_renamed(const std::vector<std::pair<std::string, std::string>>& names) {
  const std::filesystem::path folder =
      std::filesystem::path(::testing::TempDir()) / ("renamed-tokens-" + std::to_string(getpid()));
  std::filesystem::remove_all(folder);
  std::filesystem::create_directory(folder);
  for (const auto& file : std::filesystem::directory_iterator(testing::data_path("models/llama"))) {
    if (file.path().filename() != "tokenizer.json") {
      std::filesystem::create_symlink(file.path(), folder / file.path().filename());
    }
  }
  std::stringstream text;
  text << std::ifstream(testing::data_path("models/llama/tokenizer.json")).rdbuf();
  std::string tokens = text.str();
  for (const auto& [from, to] : names) {
    for (std::size_t at = 0; (at = tokens.find(from, at)) != std::string::npos; at += to.size()) {
      tokens.replace(at, from.size(), to);
    }
  }
  std::ofstream(folder / "tokenizer.json") << tokens;
  return folder;
}

TEST(DraftModels, AVocabularyOfOtherTokensIsRefused) {
  EngineOptions guessing = options(1);
  guessing.tp = 2;
  guessing.speculation = {
      .draft_model = with_renamed({{R"("t":)", R"("first":)"}, {R"("u":)", R"("t":)"}, {R"("first":)", R"("u":)"}}),
      .draft_tokens = 3};
  const auto refusal = [](const auto& start) {
    try {
      start();
      return std::string("it was taken");
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      return error.cause();
    }
  };
  const std::string wanted = "token 88 is \"u\" there, and \"t\" in the model";
  const std::string started = refusal([&] { testing::run_on_threads(guessing, requests()); });
  EXPECT_NE(started.find(wanted), std::string::npos) << started;
  const std::string planned = refusal([&] { plan_memory(guessing, open_model(guessing)); });
  EXPECT_NE(planned.find(wanted), std::string::npos) << planned;
  std::filesystem::remove_all(guessing.speculation.draft_model);
}

TEST(DraftModels, MayHaveOtherMarksThanTheModel) {
  EngineOptions guessing = options(1);
  guessing.speculation = {.draft_model = with_renamed({{"<|pad|>", "<|tool|>"}}), .draft_tokens = 3};
  EXPECT_NO_THROW(plan_memory(guessing, open_model(guessing)));
  std::filesystem::remove_all(guessing.speculation.draft_model);
}

TEST(DraftModels, ArePartOfThePlannedMemory) {
  const EngineOptions plain = options(1);
  EngineOptions guessing = plain;
  guessing.speculation = {.draft_model = plain.model, .draft_tokens = 3};
  const MemoryUse alone = plan_memory(plain, open_model(plain)).ranks[0].memory;
  const MemoryUse both = plan_memory(guessing, open_model(guessing)).ranks[0].memory;
  EXPECT_EQ(both.weights_bytes, 2 * alone.weights_bytes);
  EXPECT_EQ(both.kv_bytes, 2 * alone.kv_bytes);
}

// A model with a vocabulary of several blocks, which ranks share block by block.
EngineOptions of_many_tokens(int tp, int pp) {
  const std::filesystem::path path = std::filesystem::path(::testing::TempDir()) / "config-of-many-tokens.json";
  std::ofstream(path) << R"({"architectures":["LlamaForCausalLM"],"model_type":"llama","vocab_size":5000,
    "hidden_size":96,"num_hidden_layers":2,"num_attention_heads":6,"num_key_value_heads":2,"head_dim":16,
    "intermediate_size":172,"max_position_embeddings":256,"rms_norm_eps":1e-5,"rope_theta":10000.0})";
  EngineOptions options{.model = path, .overrides = {}, .synthetic = DType::kF16, .tp = tp, .pp = pp};
  options.max_model_len = 128;
  options.max_num_seqs = 4;
  return options;
}

// Every way of choosing: what parts of a row suffice for, and what needs all of it.
std::vector<GenerationRequest> choices() {
  std::vector<SamplingParams> ways(8);
  ways[0].temperature = 0;
  ways[1].temperature = 3;
  ways[2].top_k = 20;
  ways[3].top_p = 0.8;
  ways[4].min_p = 0.02;
  ways[5].top_k = 700;
  ways[6] = {.temperature = 0, .repetition_penalty = 1.4, .frequency_penalty = 0.3};
  ways[7].allowed_ids = {5, 1023, 1024, 4999};
  std::vector<GenerationRequest> all;
  for (const SamplingParams& way : ways) {
    GenerationRequest request;
    request.prompt = {1, 2000, 4000, static_cast<int32_t>(all.size())};
    request.max_tokens = 12;
    request.logprobs = std::ssize(all) % 2 == 0 ? 5 : -1;
    request.sampling = way;
    request.sampling.seed = all.size();
    all.push_back(request);
  }
  return all;
}

TEST(VocabularyShards, GiveTheTokensAndLogprobsOfOneRank) {
  const std::vector<RequestResult> one = testing::run_on_threads(of_many_tokens(1, 1), choices());
  for (const auto& [tp, pp] : {std::pair{2, 1}, {3, 1}, {4, 1}, {2, 2}, {7, 1}}) {
    SCOPED_TRACE(std::to_string(tp) + " x " + std::to_string(pp));
    const std::vector<RequestResult> results = testing::run_on_threads(of_many_tokens(tp, pp), choices());
    for (std::size_t i = 0; i < one.size(); ++i) {
      EXPECT_EQ(one[i].tokens.size(), 12U) << i;
      EXPECT_EQ(results[i].tokens, one[i].tokens) << i;
      EXPECT_EQ(results[i].logprobs, one[i].logprobs) << i;
    }
  }
}

// Where a request forbids what it allows, it ends alone.
TEST(VocabularyShards, WhereAllIsForbiddenTheRequestEndsWithAnError) {
  std::vector<GenerationRequest> two(2, choices()[0]);
  two[1].sampling.allowed_ids = {7};
  two[1].sampling.bad_words = {{7}};
  const std::vector<RequestResult> results = testing::run_on_threads(of_many_tokens(2, 1), two);
  EXPECT_EQ(results[0].tokens.size(), 12U);
  EXPECT_EQ(results[1].finish.reason, FinishReason::kError);
  EXPECT_NE(results[1].finish.error.find("forbidden"), std::string::npos) << results[1].finish.error;
}

INSTANTIATE_TEST_SUITE_P(Stages, Scheduling, ::testing::Values(1, 2));

}  // namespace
}  // namespace longship
