// Logits and greedy tokens of tiny checkpoints against transformers in float64.
#include <gtest/gtest.h>

#include "tests/support/engine_run.h"
#include "tests/support/fixtures.h"
#include "tests/support/golden.h"

namespace longship {
namespace {

using testing::GoldenPrompt;

// An engine in float32 stays within this of float64 on these checkpoints.
constexpr double kTolerance = 2e-4;

struct Case {
  const char* model;
  const char* golden;
};

void check(const Case& model, const std::string& backend, int tp, int pp) {
  const EngineOptions options{.model = testing::data_path(model.model),
                              .overrides = {},
                              .tp = tp,
                              .pp = pp,
                              .device = testing::test_device().empty() ? "cpu" : testing::test_device(),
                              .backend = backend,
                              .exact = true,
                              .max_batched_tokens = 64,
                              .least_model_len = 512,
                              .prompt_logits = true};
  const std::vector<GoldenPrompt> golden = testing::read_golden(testing::data_path(model.golden));
  ASSERT_EQ(golden.size(), 4U);
  std::vector<GenerationRequest> requests;
  for (const GoldenPrompt& prompt : golden) {
    requests.push_back({.prompt = prompt.prompt,
                        .max_tokens = static_cast<int64_t>(prompt.greedy.size()),
                        .sampling = {.temperature = 0},
                        .stop_ids = {},
                        .prompt_logits = true});
  }
  const auto results = testing::run_on_threads(options, requests);
  for (std::size_t k = 0; k < golden.size(); ++k) {
    ASSERT_EQ(results[k].logits.size(), golden[k].logits.size()) << "prompt " << k;
    double worst = 0;
    for (std::size_t i = 0; i < golden[k].logits.size(); ++i) {
      worst = std::max(worst,
                       std::abs(static_cast<double>(results[k].logits[i]) - static_cast<double>(golden[k].logits[i])));
    }
    EXPECT_LE(worst, kTolerance) << model.model << " prompt " << k;
    EXPECT_EQ(results[k].tokens, golden[k].greedy) << model.model << " prompt " << k;
  }
}

// A device has one set of kernels.
std::vector<const char*> backends() {
  return testing::test_device().empty() ? std::vector<const char*>{"reference", "cpu"}
                                        : std::vector<const char*>{"cpu"};
}

class Golden : public ::testing::TestWithParam<std::tuple<Case, const char*>> {};

TEST_P(Golden, OneRank) {
  check(std::get<0>(GetParam()), std::get<1>(GetParam()), 1, 1);
}

TEST_P(Golden, ThreeShardsTwoStages) {
  check(std::get<0>(GetParam()), std::get<1>(GetParam()), 3, 2);
}

// The other weight types, from the folder that LONGSHIP_FIXTURES names.
TEST(MoreGolden, EveryWeightType) {
  const auto fixtures = testing::third_party_fixtures();
  if (!fixtures) {
    GTEST_SKIP() << "LONGSHIP_FIXTURES names no folder of fixtures";
  }
  for (const char* name :
       {"llama-Q5_1", "llama-Q2_K", "llama-Q3_K_M", "llama-Q5_K_M", "llama-IQ4_NL", "gpt2-Q5_1", "gpt2-Q4_K_M"}) {
    const std::string model = *fixtures / "gguf-models" / (std::string(name) + ".gguf");
    const std::string golden = *fixtures / "gguf-models" / (std::string(name) + ".golden.safetensors");
    for (const char* backend : backends()) {
      check({model.c_str(), golden.c_str()}, backend, 1, 1);
      check({model.c_str(), golden.c_str()}, backend, 3, 2);
    }
  }
}

TEST(MoreGolden, Fp8WithOneScaleATensor) {
  const auto fixtures = testing::third_party_fixtures();
  if (!fixtures) {
    GTEST_SKIP() << "LONGSHIP_FIXTURES names no folder of fixtures";
  }
  const std::string model = *fixtures / "models" / "llama-fp8-tensor";
  const std::string golden = model + "/golden.safetensors";
  for (const char* backend : backends()) {
    check({model.c_str(), golden.c_str()}, backend, 1, 1);
    check({model.c_str(), golden.c_str()}, backend, 3, 2);
  }
}

constexpr Case kCases[] = {
    {"models/llama", "models/llama/golden.safetensors"},
    {"models/llama-rope-llama3", "models/llama-rope-llama3/golden.safetensors"},
    {"models/llama-rope-linear", "models/llama-rope-linear/golden.safetensors"},
    {"models/llama-rope-yarn", "models/llama-rope-yarn/golden.safetensors"},
    {"models/mistral-window", "models/mistral-window/golden.safetensors"},
    {"models/qwen2", "models/qwen2/golden.safetensors"},
    {"models/qwen3", "models/qwen3/golden.safetensors"},
    {"models/gpt2", "models/gpt2/golden.safetensors"},
    {"models/gpt2-bare", "models/gpt2-bare/golden.safetensors"},
    {"models/llama-fp8-block", "models/llama-fp8-block/golden.safetensors"},
    {"models/qwen2-bf16", "models/qwen2-bf16/golden.safetensors"},
    {"gguf-models/llama-F16.gguf", "gguf-models/llama-F16.golden.safetensors"},
    {"gguf-models/llama-Q4_0.gguf", "gguf-models/llama-Q4_0.golden.safetensors"},
    {"gguf-models/llama-Q4_1.gguf", "gguf-models/llama-Q4_1.golden.safetensors"},
    {"gguf-models/llama-Q8_0.gguf", "gguf-models/llama-Q8_0.golden.safetensors"},
    {"gguf-models/llama-Q5_0.gguf", "gguf-models/llama-Q5_0.golden.safetensors"},
    {"gguf-models/llama-Q4_K_M.gguf", "gguf-models/llama-Q4_K_M.golden.safetensors"},
    {"gguf-models/llama-Q6_K.gguf", "gguf-models/llama-Q6_K.golden.safetensors"},
    {"gguf-models/llama-MXFP4.gguf", "gguf-models/llama-MXFP4.golden.safetensors"},
    {"gguf-models/llama3-F32.gguf", "gguf-models/llama3-F32.golden.safetensors"},
    {"gguf-models/llama3-Q8_0.gguf", "gguf-models/llama3-Q8_0.golden.safetensors"},
    {"gguf-models/qwen2-BF16.gguf", "gguf-models/qwen2-BF16.golden.safetensors"},
    {"gguf-models/qwen2-Q4_0.gguf", "gguf-models/qwen2-Q4_0.golden.safetensors"},
    {"gguf-models/qwen2-Q8_0.gguf", "gguf-models/qwen2-Q8_0.golden.safetensors"},
    {"gguf-models/gpt2-F16.gguf", "gguf-models/gpt2-F16.golden.safetensors"},
    {"gguf-models/gpt2-Q8_0.gguf", "gguf-models/gpt2-Q8_0.golden.safetensors"},
};

std::string name_of(const ::testing::TestParamInfo<std::tuple<Case, const char*>>& info) {
  std::string name = std::string(std::get<0>(info.param).model) + "_" + std::get<1>(info.param);
  for (char& c : name) {
    c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Models, Golden,
                         ::testing::Combine(::testing::ValuesIn(kCases), ::testing::ValuesIn(backends())), name_of);

}  // namespace
}  // namespace longship
