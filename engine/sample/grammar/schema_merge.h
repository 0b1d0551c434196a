#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace longship {

/// What the words of JSON schemas mean to each other: references, allOf, and keywords beside them.
class SchemaMerge {
 public:
  /// `root` outlives this.
  explicit SchemaMerge(const Json& root) : root_(root) {}

  /// The schema without $ref and allOf: one object (or true, or false) with the keywords of all of them. Errors: kUsage
  /// for keywords that cannot be joined, references that lead nowhere or to themselves, and merging without end.
  Json flat(const Json& schema);
  /// A schema for what is described by both.
  Json both(const Json& a, const Json& b);
  /// What "#", "#/$defs/name", ... stands for.
  const Json& target(std::string_view reference) const;

 private:
  void spend(const Json& schema);
  void add_rest(Json& result, const std::string& word, const Json& rest);

  const Json& root_;
  int64_t spent_ = 0;
  int depth_ = 0;
};

[[noreturn]] void refuse_schema(const std::string& rule);

/// Whether the keyword only describes: it changes nothing.
bool is_annotation(std::string_view keyword);

/// A schema of nothing but a reference and words about it.
const Json* plain_reference(const Json& schema);

}  // namespace longship
