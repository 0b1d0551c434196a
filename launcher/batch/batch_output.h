#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <unordered_set>

#include "core/json.h"

namespace longship {

/// The answers of a batch, a line each, in a file that survives the end of its writer at any moment: what a kill left
/// of a line is taken off when the file is opened again, and whole lines are known as done.
class BatchOutput {
 public:
  /// How every line begins.
  static constexpr std::string_view kBegin = R"({"id": "batch_req_)";

  /// Opens the file, or makes it, and keeps other writers out while this lives. Errors: kUsage if it cannot be written,
  /// is written by another process, or has something else in it than answers of a batch: then it is left as it was.
  explicit BatchOutput(std::filesystem::path file);
  ~BatchOutput();
  BatchOutput(const BatchOutput&) = delete;
  BatchOutput& operator=(const BatchOutput&) = delete;

  const std::filesystem::path& file() const { return file_; }
  /// custom_ids of the lines that were there when it was opened.
  const std::unordered_set<std::string>& done() const { return done_; }
  /// Bytes that were taken off the end.
  int64_t torn_bytes() const { return torn_bytes_; }

  /// Adds an answer, which begins with `kBegin` as text, by one write. Errors: kUsage; then nothing of it is left.
  void write(const Json& answer);

 private:
  void lock();
  int64_t read_done();
  void take_off(int64_t size);

  std::filesystem::path file_;
  int fd_ = -1;
  std::unordered_set<std::string> done_;
  int64_t torn_bytes_ = 0;
};

}  // namespace longship
