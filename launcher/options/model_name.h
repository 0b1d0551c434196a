#pragma once

#include <string>

namespace longship {

/// What people call a model: the last part of the path of its file or folder.
std::string model_name(const std::string& model);

}  // namespace longship
