#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "core/json.h"

namespace longship {

/// The object that a file of JSON holds. Errors: kModelFile.
Json read_json_object(const std::filesystem::path& path);

/// Typed, range-checked look-ups in a configuration. A key that is absent or null takes the default, or is an error
/// where there is none; errors are kModelFile naming file and key.
class ConfigReader {
 public:
  using Find = std::function<const Json*(const std::string& key)>;

  /// `prefix` stands before every key in look-ups and messages.
  ConfigReader(std::string file, Find find, std::string prefix = {})
      : file_(std::move(file)), find_(std::move(find)), prefix_(std::move(prefix)) {}

  /// The value breaks a rule.
  [[noreturn]] void fail(const std::string& key, std::string_view rule) const;
  /// It is sound, and not supported.
  [[noreturn]] void refuse(const std::string& key, std::string_view what) const;
  bool has(const std::string& key) const { return find(key) != nullptr; }
  /// A whole number from 1 to kMaxExtent.
  int64_t extent(const std::string& key, std::optional<int64_t> fallback = std::nullopt) const;
  /// A finite number above 0.
  double positive(const std::string& key, std::optional<double> fallback = std::nullopt) const;
  bool boolean(const std::string& key, bool fallback) const;
  std::string string(const std::string& key, std::optional<std::string> fallback = std::nullopt) const;
  /// Token ids below `vocab`: a number or a list of numbers; empty if absent.
  std::vector<int32_t> token_ids(const std::string& key, int64_t vocab) const;
  /// Null if absent or null.
  const Json* find(const std::string& key) const;
  const std::string& file() const { return file_; }

  /// No dimension of a model is larger; products of three fit 63 bits.
  static constexpr int64_t kMaxExtent = int64_t{1} << 20;
  static constexpr int64_t kMaxVocab = int64_t{1} << 24;

 private:
  std::string file_;
  Find find_;
  std::string prefix_;
};

}  // namespace longship
