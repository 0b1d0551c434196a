#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
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
  /// Metadata value: integers are integer, floats are number, arrays are arrays; nullptr if absent.
  const Json* find(std::string_view key) const;
  /// All metadata in file order.
  const Json::Object& metadata() const;
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
