#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "core/json.h"

namespace longship {

/// A test with a folder of its own.
class BatchFiles : public testing::Test {
 protected:
  BatchFiles() : folder_(std::filesystem::path(testing::TempDir()) / ("batch_test_" + std::to_string(getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~BatchFiles() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path put(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return folder_ / name;
  }
  std::string get(const std::string& name) const {
    std::ostringstream text;
    text << std::ifstream(folder_ / name, std::ios::binary).rdbuf();
    return text.str();
  }
  /// The custom_ids of a file of answers, in its order.
  std::vector<std::string> ids(const std::string& name) const {
    std::istringstream lines(get(name));
    std::vector<std::string> result;
    for (std::string line; std::getline(lines, line);) {
      const auto parsed = parse_json(line);
      EXPECT_TRUE(std::holds_alternative<Json>(parsed)) << line;
      if (const Json* json = std::get_if<Json>(&parsed)) result.push_back(json->find("custom_id")->as_string());
    }
    return result;
  }

  std::filesystem::path folder_;
};

}  // namespace longship
