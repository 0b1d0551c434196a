#include "launcher/options/settings_file.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <utility>

#include "core/error.h"

namespace longship {

namespace {

constexpr std::size_t kMostBytes = std::size_t{1} << 20U;

constexpr const char* kRemedy = "Write one long option a line without its dashes, such as \"max-model-len: 4096\".";

[[noreturn]] void refuse(const std::string& place, const std::string& rule) {
  throw Error(ErrorKind::kUsage, "configuration " + place + ": " + rule, kRemedy);
}

std::string line_of(const std::filesystem::path& file, const YAML::Mark& mark) {
  return file.native() + (mark.line < 0 ? std::string() : " line " + std::to_string(mark.line + 1));
}

std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kMostBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (!file.is_open() || file.bad() || std::filesystem::is_directory(path)) {
    refuse(path.native(), "the file cannot be read");
  }
  if (text.size() > kMostBytes) {
    refuse(path.native(), "the file is larger than 1 MiB");
  }
  return text;
}

std::string value_of(const YAML::Node& node, const std::string& place) {
  if (!node.IsScalar()) {
    refuse(place, "a value is a word, a number, a text in quotes, or a list of those");
  }
  return node.Scalar();
}

std::vector<std::string> values_of(const YAML::Node& node, const std::string& place) {
  if (!node.IsSequence()) {
    return {value_of(node, place)};
  }
  std::vector<std::string> values;
  for (const YAML::Node& value : node) {
    values.push_back(value_of(value, place));
  }
  return values;
}

}  // namespace

std::vector<Setting> read_settings(const std::filesystem::path& file) {
  YAML::Node root;
  try {
    root = YAML::Load(read_text(file));
  } catch (const YAML::Exception& error) {  // also for a nesting of more than 500 levels
    refuse(line_of(file, error.mark), error.msg);
  }
  if (root.IsNull()) {
    return {};
  }
  if (!root.IsMap()) {
    refuse(line_of(file, root.Mark()), "it is not a mapping");
  }
  std::vector<Setting> settings;
  std::set<std::string> names;
  for (const auto& entry : root) {
    const std::string place = line_of(file, entry.first.Mark());
    if (!entry.first.IsScalar()) {
      refuse(place, "a key is the name of an option");
    }
    std::string name = entry.first.Scalar();
    std::replace(name.begin(), name.end(), '_', '-');
    if (!names.insert(name).second) {
      refuse(place, name + " is there a second time");
    }
    std::vector<std::string> values = values_of(entry.second, place + ": " + name);
    if (!values.empty()) settings.push_back({name, std::move(values), place});  // an empty list says nothing
  }
  return settings;
}

}  // namespace longship
