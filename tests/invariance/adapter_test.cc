// What adapters add has the same bits however the work is laid out, and changes none of what other requests get.
#include <gtest/gtest.h>

#include "engine/model/checkpoint.h"
#include "tests/invariance/workload.h"
#include "tests/support/adapter_files.h"

namespace longship {
namespace {

using testing::AdapterModule;
using testing::Layout;
using testing::RequestResult;

// By the names of Hugging Face, whatever the checkpoint's are.
std::vector<AdapterModule> modules_of(const ModelConfig& config, int64_t rank) {
  const int64_t q = config.query_width();
  const int64_t kv = config.kv_width();
  const int64_t d = config.width;
  std::vector<AdapterModule> modules;
  for (int64_t layer = 0; layer < config.layers; ++layer) {
    const std::string n = std::to_string(layer) + ".";
    if (config.architecture == "gpt2") {
      const std::string h = "transformer.h." + n;
      modules.push_back({h + "attn.c_attn", q + 2 * kv, d, rank});
      modules.push_back({h + "attn.c_proj", d, q, rank});
      modules.push_back({h + "mlp.c_fc", config.ffn, d, rank});
      modules.push_back({h + "mlp.c_proj", d, config.ffn, rank});
      continue;
    }
    const std::string block = "model.layers." + n;
    modules.push_back({block + "self_attn.q_proj", q, d, rank});
    modules.push_back({block + "self_attn.k_proj", kv, d, rank});
    modules.push_back({block + "self_attn.v_proj", kv, d, rank});
    modules.push_back({block + "self_attn.o_proj", d, q, rank});
    modules.push_back({block + "mlp.gate_proj", config.ffn, d, rank});
    modules.push_back({block + "mlp.up_proj", config.ffn, d, rank});
    modules.push_back({block + "mlp.down_proj", d, config.ffn, rank});
  }
  return modules;
}

// Two adapters of one model: of all its products, and of some, narrower and of another type.
class Adapters {
 public:
  explicit Adapters(const std::filesystem::path& model) : config_(open_checkpoint(model).config) {
    std::vector<AdapterModule> some = modules_of(config_, 3);
    std::erase_if(some, [](const AdapterModule& module) {
      return module.name.ends_with("k_proj") || module.name.ends_with("gate_proj") || module.name.ends_with("c_fc");
    });
    write("all", 17, modules_of(config_, 17), 1);
    write("some", 3, some, 2);
  }

  std::vector<AdapterOption> options() const {
    return {{"all", folder_.path() / "all"}, {"some", folder_.path() / "some"}};
  }
  const ModelConfig& config() const { return config_; }

 private:
  void write(const std::string& name, int64_t rank, const std::vector<AdapterModule>& modules, unsigned seed) const {
    Json config = testing::adapter_config({}, rank, 2.0 * static_cast<double>(rank));
    config.set("target_modules", "all-linear");
    const std::vector<testing::StoredTensor> tensors = testing::adapter_tensors(modules, seed);
    testing::write_adapter(folder_.path() / name, config,
                           name == "some" ? testing::narrowed(tensors, "BF16") : tensors);
  }

