#include "engine/model/adapter_config.h"

#include <cmath>

#include "core/unsupported.h"
#include "engine/model/config_parse.h"

namespace longship {

namespace {

constexpr std::size_t kMostPatterns = 1 << 16;

[[noreturn]] void refuse(const ConfigReader& reader, const std::string& key, const std::string& what) {
  throw unsupported_error(reader.file(), key, what, kMergeAdapter);
}

bool is_set(const Json& value) {
  return value != Json(false) && value != Json(Json::Array{}) && value != Json(Json::Object{}) && value != Json("");
}

// What would compute something else than the two matrices of each module say.
void refuse_unsupported(const ConfigReader& reader) {
  if (const std::string type = reader.string("peft_type"); type != "LORA") {
    refuse(reader, "peft_type", "adapters of the type " + type + " are not supported, only LORA");
  }
  if (const std::string bias = reader.string("bias", "none"); bias != "none") {
    refuse(reader, "bias", "trained biases (" + bias + ") are not supported");
  }
  struct Feature {
    const char* key;
    const char* what;
  };
  for (const Feature& feature :
       {Feature{"use_dora", "DoRA is not supported"}, Feature{"lora_bias", "biases of LoRA are not supported"},
        Feature{"modules_to_save", "modules trained as a whole are not supported"},
        Feature{"trainable_token_indices", "trained tokens of the embedding are not supported"},
        Feature{"target_parameters", "adapted parameters that are no modules are not supported"},
        Feature{"layer_replication", "replicated layers are not supported"},
        Feature{"megatron_config", "layers of Megatron are not supported"},
        Feature{"use_qalora", "QALoRA is not supported"},
        Feature{"alora_invocation_tokens", "activated LoRA is not supported"},
        Feature{"use_bdlora", "block-diagonal LoRA is not supported"},
        Feature{"arrow_config", "routed adapters are not supported"}}) {
    if (const Json* value = reader.find(feature.key); value != nullptr && is_set(*value)) {
      refuse(reader, feature.key, feature.what);
    }
  }
  const Json* initial = reader.find("init_lora_weights");
  if (initial != nullptr && initial->is_string()) {
    const std::string& how = initial->as_string();
    if (how.starts_with("pissa") || how == "olora" || how == "corda" || how == "lora_ga") {
      refuse(reader, "init_lora_weights", "an adapter begun by " + how + " belongs to changed weights of its model");
    }
  }
}

// A key of rank_pattern or alpha_pattern as a name. PEFT takes regular expressions; what people write there are names.
std::string pattern_name(const ConfigReader& reader, const std::string& key, const std::string& pattern) {
  std::string name;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const bool escaped_dot = pattern[i] == '\\' && i + 1 < pattern.size() && pattern[i + 1] == '.';
    i += escaped_dot ? 1 : 0;
    const bool anchor = pattern[i] == '^' && i == 0;
    if (!escaped_dot && !anchor && std::string_view("\\*+?()[]{}|$^").find(pattern[i]) != std::string_view::npos) {
      refuse(reader, key, "\"" + pattern.substr(0, 200) + "\" is a regular expression, only names are supported");
    }
    name += pattern[i];
  }
  return name;
}

const Json::Object& pattern_object(const ConfigReader& reader, const std::string& key) {
  static const Json::Object kNone;
  const Json* value = reader.find(key);
  if (value != nullptr && (!value->is_object() || value->as_object().size() > kMostPatterns)) {
    reader.fail(key, "must be an object of numbers");
  }
  return value == nullptr ? kNone : value->as_object();
}

void read_patterns(const ConfigReader& reader, AdapterConfig& config) {
  for (const auto& [pattern, value] : pattern_object(reader, "rank_pattern")) {
    if (!value.is_int() || value.as_int() < 1 || value.as_int() > ConfigReader::kMaxExtent) {
      reader.fail("rank_pattern", "must be an object of whole numbers above 0");
    }
    config.rank_pattern.emplace_back(pattern_name(reader, "rank_pattern", pattern), value.as_int());
  }
  for (const auto& [pattern, value] : pattern_object(reader, "alpha_pattern")) {
    if (!value.is_number() || !std::isfinite(value.as_double())) {
      reader.fail("alpha_pattern", "must be an object of numbers");
    }
    config.alpha_pattern.emplace_back(pattern_name(reader, "alpha_pattern", pattern), value.as_double());
  }
}

// A list of names. A text is "all-linear" or a regular expression: the tensors say which modules it chose.
std::vector<std::string> read_targets(const ConfigReader& reader) {
  std::vector<std::string> targets;
  const Json* value = reader.find("target_modules");
  if (value == nullptr || value->is_string()) {
    return targets;
  }
  if (!value->is_array()) {
    reader.fail("target_modules", "must be a list of names, or a text");
  }
  for (const Json& name : value->as_array()) {
    if (!name.is_string() || name.as_string().empty()) {
      reader.fail("target_modules", "must be a list of names, or a text");
    }
    targets.push_back(name.as_string());
  }
  return targets;
}

template <class Value>
Value value_of(const std::vector<std::pair<std::string, Value>>& patterns, const std::string& module, Value usual) {
  for (const auto& [name, value] : patterns) {
    if (AdapterConfig::names(name, module)) {
      return value;
    }
  }
  return usual;
}

}  // namespace

bool AdapterConfig::names(const std::string& name, const std::string& module) {
  if (name.starts_with('^')) {
    return module == name.substr(1);
  }
  return module == name || module.ends_with("." + name);
}

int64_t AdapterConfig::rank_of(const std::string& module) const {
  return value_of(rank_pattern, module, rank);
}

double AdapterConfig::scale_of(const std::string& module) const {
  const auto r = static_cast<double>(rank_of(module));
  return value_of(alpha_pattern, module, alpha) / (rank_stabilised ? std::sqrt(r) : r);
}

AdapterConfig parse_adapter_config(const std::filesystem::path& adapter_config_json) {
  const Json object = read_json_object(adapter_config_json);
  const ConfigReader reader(adapter_config_json.string(),
                            [&object](const std::string& key) { return object.find(key); });
  refuse_unsupported(reader);
  AdapterConfig config{.rank = reader.extent("r"),
                       .alpha = reader.positive("lora_alpha"),
                       .rank_stabilised = reader.boolean("use_rslora", false),
                       .rank_pattern = {},
                       .alpha_pattern = {},
                       .targets = read_targets(reader)};
  if (config.rank > ConfigReader::kMaxExtent) {
    reader.fail("r", "must be a whole number from 1 to " + std::to_string(ConfigReader::kMaxExtent));
  }
  read_patterns(reader, config);
  return config;
}

}  // namespace longship
