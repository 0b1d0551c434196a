#include "engine/text/chat_template_source.h"

#include <cstring>

#include "core/error.h"
#include "engine/weights/mapped_file.h"

namespace longship {

namespace {

std::string read_text(const std::filesystem::path& path) {
  const MappedFile file(path);
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

// Null if there is none.
Json config_value(const std::filesystem::path& path) {
  auto parsed = parse_json(read_text(path));
  if (const auto* error = std::get_if<JsonError>(&parsed)) {
    throw model_file_error(path.string(), "offset " + std::to_string(error->offset), error->rule);
  }
  const Json* value = std::get<Json>(parsed).find("chat_template");
  return value == nullptr ? Json() : *value;
}

// Of a list of {name, template}.
std::optional<std::string> named_template(const Json& list, const char* wanted) {
  for (const Json& entry : list.as_array()) {
    const Json* name = entry.find("name");
    const Json* source = entry.find("template");
    if (name != nullptr && *name == Json(wanted) && source != nullptr && source->is_string()) {
      return source->as_string();
    }
  }
  return std::nullopt;
}

// A string, or a list of which "default" counts.
std::optional<std::string> from_config(const std::filesystem::path& path) {
  const Json value = config_value(path);
  if (value.is_null()) {
    return std::nullopt;
  }
  if (value.is_string()) {
    return value.as_string();
  }
  std::optional<std::string> source = value.is_array() ? named_template(value, "default") : std::nullopt;
  if (!source) {
    throw model_file_error(path.string(), "chat_template", "must be a string, or a list with one named default");
  }
  return source;
}

std::optional<std::string> from_gguf(const GgufFile& file, const char* key) {
  const Json* value = file.find(key);
  if (value != nullptr && !value->is_string()) {
    throw model_file_error(file.path().string(), key, "must be a string");
  }
  return value != nullptr ? std::optional(value->as_string()) : std::nullopt;
}

bool is_gguf(const std::filesystem::path& path) {
  const MappedFile file(path);
  return file.bytes().size() >= 4 && std::memcmp(file.bytes().data(), "GGUF", 4) == 0;
}

}  // namespace

std::optional<std::string> find_chat_template(const std::filesystem::path& path,
                                              std::span<const MetadataOverride> overrides) {
  namespace fs = std::filesystem;
  if (!fs::is_directory(path)) {
    return is_gguf(path) || path.extension() == ".gguf"
               ? from_gguf(*GgufFile::open(path, overrides), "tokenizer.chat_template")
               : read_text(path);
  }
  if (fs::is_regular_file(path / "chat_template.jinja")) {
    return read_text(path / "chat_template.jinja");
  }
  if (fs::is_regular_file(path / "tokenizer_config.json")) {
    return from_config(path / "tokenizer_config.json");
  }
  return std::nullopt;
}

std::optional<std::string> find_tools_template(const std::filesystem::path& path,
                                               std::span<const MetadataOverride> overrides) {
  namespace fs = std::filesystem;
  if (!fs::is_directory(path)) {
    return from_gguf(*GgufFile::open(path, overrides), "tokenizer.chat_template.tool_use");
  }
  const fs::path file = path / "additional_chat_templates" / "tool_use.jinja";
  if (fs::is_regular_file(file)) {
    return read_text(file);
  }
  if (fs::is_regular_file(path / "chat_template.jinja") || !fs::is_regular_file(path / "tokenizer_config.json")) {
    return std::nullopt;
  }
  const Json value = config_value(path / "tokenizer_config.json");
  return value.is_array() ? named_template(value, "tool_use") : std::nullopt;
}

}  // namespace longship
