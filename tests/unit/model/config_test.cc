// Both spellings of config.json give the same model.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "engine/model/architectures.h"
#include "engine/model/config_parse.h"
#include "tests/support/fixtures.h"

namespace longship {
namespace {

class Spellings : public ::testing::TestWithParam<const char*> {};

TEST_P(Spellings, GiveTheSameModel) {
  const auto folder = testing::data_path("models") / GetParam();
  const ModelConfig a = parse_hf_config(folder / "config.json");
  const ModelConfig b = parse_hf_config(folder / "config.alt.json");
  EXPECT_EQ(a.architecture, b.architecture);
  EXPECT_EQ(a.layers, b.layers);
  EXPECT_EQ(a.width, b.width);
  EXPECT_EQ(a.heads, b.heads);
  EXPECT_EQ(a.kv_heads, b.kv_heads);
  EXPECT_EQ(a.head_dim, b.head_dim);
  EXPECT_EQ(a.ffn, b.ffn);
  EXPECT_EQ(a.vocab, b.vocab);
  EXPECT_EQ(a.norm_eps, b.norm_eps);
  EXPECT_EQ(a.rope_theta, b.rope_theta);
  EXPECT_EQ(a.rope_scaling.kind, b.rope_scaling.kind);
  EXPECT_EQ(a.rope_scaling.factor, b.rope_scaling.factor);
  EXPECT_EQ(a.rope_scaling.original_max_positions, b.rope_scaling.original_max_positions);
  EXPECT_EQ(a.rope_scaling.attention_factor, b.rope_scaling.attention_factor);
  EXPECT_EQ(a.windows, b.windows);
  EXPECT_EQ(a.tied_head, b.tied_head);
  EXPECT_EQ(a.qkv_bias, b.qkv_bias);
  EXPECT_EQ(a.attention_output_bias, b.attention_output_bias);
  EXPECT_EQ(a.ffn_bias, b.ffn_bias);
  EXPECT_EQ(a.eos_ids, b.eos_ids);
}

INSTANTIATE_TEST_SUITE_P(All, Spellings,
                         ::testing::Values("llama", "llama-rope-llama3", "llama-rope-linear", "llama-rope-yarn",
                                           "mistral-window", "qwen2", "qwen3", "gpt2", "gpt2-bare", "qwen2-bf16"));

TEST(ModelConfig, GenerationConfigAddsEndTokens) {
  EXPECT_EQ(parse_hf_config(testing::data_path("models/llama/config.json")).eos_ids, (std::vector<int32_t>{1, 3}));
}

// The error of llama's configuration with a quantisation; empty if there is none.
std::string error_of_quantisation(const std::string& quantisation) {
  std::ifstream llama(testing::data_path("models/llama/config.json"));
  std::string text{std::istreambuf_iterator<char>(llama), {}};
  text.insert(text.find('{') + 1, "\"quantization_config\": " + quantisation + ",");
  const std::filesystem::path path = std::filesystem::path(::testing::TempDir()) / "quantised-config.json";
  std::ofstream(path) << text;
  try {
    parse_hf_config(path);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(ModelConfig, TakesFp8AndNoOtherQuantisation) {
  EXPECT_EQ(error_of_quantisation(R"({"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]})"), "");
  EXPECT_EQ(error_of_quantisation(R"({"quant_method": "compressed-tensors", "format": "float-quantized"})"), "");
  EXPECT_NE(error_of_quantisation(R"({"quant_method": "compressed-tensors", "format": "pack-quantized"})"), "");
  EXPECT_NE(error_of_quantisation(R"({"quant_method": "fp8", "fmt": "e5m2"})"), "");
  EXPECT_NE(error_of_quantisation(R"({"quant_method": "gptq"})").find("gptq"), std::string::npos);
}

TEST(ModelConfig, RefusesHeadsWiderThanTheBackendsTake) {
  std::ifstream llama(testing::data_path("models/llama/config.json"));
  std::string text{std::istreambuf_iterator<char>(llama), {}};
  const std::string head_dim = "\"head_dim\": 20";
  ASSERT_NE(text.find(head_dim), std::string::npos);
  text.replace(text.find(head_dim), head_dim.size(), "\"head_dim\": 514");
  const std::filesystem::path path = std::filesystem::path(::testing::TempDir()) / "wide-heads-config.json";
  std::ofstream(path) << text;
  try {
    parse_hf_config(path);
    ADD_FAILURE() << "loaded";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 3);
    EXPECT_NE(std::string(error.what()).find("514"), std::string::npos) << error.what();
  }
}

TEST(ModelConfig, TellsWhichArchitecturesThereAre) {
  std::ifstream llama(testing::data_path("models/llama/config.json"));
  std::string text{std::istreambuf_iterator<char>(llama), {}};
  const std::string model_class = "LlamaForCausalLM";
  ASSERT_NE(text.find(model_class), std::string::npos);
  text.replace(text.find(model_class), model_class.size(), "DbrxForCausalLM");
  const std::filesystem::path path = std::filesystem::path(::testing::TempDir()) / "unknown-config.json";
  std::ofstream(path) << text;
  try {
    parse_hf_config(path);
    ADD_FAILURE() << "loaded";
  } catch (const Error& error) {
    const std::string what = error.what();
    EXPECT_NE(what.find("DbrxForCausalLM is not supported (there are LlamaForCausalLM, Mistral"), std::string::npos)
        << what;
  }
  EXPECT_NE(unknown_gguf_architecture("dbrx").find("dbrx is not supported (there are llama, qwen2,"), std::string::npos)
      << "Mistral's files say llama";
}

}  // namespace
}  // namespace longship
