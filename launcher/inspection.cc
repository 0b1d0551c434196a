#include "launcher/inspection.h"

#include <algorithm>
#include <initializer_list>

#include "core/error.h"
#include "engine/model/config_parse.h"
#include "engine/models/families.h"
#include "engine/weights/sources.h"

namespace longship {

namespace {

namespace fs = std::filesystem;

bool has_any(const Json& object, std::initializer_list<const char*> keys) {
  return std::any_of(keys.begin(), keys.end(), [&](const char* key) { return object.find(key) != nullptr; });
}

std::string json_kind(const fs::path& path) {
  const std::string name = path.filename();
  if (name == "config.json") return "config";
  if (name == "tokenizer.json") return "tokenizer";
  if (name.ends_with(".index.json")) return "index";
  const Json object = read_json_object(path);
  if (has_any(object, {"weight_map"})) return "index";
  if (has_any(object, {"added_tokens", "pre_tokenizer", "normalizer", "post_processor", "decoder"})) return "tokenizer";
  if (has_any(object, {"architectures", "model_type", "hidden_size", "n_embd", "num_hidden_layers", "vocab_size"}))
    return "config";
  if (has_any(object, {"model"})) return "tokenizer";
  throw Error(ErrorKind::kModelFile, path.string() + ": is neither a config.json, a tokenizer.json nor an index",
              "Give one of these, a model folder, a GGUF or a safetensors file.");
}

Inspection inspect_json(const fs::path& path) {
  Inspection result;
  result.kind = json_kind(path);
  if (result.kind == "config") {
    result.config = parse_hf_config(path);
  } else if (result.kind == "index") {
    result.weights = open_safetensors_index(path);
  } else {
    result.tokenizer = Tokenizer::from_json(path);
  }
  return result;
}

Inspection inspect_model(const fs::path& path, std::span<const MetadataOverride> overrides) {
  const Checkpoint checkpoint = open_checkpoint(path, overrides);
  check_model(checkpoint.config, *checkpoint.weights);
  Inspection result{.kind = "model",
                    .config = checkpoint.config,
                    .weights = checkpoint.weights,
                    .gguf = checkpoint.gguf,
                    .tokenizer = nullptr};
  if (checkpoint.gguf != nullptr) {
    result.tokenizer = Tokenizer::from_gguf(*checkpoint.gguf);
  } else if (fs::is_regular_file(path / "tokenizer.json")) {
    result.tokenizer = Tokenizer::from_json(path / "tokenizer.json");
  }
  return result;
}

// A GGUF file that holds a vocabulary alone is a tokenizer.
Inspection inspect_gguf(const fs::path& path, std::span<const MetadataOverride> overrides) {
  const auto gguf = GgufFile::open(path, overrides);
  if (!gguf->tensors().empty()) {
    return inspect_model(path, overrides);
  }
  return {.kind = "tokenizer",
          .config = std::nullopt,
          .weights = nullptr,
          .gguf = gguf,
          .tokenizer = Tokenizer::from_gguf(*gguf)};
}

}  // namespace

Inspection inspect_path(const fs::path& path, std::span<const MetadataOverride> overrides) {
  std::error_code unknown;
  if (fs::is_directory(path, unknown) || !fs::exists(path, unknown)) {  // it says what is missing
    return inspect_model(path, overrides);
  }
  if (path.extension() == ".safetensors") {
    Inspection result;
    result.kind = "safetensors";
    result.weights = open_safetensors(path);
    return result;
  }
  return path.extension() == ".json" ? inspect_json(path) : inspect_gguf(path, overrides);
}

}  // namespace longship
