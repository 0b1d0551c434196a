#include "launcher/options/adapter_option.h"

#include <algorithm>

#include "core/error.h"
#include "core/json.h"

namespace longship {

namespace {

[[noreturn]] void refuse(const std::string& cause) {
  throw Error(ErrorKind::kUsage, "--lora-modules " + cause,
              "For example: longship serve MODEL --lora-modules sql=adapters/sql law=adapters/law");
}

AdapterOption parse_object(const std::string& text) {
  const auto parsed = parse_json(text);
  const Json* object = std::get_if<Json>(&parsed);
  AdapterOption adapter;
  if (object == nullptr || !object->is_object()) {
    refuse("\"" + text + "\" is not JSON");
  }
  for (const auto& [key, value] : object->as_object()) {
    if ((key != "name" && key != "path" && key != "base_model_name") || !value.is_string()) {
      refuse("needs texts as name and path, and has no \"" + key + "\" of another kind");
    }
    if (key == "name") adapter.name = value.as_string();
    if (key == "path") adapter.path = value.as_string();
  }
  return adapter;
}

}  // namespace

AdapterOption parse_adapter(const std::string& text) {
  const std::size_t equals = text.find('=');
  const bool object = text.starts_with('{');
  if (!object && equals == std::string::npos) {
    refuse("\"" + text + "\" is not NAME=PATH (the model stands before the adapters)");
  }
  AdapterOption adapter = object
                              ? parse_object(text)
                              : AdapterOption{text.substr(0, equals), std::filesystem::path(text.substr(equals + 1))};
  if (adapter.name.empty() || adapter.path.empty() || adapter.name.find('=') != std::string::npos) {
    refuse("\"" + text + "\" needs a name, without =, and a path");
  }
  return adapter;
}

void check_adapter_names(std::span<const AdapterOption> adapters, std::span<const std::string> models) {
  std::vector<std::string> names(models.begin(), models.end());
  for (const AdapterOption& adapter : adapters) {
    if (std::find(names.begin(), names.end(), adapter.name) != names.end()) {
      refuse("gives an adapter the name \"" + adapter.name + "\", which is that of another one or of the model");
    }
    names.push_back(adapter.name);
  }
}

}  // namespace longship
