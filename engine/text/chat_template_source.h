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

/// The same of the template named tool_use, which some models have for chats with functions: of a GGUF file
/// (tokenizer.chat_template.tool_use), or a model folder (additional_chat_templates/tool_use.jinja, else
/// tokenizer_config.json). Errors: kModelFile.
std::optional<std::string> find_tools_template(const std::filesystem::path& path,
                                               std::span<const MetadataOverride> overrides = {});

}  // namespace longship
