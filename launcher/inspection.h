#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "engine/model/checkpoint.h"
#include "engine/text/tokenizer.h"

namespace longship {

/// What a file or folder was found to be, all of it checked as when it is loaded.
struct Inspection {
  std::string kind;  ///< "model", "safetensors", "index", "config" or "tokenizer".
  std::optional<ModelConfig> config;
  std::shared_ptr<WeightSource> weights;
  std::shared_ptr<const GgufFile> gguf;
  std::shared_ptr<const Tokenizer> tokenizer;
};

/// PATH is a model folder, a GGUF, a safetensors file, an index, a config.json or a tokenizer.json; JSON files are told
/// apart by name, else by what they hold. Errors: kModelFile naming the file.
Inspection inspect_path(const std::filesystem::path& path, std::span<const MetadataOverride> overrides);

}  // namespace longship
