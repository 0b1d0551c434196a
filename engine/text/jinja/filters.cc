#include "engine/text/jinja/filters.h"

#include <algorithm>

#include "engine/text/jinja/strings.h"

namespace longship::jinja {

namespace {

const Filter* find(std::string_view name) {
  for (const auto& filters : {text_filters(), number_filters(), sequence_filters(), selection_filters()}) {
    const auto found = std::find_if(filters.begin(), filters.end(), [&](const Filter& f) { return f.name == name; });
    if (found != filters.end()) {
      return &*found;
    }
  }
  return nullptr;
}

int64_t volume(const Value& value) {
  if (value.is_string()) {
    return static_cast<int64_t>(value.as_string().size());
  }
  return value.is_sequence() ? static_cast<int64_t>(value.as_sequence().items.size()) : 0;
}

}  // namespace

bool has_filter(std::string_view name) {
  return find(name) != nullptr;
}

Value apply_filter(Runtime& runtime, const std::string& name, const Value& value, const Arguments& arguments) {
  const Filter* filter = find(name);
  if (filter == nullptr) {
    throw TemplateError("no filter named '" + name + "'");
  }
  runtime.charge(volume(value));
  const Items bound = filter->any_arguments ? Items() : bind(name, filter->parameters, arguments);
  Value result = filter->apply({runtime, value, bound, arguments});
  runtime.check_size(volume(result));
  return result;
}

Value value_at(Runtime& runtime, const Value& value, const Value& path) {
  if (!path.is_string()) {
    return item(runtime, value, path);
  }
  Value result = value;
  std::string_view rest = path.as_string();
  for (bool more = true; more;) {
    const std::size_t dot = rest.find('.');
    const std::string_view part = rest.substr(0, dot);
    more = dot != std::string_view::npos;
    rest.remove_prefix(more ? dot + 1 : 0);
    const bool number = !part.empty() && part.size() < 10 &&
                        std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
    result = item(runtime, result, number ? Value(static_cast<int64_t>(std::stoll(std::string(part)))) : Value(part));
  }
  return result;
}

Value fold_case(const Value& value) {
  return value.is_string() ? Value(lower(value.as_string())) : value;
}

std::string text_of(const Value& value) {
  return to_string(value);
}

}  // namespace longship::jinja
