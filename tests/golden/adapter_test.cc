// Adapters against the same model with the adapter merged into its weights: by transformers in float64, and here by
// plain loops.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>

#include "engine/weights/gguf.h"
#include "tests/support/adapter_files.h"
#include "tests/support/engine_run.h"
#include "tests/support/fixtures.h"
#include "tests/support/golden.h"

namespace longship {
namespace {

namespace fs = std::filesystem;

using testing::AdapterModule;
using testing::RequestResult;
using testing::StoredTensor;

// An engine in float32 stays within this of float64 on these checkpoints.
constexpr double kTolerance = 2e-4;

struct OneEngine {
  fs::path model;
  fs::path adapter;  // empty: none
  std::string backend = "cpu";
  int tp = 1;
  int pp = 1;
};

std::vector<RequestResult> run(const OneEngine& setup, std::vector<GenerationRequest> requests) {
  EngineOptions options{.model = setup.model,
                        .overrides = {},
                        .tp = setup.tp,
                        .pp = setup.pp,
                        .device = testing::test_device().empty() ? "cpu" : testing::test_device(),
                        .backend = testing::test_device().empty() ? setup.backend : "cpu",
                        .exact = true,
                        .max_batched_tokens = 64,
                        .least_model_len = 512,
                        .prompt_logits = true};
  if (!setup.adapter.empty()) {
    options.adapters.push_back({"adapter", setup.adapter});
    for (GenerationRequest& request : requests) {
      request.adapter = 1;
    }
  }
  return testing::run_on_threads(options, requests);
}

double worst_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double worst = a.size() == b.size() ? 0 : INFINITY;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  }
  return worst;
}

GenerationRequest request_of(std::vector<int32_t> prompt, int64_t max_tokens) {
  return {.prompt = std::move(prompt),
          .max_tokens = max_tokens,
          .sampling = {.temperature = 0},
          .stop_ids = {},
          .prompt_logits = true};
}

std::vector<GenerationRequest> some_requests() {
  std::vector<GenerationRequest> requests;
  for (const int64_t length : {1, 9, 70}) {
    std::vector<int32_t> prompt;
    for (int64_t i = 0; i < length; ++i) {
      prompt.push_back(static_cast<int32_t>((7 * i * i + 31 * i + 11 * length) % 300));
    }
    requests.push_back(request_of(std::move(prompt), 12));
  }
  return requests;
}

// Rows of a matrix in a GGUF file of a llama, for those of the model.
using RowOfFile = std::function<int64_t(int64_t row)>;

struct Layout {
  int64_t rows = 0;
  int64_t columns = 0;
  bool transposed = false;
  RowOfFile row_of_file = [](int64_t row) { return row; };
};

// W + scale B A, for W as it stands in its file.
void merge(std::vector<float>& w, const Layout& layout, const std::vector<float>& a, const std::vector<float>& b,
           double scale) {
  const auto rank = static_cast<int64_t>(a.size()) / layout.columns;
  for (int64_t row = 0; row < layout.rows; ++row) {
    for (int64_t column = 0; column < layout.columns; ++column) {
      double sum = 0;
      for (int64_t k = 0; k < rank; ++k) {
        sum += static_cast<double>(b[static_cast<std::size_t>(row * rank + k)]) *
               static_cast<double>(a[static_cast<std::size_t>(k * layout.columns + column)]);
      }
      const int64_t at =
          layout.transposed ? column * layout.rows + row : layout.row_of_file(row) * layout.columns + column;
      float& value = w[static_cast<std::size_t>(at)];
      value = static_cast<float>(static_cast<double>(value) + scale * sum);
    }
  }
}

const StoredTensor& find(const std::vector<StoredTensor>& tensors, const std::string& name) {
  const auto found = std::find_if(tensors.begin(), tensors.end(), [&](const auto& t) { return t.name == name; });
  LONGSHIP_CHECK(found != tensors.end(), name);
  return *found;
}

std::vector<float> matrix_of(const std::vector<StoredTensor>& adapter, const std::string& module, const char* which) {
  return testing::f32_values(find(adapter, "base_model.model." + module + "." + which + ".weight"));
}

