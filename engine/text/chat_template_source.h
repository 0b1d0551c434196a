#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "engine/weights/gguf.h"

namespace longship {

/// The source of a model's chat template: of a GGUF file (tokenizer.chat_template), a model folder
/// (chat_template.jinja, else tokenizer_config.json), or the file itself if it is a template. Nothing if it has none.
/// Errors: kModelFile.
std::optional<std::string> find_chat_template(const std::filesystem::path& path,
                                              std::span<const MetadataOverride> overrides = {});

}  // namespace longship
