#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <unordered_map>

#include "core/error.h"
#include "core/json.h"

namespace longship {

/// A line of a batch, as the OpenAI API has them: {"custom_id", "method", "url", "body"}.
struct BatchLine {
  int64_t number = 0;  ///< From 1.
  std::string custom_id;
  Json request;  ///< The whole line.
};

/// Reads the lines of a batch one after the other. Empty lines are left out.
class BatchInput {
 public:
  /// Errors: kUsage if it is no file that can be read.
  explicit BatchInput(std::filesystem::path file);

  /// The next line. Errors: kUsage, with its number, for one that is no JSON object, has no custom_id or is longer than
  /// 16 MiB.
  std::optional<BatchLine> next();
  void rewind();
  const std::filesystem::path& file() const { return file_; }

 private:
  std::optional<std::string> next_text();
  void skip_line();
  Error line_error(const std::string& rule) const;

  std::filesystem::path file_;
  std::ifstream stream_;
  int64_t number_ = 0;
};

/// The number of the line of each custom_id. Reads all lines. Errors: kUsage, naming the first lines that cannot be
/// answered: those that next() refuses, and custom_ids that were there before.
std::unordered_map<std::string, int64_t> check_batch(BatchInput& input);

}  // namespace longship
