#include "launcher/options/model_name.h"

#include <filesystem>

namespace longship {

std::string model_name(const std::string& model) {
  const std::filesystem::path path = std::filesystem::path(model).lexically_normal();
  return (path.has_filename() ? path : path.parent_path()).filename().native();
}

}  // namespace longship
