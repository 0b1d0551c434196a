// Adapters' files: what they say, and that none that is wrong is taken.
#include "engine/model/adapter.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <functional>

#include "core/error.h"
#include "engine/models/families.h"
#include "tests/support/adapter_files.h"

namespace longship {
namespace {

namespace fs = std::filesystem;

using testing::AdapterModule;
using testing::StoredTensor;

constexpr const char* kQ = "model.layers.0.self_attn.q_proj";
constexpr const char* kDown = "model.layers.1.mlp.down_proj";

ModelConfig model() {
  ModelConfig config;
  config.architecture = "llama";
  config.layers = 2;
  config.width = 12;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 4;
  config.ffn = 20;
  config.vocab = 100;
  return config;
}

// The parts of a sound adapter, for a test to spoil.
struct Parts {
  Json config = testing::adapter_config({"q_proj", "down_proj"}, 2, 8);
  std::vector<StoredTensor> tensors =
      testing::adapter_tensors({AdapterModule{kQ, 16, 12, 2}, AdapterModule{kDown, 12, 20, 2}}, 1);
};

class AdapterFiles : public ::testing::Test {
 protected:
  Adapter open(const Parts& parts) const {
    testing::write_adapter(folder_.path(), parts.config, parts.tensors);
    Adapter adapter = Adapter::open(folder_.path());
    adapter.check_fits(model(), family_of(model()));
    return adapter;
  }

  // Why the adapter is refused; empty if it is not.
  std::string refusal(const std::function<void(Parts&)>& spoil) const {
    Parts parts;
    spoil(parts);
    return reason([&] { open(parts); });
  }

  static std::string reason(const std::function<void()>& work) {
    try {
      work();
      return {};
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kModelFile);
      return error.what();
    }
  }

  const fs::path& folder() const { return folder_.path(); }

