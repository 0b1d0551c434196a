#pragma once

#include <filesystem>

#include "engine/model/config.h"
#include "engine/model/config_reader.h"
#include "engine/weights/gguf.h"

namespace longship {

/// Configuration from a Hugging Face config.json, in the spelling of transformers 4 or 5; beside it, if there, a
/// generation_config.json. Errors: kModelFile naming file and key.
ModelConfig parse_hf_config(const std::filesystem::path& config_json);

/// Configuration from the metadata of a GGUF file and the shapes of its tensors. Errors: kModelFile naming the key.
ModelConfig parse_gguf_config(const GgufFile& file);

/// What both have in common: heads divide, products fit, rotary pairs are whole.
void check_config(const ModelConfig& config, const ConfigReader& reader, const std::string& heads_key,
                  const std::string& kv_heads_key);

}  // namespace longship
