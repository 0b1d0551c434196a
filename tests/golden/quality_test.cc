// What the default path (int8 activations, f16 keys and values) gives up against --exact: perplexity of English text
// and the Kullback-Leibler divergence of the predictions.
#include <gtest/gtest.h>

#include <cmath>

#include "engine/sample/log_softmax.h"
#include "engine/text/tokenizer.h"
#include "tests/support/engine_run.h"
#include "tests/support/fixtures.h"
#include "tests/support/golden.h"

namespace longship {
namespace {

std::vector<float> logits_of(const std::filesystem::path& model, const std::vector<int32_t>& ids, bool exact) {
  const EngineOptions options{.model = model,
                              .overrides = {},
                              .exact = exact,
                              .max_num_seqs = 1,
                              .max_batched_tokens = 128,
                              .least_model_len = 512,
                              .prompt_logits = true};
  const GenerationRequest request{
      .prompt = ids, .max_tokens = 0, .sampling = {}, .stop_ids = {}, .prompt_logits = true};
  return testing::run_on_threads(options, {request})[0].logits;
}

struct Quality {
  double perplexity_ratio;
  double mean_divergence;
};

Quality compare(const std::filesystem::path& model, const std::vector<int32_t>& ids) {
  const std::vector<float> exact = logits_of(model, ids, true);
  const std::vector<float> quick = logits_of(model, ids, false);
  const std::size_t vocab = exact.size() / ids.size();
  double nll = 0;
  double divergence = 0;
  for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
    const std::span<const float> p(exact.data() + i * vocab, vocab);
    const std::span<const float> q(quick.data() + i * vocab, vocab);
    nll += negative_log_likelihood(q, ids[i + 1]) - negative_log_likelihood(p, ids[i + 1]);
    const double p_base = negative_log_likelihood(p, 0) + static_cast<double>(p[0]);
    const double q_base = negative_log_likelihood(q, 0) + static_cast<double>(q[0]);
    for (std::size_t token = 0; token < vocab; ++token) {
      const double log_p = static_cast<double>(p[token]) - p_base;
      divergence += std::exp(log_p) * (log_p - (static_cast<double>(q[token]) - q_base));
    }
  }
  const auto positions = static_cast<double>(ids.size() - 1);
  return {std::exp(nll / positions), divergence / positions};
}

TEST(Quality, DefaultModelKeepsItsPerplexity) {
  const auto model = testing::cached_default_model();
  if (model.empty()) {
    GTEST_SKIP() << "the default model is not in the cache; run scripts/fetch-model";
  }
  std::ifstream file(testing::data_path("../../README.md"));
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::vector<int32_t> ids = Tokenizer::load(model)->encode(text);
  ids.resize(std::min<std::size_t>(ids.size(), 500));
  const Quality quality = compare(model, ids);
  std::printf("perplexity ratio %.5f, mean divergence %.6f nats over %zu tokens\n", quality.perplexity_ratio,
              quality.mean_divergence, ids.size());
  EXPECT_NEAR(quality.perplexity_ratio, 1.0, 0.01);
  EXPECT_LT(quality.mean_divergence, 0.005);
  EXPECT_GT(quality.mean_divergence, 0.0);
}

TEST(Quality, FixturesKeepTheirPredictions) {
  for (const char* name : {"llama-Q4_0", "llama-Q4_1", "llama-Q8_0", "llama-F16", "qwen2-BF16", "gpt2-Q8_0"}) {
    const auto ids =
        testing::read_golden(testing::data_path("gguf-models/" + std::string(name) + ".golden.safetensors"))[3].prompt;
    const Quality quality = compare(testing::data_path("gguf-models/" + std::string(name) + ".gguf"), ids);
    std::printf("%s: perplexity ratio %.5f, mean divergence %.6f nats\n", name, quality.perplexity_ratio,
                quality.mean_divergence);
    EXPECT_LT(quality.mean_divergence, 0.005) << name;
  }
}

}  // namespace
}  // namespace longship
