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

// A string, or a list of {name, template} of which "default" counts.
std::optional<std::string> from_config(const std::filesystem::path& path) {
  auto parsed = parse_json(read_text(path));
  if (const auto* error = std::get_if<JsonError>(&parsed)) {
    throw model_file_error(path.string(), "offset " + std::to_string(error->offset), error->rule);
  }
  const Json* value = std::get<Json>(parsed).find("chat_template");
  if (value == nullptr || value->is_null()) {
    return std::nullopt;
  }
  if (value->is_string()) {
    return value->as_string();
  }
  if (value->is_array()) {
    for (const Json& entry : value->as_array()) {
      const Json* name = entry.find("name");
      const Json* source = entry.find("template");
      if (name != nullptr && *name == Json("default") && source != nullptr && source->is_string()) {
        return source->as_string();
      }
    }
  }
  throw model_file_error(path.string(), "chat_template", "must be a string, or a list with one named default");
}

std::optional<std::string> from_gguf(const GgufFile& file) {
  const Json* value = file.find("tokenizer.chat_template");
  if (value != nullptr && !value->is_string()) {
    throw model_file_error(file.path().string(), "tokenizer.chat_template", "must be a string");
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
    return is_gguf(path) || path.extension() == ".gguf" ? from_gguf(*GgufFile::open(path, overrides)) : read_text(path);
  }
  if (fs::is_regular_file(path / "chat_template.jinja")) {
    return read_text(path / "chat_template.jinja");
  }
  if (fs::is_regular_file(path / "tokenizer_config.json")) {
    return from_config(path / "tokenizer_config.json");
  }
  return std::nullopt;
}

}  // namespace longship