  testing::TemporaryFolder folder_;
  ModelConfig config_;
};

// Requests of the base and of each adapter, of lengths around the edges of pages and chunks; two have one prompt.
// Devices of the emulator, which are slow, get the shorter ones.
std::vector<GenerationRequest> requests(const ModelConfig& config) {
  std::vector<GenerationRequest> result;
  uint32_t state = 99;
  for (const auto& [length, adapter] : {std::pair{70, 1}, {70, 0}, {1, 2}, {130, 1}, {17, 0}, {64, 2}, {90, 0}}) {
    if (length > 70 && !testing::test_device().empty()) {
      continue;
    }
    GenerationRequest request;
    for (int i = 0; i < length; ++i) {
      state = state * 1664525 + 1013904223;
      request.prompt.push_back(static_cast<int32_t>((state >> 8U) % static_cast<uint32_t>(config.vocab)));
    }
    if (result.size() == 1) {
      request.prompt = result[0].prompt;
    }
    request.max_tokens = 4;
    request.sampling.temperature = 0;
    request.prompt_logits = true;
    request.adapter = adapter;
    result.push_back(std::move(request));
  }
  return result;
}

EngineOptions options_of(const std::filesystem::path& model, const Layout& layout,
                         std::vector<AdapterOption> adapters) {
  return {.model = model,
          .overrides = {},
          .tp = layout.tp,
          .pp = layout.pp,
          .threads = layout.threads,
          .device = testing::test_device().empty() ? "cpu" : testing::test_device(),
          .deterministic = true,
          .max_model_len = 160,
          .max_num_seqs = layout.batch,
          .max_batched_tokens = layout.chunk,
          .adapters = std::move(adapters),
          .prompt_logits = true};
}

// Devices of the emulator are slow.
std::vector<Layout> layouts() {
  if (!testing::test_device().empty()) {
    return {{.batch = 7}, {.tp = 2, .pp = 2, .chunk = 48}};
  }
  return {{.batch = 7},
          {.tp = 2, .chunk = 48},
          {.pp = 2, .threads = 2, .chunk = 7},
          {.tp = 3, .pp = 2, .chunk = 64, .batch = 7},
          {.tp = 7, .chunk = 100, .batch = 3}};
}

std::vector<const char*> models() {
  if (!testing::test_device().empty()) {
    return {"models/gpt2-bare", "gguf-models/llama-Q4_0.gguf"};
  }
  return {"models/llama", "models/qwen2-bf16", "models/gpt2-bare", "gguf-models/llama-Q4_0.gguf",
          "gguf-models/gpt2-Q8_0.gguf"};
}

class AdapterInvariance : public ::testing::TestWithParam<const char*> {};

TEST_P(AdapterInvariance, EveryLayoutAndBatchGivesTheSameBits) {
  const std::filesystem::path model = data_path(GetParam());
  const Adapters adapters(model);
  const std::vector<GenerationRequest> all = requests(adapters.config());
  // Each alone, the base without any adapter in the engine.
  std::vector<RequestResult> alone;
  for (const GenerationRequest& request : all) {
    const auto loaded = request.adapter == 0 ? std::vector<AdapterOption>() : adapters.options();
    alone.push_back(testing::run_on_threads(options_of(model, {.batch = 1}, loaded), {request}).front());
    ASSERT_FALSE(alone.back().logits.empty());
  }
  EXPECT_NE(alone[0].logits, alone[1].logits) << "one prompt, with an adapter and without";
  for (const Layout& layout : layouts()) {
    const auto together = testing::run_on_threads(options_of(model, layout, adapters.options()), all);
    EXPECT_EQ(testing::difference(alone, together), "") << layout.name();
  }
}

INSTANTIATE_TEST_SUITE_P(Models, AdapterInvariance, ::testing::ValuesIn(models()),
                         [](const ::testing::TestParamInfo<const char*>& model) {
                           std::string name = model.param;
                           for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
                           return name;
                         });

// Of what AdapterPages runs. Devices of the emulator are slow.
struct PagesWorkload {
  std::size_t request = 3;
  int64_t tokens = 20;
  int requests = 9;
  std::vector<int64_t> guesses = {0, 4};
};

PagesWorkload pages_workload() {
  return testing::test_device().empty() ? PagesWorkload{}
                                        : PagesWorkload{.request = 0, .tokens = 4, .requests = 4, .guesses = {2}};
}

// Pages are shared by requests of one adapter, never by those of two; guesses change nothing.
TEST(AdapterPages, SharingAndGuessesChangeNoToken) {
  const std::filesystem::path model = data_path("models/llama");
  const Adapters adapters(model);
  const PagesWorkload workload = pages_workload();
  GenerationRequest request = requests(adapters.config())[workload.request];
  request.prompt_logits = false;
  request.max_tokens = workload.tokens;
  std::vector<std::vector<int32_t>> expected;
  for (const int32_t adapter : {0, 1, 2}) {
    request.adapter = adapter;
    EngineOptions options = options_of(model, {}, adapters.options());
    options.prefix_cache = false;
    expected.push_back(testing::run_on_threads(options, {request}).front().tokens);
  }
  EXPECT_NE(expected[0], expected[1]);
  EXPECT_NE(expected[1], expected[2]);
  std::vector<GenerationRequest> many;
  for (int i = 0; i < workload.requests; ++i) {
    request.adapter = i % 3;
    many.push_back(request);
  }
  for (const int64_t guesses : workload.guesses) {
    EngineOptions options = options_of(model, {.tp = 2, .batch = 2}, adapters.options());
    options.kv_pages = 40;  // for the texts of all of them
    options.speculation.lookup = {.draft_tokens = guesses, .most_match = 2, .least_match = 1};
    const auto results = testing::run_on_threads(options, many);
    int64_t cached = 0;
    for (std::size_t i = 0; i < results.size(); ++i) {
      EXPECT_EQ(results[i].tokens, expected[i % 3]) << "request " << i;
      EXPECT_TRUE(i >= 3 || results[i].finish.cached_tokens == 0) << "request " << i << ": the first of its adapter";
      cached += results[i].finish.cached_tokens;
    }
    EXPECT_GT(cached, 0);
  }
  EngineOptions options = options_of(model, {}, adapters.options());
  options.speculation.draft_model = model;
  options.speculation.draft_tokens = 3;
  const auto results = testing::run_on_threads(options, many);
  for (std::size_t i = 0; i < results.size(); ++i) {
    EXPECT_EQ(results[i].tokens, expected[i % 3]) << "request " << i << " with a draft model";
  }
}

TEST(AdapterRequest, ThatTheModelHasNotIsRefused) {
  const std::filesystem::path model = data_path("models/llama");
  const Adapters adapters(model);
  for (const int32_t adapter : {-1, 3, 1 << 30}) {
    GenerationRequest request = requests(adapters.config())[0];
    request.adapter = adapter;
    const auto result = testing::run_on_threads(options_of(model, {}, adapters.options()), {request}).front();
    EXPECT_EQ(result.finish.reason, FinishReason::kError);
    EXPECT_EQ(result.finish.error, "the model has no such adapter");
  }
}

}  // namespace
}  // namespace longship
