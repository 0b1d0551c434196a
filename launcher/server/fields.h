#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace longship {

/// Typed members of a request's body. A member that is absent or null is not there; one of another type or outside its
/// range throws an ApiError (400) that names it. Remembers what it was asked for, so one thread uses it.
class Fields {
 public:
  /// `object` outlives this. `prefix` stands before the names in messages.
  explicit Fields(const Json& object, std::string prefix = {}) : object_(object), prefix_(std::move(prefix)) {}

  /// Null is not there.
  const Json* find(std::string_view key) const;
  /// It is there, if only as null.
  bool has(std::string_view key) const { return member(key) != nullptr; }
  std::optional<bool> flag(std::string_view key) const;
  std::optional<int64_t> integer(std::string_view key, int64_t least, int64_t most) const;
  std::optional<double> number(std::string_view key, double least, double most) const;
  std::optional<std::string> text(std::string_view key) const;
  /// A string, or an array of strings.
  std::vector<std::string> texts(std::string_view key, std::size_t most) const;
  /// An array of token ids of a vocabulary of `vocab`.
  std::vector<int32_t> ids(std::string_view key, int64_t vocab) const;

  /// Names of the members that are there and were not asked for yet. `object` is an object.
  std::vector<std::string> unread() const;

  [[noreturn]] void fail(std::string_view key, const std::string& rule) const;

 private:
  const Json* member(std::string_view key) const;

  const Json& object_;
  std::string prefix_;
  mutable std::set<std::string, std::less<>> asked_;
};

}  // namespace longship
