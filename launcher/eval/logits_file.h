#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace longship {

/// Writes a safetensors file of f32 matrices whose number is known only at the end: rows are staged on the disk as they
/// come and copied behind the header by finish(). Not synchronised. Errors: kUsage if the file cannot be written.
class LogitsFile {
 public:
  explicit LogitsFile(std::filesystem::path path);
  ~LogitsFile();
  LogitsFile(const LogitsFile&) = delete;
  LogitsFile& operator=(const LogitsFile&) = delete;

  /// A new matrix [rows, columns]; returns its handle.
  std::size_t add(std::string name, int64_t rows, int64_t columns);
  /// Stores whole rows from `first_row` on.
  void write(std::size_t matrix, int64_t first_row, std::span<const float> rows);
  /// The matrix will not be in the file.
  void drop(std::size_t matrix) { matrices_[matrix].dropped = true; }
  /// Makes the file appear under its name.
  void finish();

 private:
  struct Matrix {
    std::string name;
    int64_t rows = 0;
    int64_t columns = 0;
    int64_t offset = 0;  ///< In the staging file.
    bool dropped = false;

    int64_t bytes() const { return rows * columns * static_cast<int64_t>(sizeof(float)); }
  };
  std::string header() const;
  void copy_staged(int target) const;
  [[noreturn]] void fail() const;

  std::filesystem::path path_;
  int staging_ = -1;
  int64_t staged_bytes_ = 0;
  std::vector<Matrix> matrices_;
};

}  // namespace longship
