#include <algorithm>

#include "core/unsupported.h"
#include "engine/model/architectures.h"
#include "engine/model/config_parse.h"

namespace longship {

namespace {

void read_rope(const ConfigReader& reader, const GgufFile& file, ModelConfig& config) {
  config.rope_theta = reader.positive("rope.freq_base", 10000.0);
  if (reader.extent("rope.dimension_count", config.head_dim) != config.head_dim) {
    reader.refuse("rope.dimension_count", "partial rotary positions are not supported");
  }
  RopeScaling& scaling = config.rope_scaling;
  const std::string type = reader.string("rope.scaling.type", reader.has("rope.scale_linear") ? "linear" : "none");
  if (type == "linear") {
    scaling.kind = RopeScaling::Kind::kLinear;
    scaling.factor = reader.positive(reader.has("rope.scaling.factor") ? "rope.scaling.factor" : "rope.scale_linear");
  } else if (type == "yarn") {
    scaling.kind = RopeScaling::Kind::kYarn;
    scaling.factor = reader.positive("rope.scaling.factor");
    scaling.original_max_positions = reader.extent("rope.scaling.original_context_length", config.max_positions);
    scaling.beta_fast = reader.positive("rope.scaling.yarn_beta_fast", 32.0);
    scaling.beta_slow = reader.positive("rope.scaling.yarn_beta_slow", 1.0);
  } else if (type != "none") {
    reader.refuse("rope.scaling.type", "the scaling " + type + " is not supported");
  }
  if (file.find_tensor("rope_freqs.weight") != nullptr) {
    scaling.divisors = "rope_freqs.weight";
  }
}

void read_sizes(const ConfigReader& reader, const GgufFile& file, ModelConfig& config) {
  config.layers = reader.extent("block_count");
  config.width = reader.extent("embedding_length");
  config.heads = reader.extent("attention.head_count");
  config.kv_heads = reader.extent("attention.head_count_kv", config.heads);
  config.ffn = reader.extent("feed_forward_length");
  config.max_positions = reader.extent("context_length", 2048);
  if (!reader.has("attention.key_length") && config.width % config.heads != 0) {
    reader.fail("attention.head_count", "embedding_length is not a multiple of it");
  }
  config.head_dim = reader.extent("attention.key_length", config.width / config.heads);
  if (reader.extent("attention.value_length", config.head_dim) != config.head_dim) {
    reader.refuse("attention.value_length", "values of another size than keys are not supported");
  }
  check_config(config, reader, "attention.head_count", "attention.head_count_kv");
  const std::string last = "blk." + std::to_string(config.layers - 1) + ".";
  const auto tensors = file.tensors();
  if (std::none_of(tensors.begin(), tensors.end(), [&](const GgufTensor& t) { return t.name.rfind(last, 0) == 0; })) {
    reader.fail("block_count", "there are no tensors of layer " + std::to_string(config.layers - 1));
  }
}

void read_vocabulary(const ConfigReader& reader, const GgufFile& file, ModelConfig& config) {
  const GgufTensor* embedding = file.find_tensor("token_embd.weight");
  if (embedding == nullptr || embedding->shape.size() != 2) {
    throw model_file_error(reader.file(), "token_embd.weight", "must be a matrix of the file");
  }
  config.vocab = embedding->shape[0];
  if (config.vocab > ConfigReader::kMaxVocab) {
    throw model_file_error(reader.file(), "token_embd.weight", "has too many rows");
  }
  const GgufArray* tokens = file.find_array("tokenizer.ggml.tokens");
  if (tokens != nullptr && tokens->size() > config.vocab) {
    throw model_file_error(reader.file(), "token_embd.weight", "has fewer rows than there are tokens");
  }
  const ConfigReader tokenizer(
      reader.file(), [&](const std::string& key) { return file.find(key); }, "tokenizer.ggml.");
  for (const char* key : {"eos_token_id", "eot_token_id"}) {
    for (const int32_t id : tokenizer.token_ids(key, config.vocab)) {
      if (std::find(config.eos_ids.begin(), config.eos_ids.end(), id) == config.eos_ids.end()) {
        config.eos_ids.push_back(id);
      }
    }
  }
}

}  // namespace

ModelConfig parse_gguf_config(const GgufFile& file) {
  const auto find = [&](const std::string& key) { return file.find(key); };
  const ConfigReader general(file.path().string(), find);
  ModelConfig config;
  config.naming = Naming::kGguf;
  config.architecture = general.string("general.architecture");
  const ArchitectureFacts* facts = gguf_architecture(config.architecture);
  if (facts == nullptr) {
    general.refuse("general.architecture", unknown_gguf_architecture(config.architecture));
  }
  if (general.has("adapter.type")) {
    throw unsupported_error(general.file(), "adapter.type", "adapters are not supported",
                            "Give the model that it was trained on; adapters are folders as PEFT saves them.");
  }
  const bool gpt2 = facts->is_gpt2_like;
  const ConfigReader reader(file.path().string(), find, config.architecture + ".");
  if (reader.has("expert_count") && *reader.find("expert_count") != Json(0)) {
    reader.refuse("expert_count", "mixtures of experts are not supported");
  }
  read_sizes(reader, file, config);
  read_vocabulary(reader, file, config);
  config.norm_eps = reader.positive(gpt2 ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon");
  const int64_t window = reader.has("attention.sliding_window") ? reader.extent("attention.sliding_window") : 0;
  config.windows.assign(static_cast<std::size_t>(config.layers), window);
  if (gpt2) {
    config.norm = NormKind::kLayer;
    config.activation = Activation::kGeluTanh;
    config.gated_ffn = false;
    config.learned_positions = true;
  } else {
    read_rope(reader, file, config);
  }
  config.rotary_rows = facts->gguf_rotary_rows;
  config.qkv_bias = gpt2 || file.find_tensor("blk.0.attn_q.bias") != nullptr;
  config.attention_output_bias = file.find_tensor("blk.0.attn_output.bias") != nullptr;
  config.ffn_bias = file.find_tensor("blk.0.ffn_up.bias") != nullptr;
  config.qk_norm = facts->has_qk_norm;
  config.tied_head = file.find_tensor("output.weight") == nullptr;
  return config;
}

}  // namespace longship
