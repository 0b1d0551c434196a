#pragma once

#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/json.h"
#include "tests/support/data_path.h"

namespace longship::testing {

using longship::data_path;

/// Third-party fixtures that are not part of the repository: the folder named by LONGSHIP_FIXTURES, if it is there.
inline std::optional<std::filesystem::path> third_party_fixtures() {
  const char* folder = std::getenv("LONGSHIP_FIXTURES");
  return folder != nullptr && std::filesystem::is_directory(folder) ? std::optional<std::filesystem::path>(folder)
                                                                    : std::nullopt;
}

/// The device that suites run on instead of the CPU ("cuda", "cuda-emulated"), by LONGSHIP_TEST_DEVICE; usually empty.
inline std::string test_device() {
  const char* device = std::getenv("LONGSHIP_TEST_DEVICE");
  return device != nullptr ? device : "";
}

/// The same, for tests of CUDA devices: those of the emulator unless it names others.
inline std::string cuda_test_device() {
  return test_device().empty() ? "cuda-emulated" : test_device();
}

/// The default model in the user's cache (scripts/fetch-model), or an empty path.
inline std::filesystem::path cached_default_model() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  const std::filesystem::path root = cache != nullptr && *cache != '\0'
                                         ? std::filesystem::path(cache)
                                         : std::filesystem::path(home != nullptr ? home : "") / ".cache";
  const auto path = root / "longship/models/SmolLM2-135M-Instruct.Q4_1.gguf";
  return std::filesystem::exists(path) ? path : std::filesystem::path();
}

/// The values of a file of one JSON value a line. Throws if there are none, so that no test passes for want of cases.
inline std::vector<Json> read_jsonl(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::vector<Json> lines;
  for (std::string line; std::getline(file, line);) {
    lines.push_back(std::get<Json>(parse_json(line)));
  }
  if (lines.empty()) {
    throw std::runtime_error(path.string() + " has no cases");
  }
  return lines;
}

}  // namespace longship::testing