// A copy of a checkpoint in one file of F32, the adapter merged into it.
void write_merged(const fs::path& model, const fs::path& to, const std::vector<AdapterModule>& modules,
                  const std::vector<StoredTensor>& adapter, double scale, bool transposed, const std::string& prefix) {
  fs::create_directories(to);
  fs::copy_file(model / "config.json", to / "config.json");
  std::vector<StoredTensor> all;
  for (const fs::directory_entry& file : fs::directory_iterator(model)) {
    if (file.path().extension() == ".safetensors" && file.path().filename() != "golden.safetensors") {
      for (StoredTensor& tensor : testing::read_safetensors(file.path())) {
        all.push_back(std::move(tensor));
      }
    }
  }
  for (const AdapterModule& module : modules) {
    const std::string name = module.name.substr(prefix.size()) + ".weight";
    const auto weight = std::find_if(all.begin(), all.end(), [&](const auto& t) { return t.name == name; });
    ASSERT_NE(weight, all.end()) << name;
    std::vector<float> values = testing::f32_values(*weight);
    merge(values, {.rows = module.rows, .columns = module.columns, .transposed = transposed},
          matrix_of(adapter, module.name, "lora_A"), matrix_of(adapter, module.name, "lora_B"), scale);
    *weight = testing::f32_tensor(name, weight->shape, values);
  }
  testing::write_safetensors(to / "model.safetensors", all);
}

void expect_same(const std::vector<RequestResult>& adapted, const std::vector<RequestResult>& merged,
                 const std::vector<RequestResult>& base) {
  ASSERT_EQ(adapted.size(), merged.size());
  for (std::size_t i = 0; i < adapted.size(); ++i) {
    EXPECT_LE(worst_difference(adapted[i].logits, merged[i].logits), kTolerance) << "request " << i;
    EXPECT_EQ(adapted[i].tokens, merged[i].tokens) << "request " << i;
    EXPECT_GE(worst_difference(adapted[i].logits, base[i].logits), 0.1)
        << "request " << i << ": an adapter that matters";
  }
}

struct Case {
  const char* model;
  std::vector<std::string> targets;
  bool transposed = false;
  const char* prefix = "";
};

const std::vector<std::string> kAll = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"};

class MergedAdapter : public ::testing::TestWithParam<Case> {
 protected:
  void expect_same_on(OneEngine adapted);
};

void MergedAdapter::expect_same_on(OneEngine adapted) {
  const Case& which = GetParam();
  constexpr int64_t kRank = 5;
  constexpr double kAlpha = 7;
  const fs::path model = data_path(which.model);
  const testing::TemporaryFolder folder;
  const auto modules = testing::modules_of(model, which.targets, kRank, which.transposed, which.prefix);
  ASSERT_FALSE(modules.empty());
  const auto tensors = testing::adapter_tensors(modules, 1);
  const fs::path adapter = folder.path() / "adapter";
  testing::write_adapter(adapter, testing::adapter_config(which.targets, kRank, kAlpha), tensors);
  const fs::path merged = folder.path() / "merged";
  write_merged(model, merged, modules, tensors, kAlpha / static_cast<double>(kRank), which.transposed, which.prefix);
  const auto requests = some_requests();
  const auto expected = run({.model = merged, .adapter = {}}, requests);
  const auto base = run({.model = model, .adapter = {}}, requests);
  adapted.model = model;
  adapted.adapter = adapter;
  expect_same(run(adapted, requests), expected, base);
}

TEST_P(MergedAdapter, IsTheAdapter) {
  expect_same_on({});
}

TEST_P(MergedAdapter, IsTheAdapterOnSeveralRanks) {
  expect_same_on({.model = {}, .adapter = {}, .backend = "reference", .tp = 3, .pp = 2});
}

