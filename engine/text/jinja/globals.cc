#include <algorithm>
#include <ctime>

#include "engine/text/jinja/runtime.h"

namespace longship::jinja {

namespace {

Value range(Runtime& runtime, Arguments& arguments) {
  constexpr int64_t kMost = 100'000;
  const Items& given = arguments.positional;
  if (given.empty() || given.size() > 3 || !arguments.keywords.empty()) {
    throw TemplateError("range() takes 1 to 3 arguments");
  }
  const int64_t first = given.size() == 1 ? 0 : to_index(given[0]);
  const int64_t last = to_index(given[given.size() == 1 ? 0 : 1]);
  const int64_t step = given.size() == 3 ? to_index(given[2]) : 1;
  if (step == 0) {
    throw TemplateError("range() arg 3 must not be zero");
  }
  Items items;
  for (Int i = first; step > 0 ? i < last : i > last; i += step) {
    if (static_cast<int64_t>(items.size()) >= kMost) {
      throw TemplateError("range() is longer than " + std::to_string(kMost));
    }
    items.emplace_back(i);
  }
  runtime.charge(static_cast<int64_t>(items.size()));
  return Value::sequence(SequenceKind::kRange, std::move(items));
}

// Members of a dict, or pairs, then the keywords.
std::vector<std::pair<Value, Value>> members(const Arguments& arguments) {
  if (arguments.positional.size() > 1) {
    throw TemplateError("at most one positional argument is expected");
  }
  std::vector<std::pair<Value, Value>> result;
  if (!arguments.positional.empty() && arguments.positional[0].is_dict()) {
    result = arguments.positional[0].as_dict().items;
  } else if (!arguments.positional.empty()) {
    for (const Value& pair : iterate(arguments.positional[0])) {
      const Items two = iterate(pair);
      if (two.size() != 2) {
        throw TemplateError("a dict is made of pairs");
      }
      result.emplace_back(two[0], two[1]);
    }
  }
  for (const auto& [key, value] : arguments.keywords) {
    result.emplace_back(Value(key), value);
  }
  return result;
}

Value make_namespace(Runtime& runtime, Arguments& arguments) {
  auto object = std::make_shared<Object>();
  object->type = "Namespace";
  object->is_namespace = true;
  for (auto& [key, value] : members(arguments)) {
    object->attributes.emplace_back(to_string(key), value);
  }
  runtime.track(object);
  return object;
}

Value make_cycler(Runtime& runtime, Arguments& arguments) {
  if (arguments.positional.empty()) {
    throw TemplateError("cycler() needs items");
  }
  auto object = std::make_shared<Object>();
  object->type = "Cycler";
  auto position = std::make_shared<std::size_t>(0);
  const Items items = arguments.positional;
  object->attributes.emplace_back("next", Callable{"next", [items, position](Runtime&, Arguments&) {
                                                     return items[(*position)++ % items.size()];
                                                   }});
  object->attributes.emplace_back("reset", Callable{"reset", [position](Runtime&, Arguments&) {
                                                      *position = 0;
                                                      return Value();
                                                    }});
  object->attribute = [items, position](const std::string& name) {
    return name == "current" ? items[*position % items.size()] : Value(Undefined{name});
  };
  runtime.track(object);
  return object;
}

Value make_joiner(Runtime& runtime, Arguments& arguments) {
  const Value separator = bind("joiner", {"sep"}, arguments)[0];
  auto object = std::make_shared<Object>();
  object->type = "Joiner";
  auto used = std::make_shared<bool>(false);
  object->call = [used, separator](Runtime&, Arguments&) {
    const bool first = !std::exchange(*used, true);
    return first ? Value("") : (separator.is_undefined() ? Value(", ") : separator);
  };
  runtime.track(object);
  return object;
}

Value raise(Runtime&, Arguments& arguments) {
  throw TemplateError(to_string(bind("raise_exception", {"message"}, arguments)[0]));
}

Value strftime_now(Runtime& runtime, Arguments& arguments) {
  const Value format = bind("strftime_now", {"format"}, arguments)[0];
  if (!format.is_string() || format.as_string().size() > 1000) {
    throw TemplateError("strftime_now() takes a format");
  }
  if (format.as_string().empty()) {
    return "";
  }
  std::string buffer(16384, '\0');
  buffer.resize(std::strftime(buffer.data(), buffer.size(), format.as_string().c_str(), &runtime.now()));
  return buffer;
}

}  // namespace

std::vector<std::pair<std::string, Value>> globals() {
  const auto self = std::make_shared<Object>();
  self->type = "TemplateReference";
  return {
      {"range", Callable{"range", range}},
      {"dict", Callable{"dict", [](Runtime&, Arguments& arguments) { return Value::dict(members(arguments)); }}},
      {"namespace", Callable{"namespace", make_namespace}},
      {"cycler", Callable{"cycler", make_cycler}},
      {"joiner", Callable{"joiner", make_joiner}},
      {"lipsum",
       Callable{"lipsum", [](Runtime&, Arguments&) -> Value { throw TemplateError("lipsum() is not supported"); }}},
      {"raise_exception", Callable{"raise_exception", raise}},
      {"strftime_now", Callable{"strftime_now", strftime_now}},
      {"self", self},
  };
}

}  // namespace longship::jinja
