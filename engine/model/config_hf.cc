#include <cmath>

#include "engine/model/architectures.h"
#include "engine/model/config_parse.h"

namespace longship {

namespace {

ConfigReader reader_of(const std::filesystem::path& path, const Json& object) {
  return {path.string(), [&object](const std::string& key) { return object.find(key); }};
}

const ArchitectureFacts& architecture(const ConfigReader& reader) {
  const Json* classes = reader.find("architectures");
  if (classes == nullptr) {
    reader.fail("architectures", "is missing");
  }
  if (!classes->is_array() || classes->as_array().empty() || !classes->as_array()[0].is_string()) {
    reader.fail("architectures", "must be a list of names");
  }
  const std::string& model_class = classes->as_array()[0].as_string();
  if (const ArchitectureFacts* known = hf_architecture(model_class)) {
    return *known;
  }
  reader.refuse("architectures", unknown_hf_architecture(model_class));
}

// FP8 weights load as they are, with the scales beside them; activations are not quantised.
void check_quantisation(const ConfigReader& reader, const Json& quantisation) {
  const auto text = [&](const char* key) {
    const Json* value = quantisation.find(key);
    return value != nullptr && value->is_string() ? value->as_string() : std::string();
  };
  const std::string method = text("quant_method");
  const bool fp8 = method == "fp8" || method == "fbgemm_fp8" ||
                   (method == "compressed-tensors" && text("format") == "float-quantized");
  if (!fp8 || (!text("fmt").empty() && text("fmt") != "e4m3")) {
    reader.refuse("quantization_config",
                  "the quantisation " + (method.empty() ? std::string("given") : method) + " is not supported");
  }
}

// Formats and structures that would load as something else than they are.
void refuse_unsupported(const ConfigReader& reader) {
  if (const Json* quantisation = reader.find("quantization_config")) {
    check_quantisation(reader, *quantisation);
  }
  for (const char* key : {"num_local_experts", "num_experts", "n_routed_experts"}) {
    if (reader.has(key)) {
      reader.refuse(key, "mixtures of experts are not supported");
    }
  }
  if (reader.positive("partial_rotary_factor", 1.0) != 1.0) {
    reader.refuse("partial_rotary_factor", "partial rotary positions are not supported");
  }
}

void read_yarn(const ConfigReader& rope, int64_t max_positions, RopeScaling& scaling) {
  scaling.kind = RopeScaling::Kind::kYarn;
  scaling.original_max_positions = rope.extent("original_max_position_embeddings", max_positions);
  scaling.beta_fast = rope.positive("beta_fast", 32.0);
  scaling.beta_slow = rope.positive("beta_slow", 1.0);
  scaling.truncate = rope.boolean("truncate", true);
  const auto magnitude = [&](double m) { return scaling.factor <= 1 ? 1.0 : 0.1 * m * std::log(scaling.factor) + 1.0; };
  if (rope.has("attention_factor")) {
    scaling.attention_factor = rope.positive("attention_factor");
  } else if (rope.has("mscale") && rope.has("mscale_all_dim")) {
    scaling.attention_factor = magnitude(rope.positive("mscale")) / magnitude(rope.positive("mscale_all_dim"));
  } else {
    scaling.attention_factor = magnitude(1.0);
  }
}

// "rope_parameters" (transformers 5), or "rope_scaling" beside "rope_theta" (4), where the type may be called "type".
void read_rope(const ConfigReader& top, ModelConfig& config) {
  const bool merged = top.has("rope_parameters");
  const std::string key = merged ? "rope_parameters" : "rope_scaling";
  const Json* object = top.find(key);
  if (object != nullptr && !object->is_object()) {
    top.fail(key, "must be an object");
  }
  const Json empty;
  const Json& values = object != nullptr ? *object : empty;
  const ConfigReader rope(
      top.file(), [&](const std::string& name) { return values.find(name.substr(key.size() + 1)); }, key + ".");
  config.rope_theta =
      merged && rope.has("rope_theta") ? rope.positive("rope_theta") : top.positive("rope_theta", 10000.0);
  const std::string type_key = rope.has("rope_type") ? "rope_type" : "type";
  const std::string type = rope.string(type_key, "default");
  RopeScaling& scaling = config.rope_scaling;
  if (type == "default") {
    return;
  }
  if (rope.positive("partial_rotary_factor", 1.0) != 1.0) {
    rope.refuse("partial_rotary_factor", "partial rotary positions are not supported");
  }
  scaling.factor = rope.positive("factor");
  if (type == "linear") {
    scaling.kind = RopeScaling::Kind::kLinear;
  } else if (type == "llama3") {
    scaling.kind = RopeScaling::Kind::kLlama3;
    scaling.original_max_positions = rope.extent("original_max_position_embeddings");
    scaling.low_freq_factor = rope.positive("low_freq_factor");
    scaling.high_freq_factor = rope.positive("high_freq_factor");
    if (scaling.high_freq_factor <= scaling.low_freq_factor) {
      rope.fail("high_freq_factor", "must be above low_freq_factor");
    }
  } else if (type == "yarn") {
    read_yarn(rope, config.max_positions, scaling);
  } else {
    rope.refuse(type_key, "the scaling " + type + " is not supported");
  }
}

void read_windows(const ConfigReader& reader, SlidingLayers sliding, ModelConfig& config) {
  config.windows.assign(static_cast<std::size_t>(config.layers), 0);
  const bool by_number = sliding == SlidingLayers::kFromMaxWindowLayers;
  const bool slides = reader.has("sliding_window") && (!by_number || reader.boolean("use_sliding_window", false));
  if (const Json* types = reader.find("layer_types")) {
    if (!types->is_array() || types->as_array().size() != config.windows.size()) {
      reader.fail("layer_types", "must name the type of each layer");
    }
    for (std::size_t i = 0; i < config.windows.size(); ++i) {
      const Json& type = types->as_array()[i];
      if (type == Json("sliding_attention")) {
        config.windows[i] = reader.extent("sliding_window");
      } else if (type != Json("full_attention")) {
        reader.fail("layer_types", "must be full_attention or sliding_attention");
      }
    }
  } else if (slides && sliding != SlidingLayers::kNone) {
    const int64_t first = by_number ? reader.extent("max_window_layers", 28) : 0;
    for (int64_t layer = first; layer < config.layers; ++layer) {
      config.windows[static_cast<std::size_t>(layer)] = reader.extent("sliding_window");
    }
  }
}

void read_decoder(const ConfigReader& reader, const ArchitectureFacts& facts, ModelConfig& config) {
  config.layers = reader.extent("num_hidden_layers");
  config.width = reader.extent("hidden_size");
  config.heads = reader.extent("num_attention_heads");
  config.kv_heads = reader.extent("num_key_value_heads", config.heads);
  config.ffn = reader.extent("intermediate_size");
  config.vocab = reader.extent("vocab_size");
  config.max_positions = reader.extent("max_position_embeddings", 2048);
  config.norm_eps = reader.positive("rms_norm_eps", 1e-6);
  if (!reader.has("head_dim") && config.width % config.heads != 0) {
    reader.fail("num_attention_heads", "hidden_size is not a multiple of it and there is no head_dim");
  }
  config.head_dim = reader.extent("head_dim", config.width / config.heads);
  const std::string activation = reader.string("hidden_act", "silu");
  if (activation != "silu" && activation != "swish") {
    reader.refuse("hidden_act", "the activation " + activation + " is not supported");
  }
  config.tied_head = reader.boolean("tie_word_embeddings", false);
  const bool attention_bias = reader.boolean("attention_bias", false);
  config.qkv_bias = facts.has_qkv_bias || attention_bias;
  config.attention_output_bias = !facts.has_qkv_bias && attention_bias;
  config.ffn_bias = reader.boolean("mlp_bias", false);
  config.qk_norm = facts.has_qk_norm;
}

void read_gpt2(const ConfigReader& reader, ModelConfig& config) {
  config.layers = reader.extent("n_layer");
  config.width = reader.extent("n_embd");
  config.heads = config.kv_heads = reader.extent("n_head");
  config.ffn = reader.extent("n_inner", 4 * config.width);
  config.vocab = reader.extent("vocab_size");
  config.max_positions = reader.extent("n_positions", 1024);
  config.norm = NormKind::kLayer;
  config.norm_eps = reader.positive("layer_norm_epsilon", 1e-5);
  if (config.width % config.heads != 0) {
    reader.fail("n_head", "n_embd is not a multiple of it");
  }
  config.head_dim = config.width / config.heads;
  const std::string activation = reader.string("activation_function", "gelu_new");
  if (activation != "gelu_new" && activation != "gelu_pytorch_tanh" && activation != "gelu_fast") {
    reader.refuse("activation_function", "the activation " + activation + " is not supported");
  }
  for (const char* key : {"scale_attn_by_inverse_layer_idx", "add_cross_attention"}) {
    if (reader.boolean(key, false)) {
      reader.refuse(key, "is not supported");
    }
  }
  if (!reader.boolean("scale_attn_weights", true)) {
    reader.refuse("scale_attn_weights", "false is not supported");
  }
  config.activation = Activation::kGeluTanh;
  config.gated_ffn = false;
  config.learned_positions = true;
  config.qkv_bias = config.attention_output_bias = config.ffn_bias = true;
  config.tied_head = reader.boolean("tie_word_embeddings", true);
}

}  // namespace

ModelConfig parse_hf_config(const std::filesystem::path& config_json) {
  const Json json = read_json_object(config_json);
  const ConfigReader reader = reader_of(config_json, json);
  ModelConfig config;
  config.naming = Naming::kHuggingFace;
  refuse_unsupported(reader);
  const ArchitectureFacts& facts = architecture(reader);
  config.architecture = facts.name;
  const bool gpt2 = facts.is_gpt2_like;
  gpt2 ? read_gpt2(reader, config) : read_decoder(reader, facts, config);
  check_config(config, reader, gpt2 ? "n_head" : "num_attention_heads", gpt2 ? "n_head" : "num_key_value_heads");
  if (gpt2) {
    config.windows.assign(static_cast<std::size_t>(config.layers), 0);
  } else {
    read_rope(reader, config);
    read_windows(reader, facts.sliding, config);
  }
  config.eos_ids = reader.token_ids("eos_token_id", config.vocab);
  const std::filesystem::path generation = config_json.parent_path() / "generation_config.json";
  if (std::filesystem::is_regular_file(generation)) {
    const Json defaults = read_json_object(generation);
    for (const int32_t id : reader_of(generation, defaults).token_ids("eos_token_id", config.vocab)) {
      if (std::find(config.eos_ids.begin(), config.eos_ids.end(), id) == config.eos_ids.end()) {
        config.eos_ids.push_back(id);
      }
    }
  }
  return config;
}

}  // namespace longship