INSTANTIATE_TEST_SUITE_P(
    Models, MergedAdapter,
    ::testing::Values(Case{"models/llama", kAll}, Case{"models/llama-rope-llama3", {"o_proj", "down_proj"}},
                      Case{"models/llama-rope-linear", {"gate_proj", "v_proj"}}, Case{"models/qwen2", kAll},
                      Case{"models/qwen3", {"q_proj", "k_proj", "v_proj"}},
                      Case{"models/gpt2", {"c_attn", "c_proj", "c_fc"}, true},
                      Case{"models/gpt2-bare", {"c_attn", "c_fc"}, true, "transformer."}),
    [](const ::testing::TestParamInfo<Case>& which) {
      std::string name = which.param.model;
      std::replace_if(
          name.begin(), name.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
      return name;
    });

// The GGUF file of a llama has the rows of q and k in another order than Hugging Face, whose order is the adapter's.
TEST(MergedGguf, IsTheAdapter) {
  const fs::path model = data_path("gguf-models/llama3-F32.gguf");
  const auto file = GgufFile::open(model);
  const auto tensor_of = [&](const std::string& name) {
    const auto& all = file->tensors();
    return *std::find_if(all.begin(), all.end(), [&](const auto& t) { return t.name == name; });
  };
  const int64_t head_dim = tensor_of("rope_freqs.weight").shape[0] * 2;
  const std::vector<std::pair<std::string, std::string>> names = {
      {"self_attn.q_proj", "attn_q"},      {"self_attn.k_proj", "attn_k"}, {"self_attn.v_proj", "attn_v"},
      {"self_attn.o_proj", "attn_output"}, {"mlp.down_proj", "ffn_down"},  {"mlp.up_proj", "ffn_up"}};
  constexpr int64_t kRank = 3;
  std::vector<AdapterModule> modules;
  std::vector<std::string> sources;
  for (int layer = 0; layer < 2; ++layer) {
    for (const auto& [hf, gguf] : names) {
      sources.push_back("blk." + std::to_string(layer) + "." + gguf + ".weight");
      const auto& shape = tensor_of(sources.back()).shape;
      modules.push_back({"model.layers." + std::to_string(layer) + "." + hf, shape[0], shape[1], kRank});
    }
  }
  const auto tensors = testing::adapter_tensors(modules, 2);
  const testing::TemporaryFolder folder;
  Json config = testing::adapter_config({}, kRank, 4);
  config.set("target_modules", "all-linear");
  testing::write_adapter(folder.path(), config, tensors);

  std::ifstream in(model, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  for (std::size_t i = 0; i < modules.size(); ++i) {
    const AdapterModule& module = modules[i];
    std::vector<float> values(static_cast<std::size_t>(module.rows * module.columns));
    char* at = bytes.data() + tensor_of(sources[i]).offset;
    std::memcpy(values.data(), at, values.size() * sizeof(float));
    Layout layout{.rows = module.rows, .columns = module.columns};
    if (sources[i].find("attn_q.") != std::string::npos || sources[i].find("attn_k.") != std::string::npos) {
      layout.row_of_file = [head_dim](int64_t row) {
        const int64_t in_head = row % head_dim;
        const int64_t half = head_dim / 2;
        return row - in_head + (in_head < half ? 2 * in_head : 2 * (in_head - half) + 1);
      };
    }
    merge(values, layout, matrix_of(tensors, module.name, "lora_A"), matrix_of(tensors, module.name, "lora_B"),
          4.0 / static_cast<double>(kRank));
    std::memcpy(at, values.data(), values.size() * sizeof(float));
  }
  const fs::path merged = folder.path() / "merged.gguf";
  std::ofstream(merged, std::ios::binary) << bytes;
  const auto requests = some_requests();
  const auto expected = run({.model = merged, .adapter = {}}, requests);
  const auto base = run({.model = model, .adapter = {}}, requests);
  expect_same(run({.model = model, .adapter = folder.path(), .tp = 2}, requests), expected, base);
}

// An adapter of PEFT's, and what transformers computes of the adapted model, from the folder of LONGSHIP_FIXTURES.
TEST(AdapterGolden, AgreesWithTransformers) {
  const auto fixtures = testing::third_party_fixtures();
  if (!fixtures) {
    GTEST_SKIP() << "LONGSHIP_FIXTURES names no folder of fixtures";
  }
  const fs::path model = *fixtures / "models" / "llama-lora";
  const auto golden = testing::read_golden(model / "adapter" / "golden.safetensors");
  ASSERT_EQ(golden.size(), 4U);
  std::vector<GenerationRequest> requests;
  for (const testing::GoldenPrompt& prompt : golden) {
    requests.push_back(request_of(prompt.prompt, static_cast<int64_t>(prompt.greedy.size())));
  }
  for (const OneEngine& layout : {OneEngine{model, model / "adapter"}, OneEngine{model, model / "adapter", "reference"},
                                  OneEngine{model, model / "adapter", "cpu", 3, 2}}) {
    const auto results = run(layout, requests);
    for (std::size_t k = 0; k < golden.size(); ++k) {
      EXPECT_LE(worst_difference(results[k].logits, golden[k].logits), kTolerance) << "prompt " << k;
      EXPECT_EQ(results[k].tokens, golden[k].greedy) << "prompt " << k;
    }
  }
}

}  // namespace
}  // namespace longship