 private:
  testing::TemporaryFolder folder_;
};

TEST_F(AdapterFiles, SayWhichModulesChangeAndByHowMuch) {
  const Adapter adapter = open({});
  ASSERT_NE(adapter.find(kQ), nullptr);
  EXPECT_EQ(adapter.find(kQ)->rank, 2);
  EXPECT_EQ(adapter.find(kQ)->scale, 4.0F);
  EXPECT_EQ(adapter.find(kQ)->a, std::string("base_model.model.") + kQ + ".lora_A.weight");
  EXPECT_EQ(adapter.find(kQ)->b, std::string("base_model.model.") + kQ + ".lora_B.weight");
  EXPECT_EQ(adapter.find("model.layers.1.self_attn.q_proj"), nullptr);
}

TEST_F(AdapterFiles, RankStabilisedScalesAndPatterns) {
  Parts parts;
  parts.config.set("use_rslora", true);
  EXPECT_FLOAT_EQ(open(parts).find(kQ)->scale, static_cast<float>(8 / std::sqrt(2.0)));

  parts = {};
  parts.tensors = testing::adapter_tensors({AdapterModule{kQ, 16, 12, 2}, AdapterModule{kDown, 12, 20, 5}}, 1);
  Json ranks;
  ranks.set("down_proj", 5);
  parts.config.set("rank_pattern", std::move(ranks));
  Json alphas;
  alphas.set("^model\\.layers.1.mlp.down_proj", 15);
  parts.config.set("alpha_pattern", std::move(alphas));
  const Adapter adapter = open(parts);
  EXPECT_EQ(adapter.find(kDown)->rank, 5);
  EXPECT_FLOAT_EQ(adapter.find(kDown)->scale, 3.0F);
  EXPECT_EQ(adapter.find(kQ)->rank, 2);
  EXPECT_FLOAT_EQ(adapter.find(kQ)->scale, 4.0F);
}

TEST_F(AdapterFiles, ANamePatternIsTheLastPartOfAModulesName) {
  EXPECT_TRUE(AdapterConfig::names("q_proj", kQ));
  EXPECT_TRUE(AdapterConfig::names("self_attn.q_proj", kQ));
  EXPECT_TRUE(AdapterConfig::names(kQ, kQ));
  EXPECT_TRUE(AdapterConfig::names(std::string("^") + kQ, kQ));
  EXPECT_FALSE(AdapterConfig::names("^q_proj", kQ));
  EXPECT_FALSE(AdapterConfig::names("proj", kQ));
  EXPECT_FALSE(AdapterConfig::names("xq_proj", kQ));
}

TEST_F(AdapterFiles, OtherFloatsAreTaken) {
  Parts parts;
  for (StoredTensor& tensor : parts.tensors) {
    tensor.dtype = "BF16";
    tensor.bytes.resize(tensor.bytes.size() / 2);
  }
  EXPECT_NE(open(parts).find(kQ), nullptr);
}

TEST_F(AdapterFiles, WhatIsNotSupportedIsRefusedWithARemedy) {
  struct Feature {
    const char* key;
    Json value;
    const char* cause;
  };
  for (const Feature& feature : {
           Feature{"peft_type", "LOHA", "adapters of the type LOHA are not supported"},
           Feature{"use_dora", true, "DoRA is not supported"},
           Feature{"bias", "all", "trained biases (all) are not supported"},
           Feature{"lora_bias", true, "biases of LoRA are not supported"},
           Feature{"modules_to_save", Json::Array{Json("lm_head")}, "modules trained as a whole are not supported"},
           Feature{"trainable_token_indices", Json::Array{Json(3)}, "trained tokens"},
           Feature{"layer_replication", Json::Array{Json(Json::Array{Json(0), Json(1)})}, "replicated layers"},
           Feature{"init_lora_weights", "pissa_niter_4", "belongs to changed weights"},
           Feature{"rank_pattern", Json(Json::Object{{".*q_proj", Json(2)}}), "only names are supported"},
       }) {
    const std::string why = refusal([&](Parts& parts) { parts.config.set(feature.key, feature.value); });
    EXPECT_NE(why.find(feature.cause), std::string::npos) << feature.key << ": " << why;
    EXPECT_NE(why.find("\nMerge the adapter into its model"), std::string::npos) << why;
  }
}

TEST_F(AdapterFiles, TensorsOfOtherKindsAreRefused) {
  const auto with = [&](const std::string& name) {
    return refusal([&](Parts& parts) { parts.tensors.push_back(testing::f32_tensor(name, {1, 2}, {1, 2})); });
  };
  const std::string stem = std::string("base_model.model.") + kQ;
  EXPECT_NE(with(stem + ".lora_magnitude_vector").find("DoRA is not supported"), std::string::npos);
  EXPECT_NE(with(stem + ".lora_B.bias").find("biases of LoRA are not supported"), std::string::npos);
  EXPECT_NE(with("base_model.model.model.embed_tokens.lora_embedding_A").find("adapters of embeddings"),
            std::string::npos);
  EXPECT_NE(with("base_model.model.lm_head.weight").find("trained as a whole"), std::string::npos);
  EXPECT_NE(with(stem + ".lora_A.default.weight").find("the name is not one that PEFT gives"), std::string::npos);
  EXPECT_NE(with("base_model.model.lora_A.weight").find("not"), std::string::npos);
}

TEST_F(AdapterFiles, WhatTheModelHasNotIsRefused) {
  const auto with = [&](const AdapterModule& module) {
    return refusal([&](Parts& parts) {
      parts.config.set("target_modules", "all-linear");
      for (StoredTensor& tensor : testing::adapter_tensors({module}, 3)) {
        parts.tensors.push_back(std::move(tensor));
      }
    });
  };
  EXPECT_EQ(with({"model.layers.1.self_attn.o_proj", 12, 16, 2}), "");
  EXPECT_NE(with({"model.layers.2.self_attn.q_proj", 16, 12, 2}).find("the model has no model.layers.2"),
            std::string::npos);
  EXPECT_NE(with({"model.layers.0.self_attn.qkv_proj", 16, 12, 2}).find("the model has no"), std::string::npos);
  EXPECT_NE(with({"lm_head", 100, 12, 2}).find("the embedding and the head"), std::string::npos);
  EXPECT_NE(with({"model.layers.1.mlp.up_proj", 20, 13, 2}).find("the shape is [2, 13], the model asks for [2, 12]"),
            std::string::npos);
  EXPECT_NE(with({"model.layers.1.mlp.up_proj", 21, 12, 2}).find("the shape is [21, 2], the model asks for [20, 2]"),
            std::string::npos);
  EXPECT_NE(with({"model.layers.1.mlp.up_proj", 20, 12, 3}).find("asks for the rank 2"), std::string::npos);
}

TEST_F(AdapterFiles, HalvesAndOddShapesAreRefused) {
  EXPECT_NE(refusal([](Parts& parts) { parts.tensors.pop_back(); }).find("lora_B beside it is missing"),
            std::string::npos);
  EXPECT_NE(refusal([](Parts& parts) { parts.tensors.clear(); }).find("has no tensors"), std::string::npos);
  EXPECT_NE(refusal([](Parts& parts) { parts.tensors[0].shape = {24}; }).find("no matrix"), std::string::npos);
  EXPECT_NE(refusal([](Parts& parts) { parts.tensors[0].shape = {1, 24}; }).find("the rank 2"), std::string::npos);
  EXPECT_NE(refusal([](Parts& parts) {
              parts.tensors[0] = {parts.tensors[0].name, "F32", {0, 12}, ""};
            }).find("no matrix"),
            std::string::npos);
  EXPECT_NE(refusal([](Parts& parts) {
              parts.tensors[0] = {parts.tensors[0].name, "I32", {2, 12}, parts.tensors[0].bytes};
            }).find("type I32 is not supported"),
            std::string::npos);
  EXPECT_NE(refusal([](Parts& parts) {
              parts.tensors[0] = {parts.tensors[0].name, "F8_E4M3", {2, 12}, std::string(24, '\0')};
            }).find("none of F32, F16 and BF16"),
            std::string::npos);
}

TEST_F(AdapterFiles, TargetsAndTensorsSpeakOfTheSame) {
  EXPECT_NE(refusal([](Parts& parts) {
              parts.config.set("target_modules", Json::Array{Json("q_proj")});
            }).find("target_modules of adapter_config.json leaves it out"),
            std::string::npos);
  EXPECT_NE(refusal([](Parts& parts) {
              parts.config.set("target_modules", Json::Array{Json("q_proj"), Json("down_proj"), Json("v_proj")});
            }).find("has no tensors for v_proj"),
            std::string::npos);
}

TEST_F(AdapterFiles, WrongTypesInTheConfigurationAreRefused) {
  for (const auto& [key, value] :
       std::vector<std::pair<const char*, Json>>{{"r", 0},
                                                 {"r", -1},
                                                 {"r", "two"},
                                                 {"r", int64_t{1} << 60},
                                                 {"r", 2.5},
                                                 {"r", nullptr},
                                                 {"lora_alpha", "x"},
                                                 {"lora_alpha", 0},
                                                 {"lora_alpha", nullptr},
                                                 {"use_rslora", 7},
                                                 {"target_modules", 5},
                                                 {"target_modules", Json::Array{Json(5)}},
                                                 {"target_modules", Json::Array{Json("")}},
                                                 {"rank_pattern", 5},
                                                 {"rank_pattern", Json(Json::Object{{"q_proj", Json(0)}})},
                                                 {"rank_pattern", Json(Json::Object{{"q_proj", Json("x")}})},
                                                 {"alpha_pattern", Json(Json::Object{{"q_proj", Json("x")}})},
                                                 {"peft_type", 3},
                                                 {"peft_type", nullptr}}) {
    EXPECT_NE(refusal([&, &key = key, &value = value](Parts& parts) { parts.config.set(key, value); }).find(key),
              std::string::npos)
        << key << " " << dump_json(value);
  }
}

// However they are cut or spoilt, files are refused, or taken where the change does not matter.
TEST_F(AdapterFiles, SpoiltFilesNeverCrash) {
  open({});
  for (const char* name : {"adapter_config.json", "adapter_model.safetensors"}) {
    std::ifstream in(folder() / name, std::ios::binary);
    const std::string sound{std::istreambuf_iterator<char>(in), {}};
    std::size_t refused = 0;
    const auto try_with = [&](const std::string& bytes) {
      std::ofstream(folder() / name, std::ios::binary) << bytes;
      refused += reason([&] { Adapter::open(folder()).check_fits(model(), family_of(model())); }).empty() ? 0 : 1;
    };
    for (std::size_t size = 0; size + 1 < sound.size(); size += 7) {
      try_with(sound.substr(0, size));
    }
    EXPECT_EQ(refused, (sound.size() + 5) / 7) << name;
    for (std::size_t at = 0; at < std::min<std::size_t>(sound.size(), 900); ++at) {
      std::string bytes = sound;
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << at % 8));
      try_with(bytes);
    }
    std::ofstream(folder() / name, std::ios::binary) << sound;
  }
  for (const char* name : {"adapter_model.safetensors", "adapter_config.json"}) {
    fs::remove(folder() / name);
    EXPECT_NE(reason([&] { Adapter::open(folder()); }).find(std::string("has no ") + name), std::string::npos);
  }
}

}  // namespace
}  // namespace longship
