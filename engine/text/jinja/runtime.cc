#include "engine/text/jinja/runtime.h"

#include <algorithm>

namespace longship::jinja {

void Runtime::charge(int64_t volume) {
  steps_ += 1 + volume / 64;
  if (steps_ > limits_.steps) {
    throw TemplateError("the template takes too many steps");
  }
}

void Runtime::check_size(int64_t volume) {
  if (volume > limits_.output_bytes) {
    throw TemplateError("a value is too large");
  }
  charge(volume);
}

void Runtime::enter_call() {
  if (++calls_ > limits_.calls) {
    --calls_;
    throw TemplateError("maximum recursion depth exceeded");
  }
}

void Runtime::release() {
  for (const std::weak_ptr<Object>& weak : objects_) {
    if (const auto object = weak.lock()) {
      object->attributes.clear();
      object->call = nullptr;
      object->attribute = nullptr;
    }
  }
}

Items bind(const std::string& function, const std::vector<std::string_view>& names, const Arguments& arguments) {
  if (arguments.positional.size() > names.size()) {
    throw TemplateError(function + "() takes at most " + std::to_string(names.size()) + " arguments");
  }
  Items bound(names.size(), Value(Undefined{}));
  std::copy(arguments.positional.begin(), arguments.positional.end(), bound.begin());
  for (const auto& [keyword, value] : arguments.keywords) {
    const auto name = std::find(names.begin(), names.end(), keyword);
    if (name == names.end()) {
      throw TemplateError(function + "() got an unexpected keyword argument '" + keyword + "'");
    }
    bound[static_cast<std::size_t>(name - names.begin())] = value;
  }
  return bound;
}

}  // namespace longship::jinja
