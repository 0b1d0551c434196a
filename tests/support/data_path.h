#pragma once

#include <filesystem>
#include <string>

namespace longship {

/// A file or folder of the project's own test data (tests/data).
std::filesystem::path data_path(const std::string& name);

}  // namespace longship
