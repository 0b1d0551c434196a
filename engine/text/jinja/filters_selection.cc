// map, select, reject and their forms for attributes.
#include "engine/text/jinja/filters.h"

namespace longship::jinja {

namespace {

// What is false has no elements here, as in Jinja: None, too.
Items elements(const Value& value) {
  return value.truthy() ? iterate(value) : Items();
}

Value map(const FilterCall& call) {
  Items items;
  Arguments rest = call.arguments;
  Value path = Undefined{};
  Value fallback = Undefined{};
  for (const auto& [keyword, value] : call.arguments.keywords) {
    (keyword == "attribute" ? path : fallback) = value;
  }
  if (!path.is_undefined()) {
    for (const Value& element : elements(call.value)) {
      Value found = value_at(call.runtime, element, path);
      items.push_back(found.is_undefined() && !fallback.is_undefined() ? fallback : std::move(found));
    }
    return Value::sequence(SequenceKind::kGenerator, std::move(items));
  }
  if (rest.positional.empty() || !rest.positional[0].is_string()) {
    throw TemplateError("map needs the name of a filter or an attribute");
  }
  const std::string name = rest.positional[0].as_string();
  rest.positional.erase(rest.positional.begin());
  if (!has_filter(name)) {
    throw TemplateError("no filter named '" + name + "'");
  }
  for (const Value& element : elements(call.value)) {
    items.push_back(apply_filter(call.runtime, name, element, rest));
  }
  return Value::sequence(SequenceKind::kGenerator, std::move(items));
}

Value select(const FilterCall& call, bool by_attribute, bool keep) {
  Arguments rest = call.arguments;
  Value path = Undefined{};
  if (by_attribute) {
    if (rest.positional.empty()) {
      throw TemplateError("selectattr needs the name of an attribute");
    }
    path = rest.positional[0];
    rest.positional.erase(rest.positional.begin());
  }
  std::string test;
  if (!rest.positional.empty()) {
    test = text_of(rest.positional[0]);
    rest.positional.erase(rest.positional.begin());
    if (!has_test(test)) {
      throw TemplateError("no test named '" + test + "'");
    }
  }
  Items items;
  for (const Value& element : elements(call.value)) {
    const Value value = by_attribute ? value_at(call.runtime, element, path) : element;
    if ((test.empty() ? value.truthy() : apply_test(call.runtime, test, value, rest)) == keep) {
      items.push_back(element);
    }
  }
  return Value::sequence(SequenceKind::kGenerator, std::move(items));
}

}  // namespace

std::span<const Filter> selection_filters() {
  static const Filter kFilters[] = {
      {"map", {}, map, true},
      {"select", {}, [](const FilterCall& c) { return select(c, false, true); }, true},
      {"reject", {}, [](const FilterCall& c) { return select(c, false, false); }, true},
      {"selectattr", {}, [](const FilterCall& c) { return select(c, true, true); }, true},
      {"rejectattr", {}, [](const FilterCall& c) { return select(c, true, false); }, true},
  };
  return kFilters;
}

}  // namespace longship::jinja
