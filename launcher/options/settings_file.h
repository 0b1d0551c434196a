#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace longship {

/// A value for an option that stands elsewhere than on the command line.
struct Setting {
  std::string name;                 ///< The option's long name without dashes: "max-model-len".
  std::vector<std::string> values;  ///< Several for an option that may be repeated.
  std::string place;                ///< Where it stands: "serve.yaml line 3".
};

/// The settings of a YAML file, in its order: a mapping from long names of options ('-' or '_' between their words) to
/// a value or a list of values. Errors: kUsage, with the line, for a file that is not that.
std::vector<Setting> read_settings(const std::filesystem::path& file);

}  // namespace longship
