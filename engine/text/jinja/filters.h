#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "engine/text/jinja/runtime.h"

namespace longship::jinja {

/// A filter: the value, its arguments bound by name (Undefined where missing), and, for map, select and the like, all
/// arguments as they were given.
struct FilterCall {
  Runtime& runtime;
  const Value& value;
  const Items& bound;
  const Arguments& arguments;
};

struct Filter {
  std::string_view name;
  std::vector<std::string_view> parameters;
  Value (*apply)(const FilterCall& call);
  bool any_arguments = false;  ///< Arguments are not bound by name.
};

std::span<const Filter> text_filters();
std::span<const Filter> number_filters();
std::span<const Filter> sequence_filters();
std::span<const Filter> selection_filters();

/// The value at a path of attributes and indices: "a.b.0".
Value value_at(Runtime& runtime, const Value& value, const Value& path);
/// Strings in lower case, for comparisons that ignore case.
Value fold_case(const Value& value);
/// The text of any value, as filters on strings see it.
std::string text_of(const Value& value);

}  // namespace longship::jinja
