#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/dtype.h"
#include "core/json.h"

namespace longship {

/// `--override-kv KEY=VALUE`: replaces a metadata value after reading. The text VALUE takes the type of
/// the value that it replaces; for a new key: true/false, an integer, a number, else a string.
struct MetadataOverride {
  std::string key;
  std::string value;
};

/// One tensor of a GGUF file. `shape` is outermost dimension first (rows, columns), the reverse of the file.
struct GgufTensor {
  std::string name;
  uint32_t ggml_type = 0;  ///< As in the file; may be a type that no DType stands for.
  std::vector<int64_t> shape;
  uint64_t offset = 0;  ///< From the beginning of the file.
  uint64_t bytes = 0;
};

/// An array of the metadata as it lies in the mapped file, which outlives it. Checked when the file was opened.
class GgufArray {
 public:
  GgufArray(uint32_t type, uint64_t count, std::span<const std::byte> items)
      : type_(type), count_(count), items_(items) {}

  int64_t size() const { return static_cast<int64_t>(count_); }
  /// All items; nothing if they are not strings.
  std::optional<std::vector<std::string_view>> strings() const;
  /// All items; nothing if they are not integers.
  std::optional<std::vector<int64_t>> integers() const;

 private:
  uint32_t type_;
  uint64_t count_;
  std::span<const std::byte> items_;
};

/// A mapped GGUF file, version 2 or 3 (format: ggml-org/ggml docs/gguf.md). Immutable once open, so
/// any thread may read. Everything in it was checked against the bytes that are there.
class GgufFile {
 public:
  /// Errors: kModelFile naming the file, the offset or key, and the rule.
  static std::shared_ptr<const GgufFile> open(const std::filesystem::path& path,
                                              std::span<const MetadataOverride> overrides = {});
  ~GgufFile();

  const std::filesystem::path& path() const;
  uint32_t version() const;
  /// Metadata value: integers are integer, floats are number, arrays are arrays; nullptr if absent. Arrays too long for
  /// settings are empty here: vocabularies are read by find_array().
  const Json* find(std::string_view key) const;
  /// nullptr if absent or not an array.
  const GgufArray* find_array(std::string_view key) const;
  std::span<const GgufTensor> tensors() const;
  const GgufTensor* find_tensor(std::string_view name) const;
  /// The whole file as mapped.
  std::span<const std::byte> bytes() const;

 private:
  struct Impl;
  explicit GgufFile(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace longship
