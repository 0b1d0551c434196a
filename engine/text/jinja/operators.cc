#include <algorithm>
#include <cmath>

#include "engine/text/jinja/runtime.h"
#include "engine/text/jinja/strings.h"

namespace longship::jinja {

namespace {

[[noreturn]] void unsupported(const std::string& op, const Value& left, const Value& right) {
  throw TemplateError("unsupported operand type(s) for " + op + ": '" + left.type_name() + "' and '" +
                      right.type_name() + "'");
}

[[noreturn]] void overflow() {
  throw TemplateError("an integer is too large");
}

Int floor_divide(Int a, Int b) {
  const Int quotient = a / b;
  return quotient - ((a % b != 0 && (a < 0) != (b < 0)) ? 1 : 0);
}

Value power(Int base, Int exponent) {
  if (exponent < 0) {
    if (base == 0) {
      throw TemplateError("0 cannot be raised to a negative power");
    }
    return std::pow(static_cast<double>(base), static_cast<double>(exponent));
  }
  Int result = 1;
  for (; exponent > 0; exponent >>= 1) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result)) overflow();
    if (exponent > 1 && __builtin_mul_overflow(base, base, &base)) overflow();
  }
  return result;
}

Value integer_arithmetic(const std::string& op, Int a, Int b) {
  Int result = 0;
  bool overflows = false;
  if (op == "+") {
    overflows = __builtin_add_overflow(a, b, &result);
  } else if (op == "-") {
    overflows = __builtin_sub_overflow(a, b, &result);
  } else if (op == "*") {
    overflows = __builtin_mul_overflow(a, b, &result);
  } else if (op == "**") {
    return power(a, b);
  } else {
    if (b == 0) {
      throw TemplateError("division by zero");
    }
    if (op == "/") {
      return static_cast<double>(a) / static_cast<double>(b);
    }
    if (b == -1) {
      overflows = op == "//" && __builtin_sub_overflow(Int{0}, a, &result);
    } else {
      const Int quotient = floor_divide(a, b);
      result = op == "//" ? quotient : a - quotient * b;
    }
  }
  if (overflows) overflow();
  return result;
}

Value float_arithmetic(const std::string& op, double a, double b) {
  if (op == "+") return a + b;
  if (op == "-") return a - b;
  if (op == "*") return a * b;
  if (op == "**") return std::pow(a, b);
  if (b == 0) {
    throw TemplateError("float division by zero");
  }
  if (op == "/") return a / b;
  if (op == "//") return std::floor(a / b);
  const double rest = std::fmod(a, b);
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

Value repeat(Runtime& runtime, const Value& value, Int times) {
  times = std::max<Int>(times, 0);
  const bool text = value.is_string();
  const auto size = static_cast<Int>(text ? value.as_string().size() : value.as_sequence().items.size());
  if (size != 0 && times > runtime.limits().output_bytes / size) {
    throw TemplateError("a value is too large");
  }
  runtime.check_size(static_cast<int64_t>(times * size));
  if (text) {
    std::string result;
    for (Int i = 0; i < times && size != 0; ++i) {
      result += value.as_string();
    }
    return result;
  }
  Items items;
  for (Int i = 0; i < times && size != 0; ++i) {
    items.insert(items.end(), value.as_sequence().items.begin(), value.as_sequence().items.end());
  }
  return Value::sequence(value.as_sequence().kind, std::move(items));
}

Value add_sequences(Runtime& runtime, const Value& left, const Value& right) {
  if (left.is_string()) {
    runtime.check_size(static_cast<int64_t>(left.as_string().size() + right.as_string().size()));
    if (left.is_markup() || right.is_markup()) {
      const auto escaped = [](const Value& text) {
        return text.is_markup() ? text.as_string() : escape_html(text.as_string());
      };
      return Value::markup(escaped(left) + escaped(right));
    }
    return left.as_string() + right.as_string();
  }
  Items items = left.as_sequence().items;
  runtime.check_size(static_cast<int64_t>(items.size() + right.as_sequence().items.size()));
  items.insert(items.end(), right.as_sequence().items.begin(), right.as_sequence().items.end());
  return Value::sequence(left.as_sequence().kind, std::move(items));
}

bool contains(const Value& container, const Value& value) {
  if (container.is_string()) {
    if (!value.is_string()) {
      throw TemplateError("'in <string>' requires string as left operand, not " + value.type_name());
    }
    return container.as_string().find(value.as_string()) != std::string::npos;
  }
  if (container.is_dict()) {
    return container.as_dict().find(value) != nullptr;
  }
  if (!container.is_sequence() && !container.is_undefined()) {
    throw TemplateError("argument of type '" + container.type_name() + "' is not iterable");
  }
  const Items items = iterate(container);
  return std::any_of(items.begin(), items.end(), [&](const Value& candidate) { return equal(candidate, value); });
}

}  // namespace

Value unary(const std::string& op, const Value& value) {
  if (op == "not") {
    return !value.truthy();
  }
  if (!value.is_number()) {
    throw TemplateError("bad operand type for unary " + op + ": '" + value.type_name() + "'");
  }
  if (value.is_float()) {
    return op == "-" ? -value.as_double() : value.as_double();
  }
  return op == "-" ? -value.as_int() : value.as_int();
}

Value binary(Runtime& runtime, const std::string& op, const Value& left, const Value& right) {
  if (left.is_number() && right.is_number()) {
    return left.is_float() || right.is_float() ? float_arithmetic(op, left.as_double(), right.as_double())
                                               : integer_arithmetic(op, left.as_int(), right.as_int());
  }
  if (op == "%" && left.is_string()) {
    return format_percent(runtime, left.as_string(), right);
  }
  if (op == "+" && ((left.is_string() && right.is_string()) ||
                    (left.is_list_or_tuple() && right.is_list_or_tuple() && left.type_name() == right.type_name()))) {
    return add_sequences(runtime, left, right);
  }
  if (op == "*" && (left.is_string() || left.is_list_or_tuple()) && right.is_number() && !right.is_float()) {
    return repeat(runtime, left, right.as_int());
  }
  if (op == "*" && (right.is_string() || right.is_list_or_tuple()) && left.is_number() && !left.is_float()) {
    return repeat(runtime, right, left.as_int());
  }
  if (left.is_undefined() || right.is_undefined()) {
    const Value& missing = left.is_undefined() ? left : right;
    throw TemplateError("'" + missing.as_undefined().name + "' is undefined");
  }
  unsupported(op, left, right);
}

bool compare(const std::string& op, const Value& left, const Value& right) {
  if (op == "==") return equal(left, right);
  if (op == "!=") return !equal(left, right);
  if (op == "in") return contains(right, left);
  if (op == "not in") return !contains(right, left);
  if (op == "<") return less(left, right);
  if (op == ">") return less(right, left);
  // Not the negation of the other order: NaN compares false with everything.
  return op == "<=" ? less(left, right) || equal(left, right) : less(right, left) || equal(left, right);
}

Value attribute(Runtime& runtime, const Value& object, const std::string& name) {
  if (object.is_undefined()) {
    throw TemplateError("'" + object.as_undefined().name + "' is undefined");
  }
  if (name.rfind("__", 0) == 0) {
    return Undefined{name};
  }
  if (object.is_object()) {
    for (const auto& [key, value] : object.as_object()->attributes) {
      if (key == name) {
        return value;
      }
    }
    return object.as_object()->attribute ? object.as_object()->attribute(name) : Value(Undefined{name});
  }
  if (object.is_sequence(SequenceKind::kGroup) && (name == "grouper" || name == "list")) {
    return object.as_sequence().items[name == "grouper" ? 0 : 1];
  }
  Value result = method(object, name);
  if (result.is_undefined() && object.is_dict()) {
    runtime.charge(static_cast<int64_t>(object.as_dict().items.size()));
    if (const Value* found = object.as_dict().find(Value(name))) {
      return *found;
    }
  }
  return result.is_undefined() ? Value(Undefined{name}) : result;
}

int64_t to_index(const Value& value) {
  if (!value.is_number() || value.is_float()) {
    throw TemplateError("an integer is required, not " + value.type_name());
  }
  constexpr Int kMost = Int{1} << 62;
  return static_cast<int64_t>(std::clamp(value.as_int(), -kMost, kMost));
}

Value item(Runtime& runtime, const Value& object, const Value& key) {
  if (object.is_undefined()) {
    throw TemplateError("'" + object.as_undefined().name + "' is undefined");
  }
  if (object.is_dict()) {
    runtime.charge(static_cast<int64_t>(object.as_dict().items.size()));
    if (const Value* found = object.as_dict().find(key)) {
      return *found;
    }
  } else if ((object.is_sequence() || object.is_string()) && key.is_number() && !key.is_float()) {
    const int64_t length =
        object.is_string() ? object.string_length() : static_cast<int64_t>(object.as_sequence().items.size());
    int64_t index = to_index(key);
    index += index < 0 ? length : 0;
    if (index < 0 || index >= length || object.is_sequence(SequenceKind::kGenerator)) {
      return Undefined{to_string(key)};
    }
    if (object.is_string()) {
      runtime.charge(length);
      return substring(object, index, index + 1);
    }
    return object.as_sequence().items[static_cast<std::size_t>(index)];
  }
  return key.is_string() ? attribute(runtime, object, key.as_string()) : Value(Undefined{to_string(key)});
}

Value slice(const Value& object, const Value& begin, const Value& end, const Value& step) {
  if (object.is_undefined()) {
    throw TemplateError("'" + object.as_undefined().name + "' is undefined");
  }
  if (!object.is_sequence() && !object.is_string()) {
    throw TemplateError("'" + object.type_name() + "' object is not subscriptable");
  }
  const int64_t length =
      object.is_string() ? object.string_length() : static_cast<int64_t>(object.as_sequence().items.size());
  const int64_t by = step.is_none() ? 1 : to_index(step);
  if (by == 0) {
    throw TemplateError("slice step cannot be zero");
  }
  // Python's rules: bounds count from the end if negative and are clamped, for a negative step to one before the first.
  const int64_t low = by > 0 ? 0 : -1;
  const int64_t high = by > 0 ? length : length - 1;
  const auto bound = [&](const Value& value, int64_t fallback) {
    if (value.is_none()) {
      return fallback;
    }
    const int64_t index = to_index(value);
    return std::clamp(index < 0 ? index + length : index, low, high);
  };
  const int64_t first = bound(begin, by > 0 ? low : high);
  const int64_t last = bound(end, by > 0 ? high : low);
  if (object.is_string() && by == 1) {
    return substring(object, first, std::max(first, last));
  }
  const Items items = object.is_string() ? characters(object.as_string()) : object.as_sequence().items;
  Items result;
  for (int64_t i = first; by > 0 ? i < last : i > last; i += by) {
    result.push_back(items[static_cast<std::size_t>(i)]);
    if (by > length || by < -length) {
      break;
    }
  }
  if (!object.is_string()) {
    const SequenceKind kind = object.is_sequence(SequenceKind::kTuple) ? SequenceKind::kTuple : SequenceKind::kList;
    return Value::sequence(object.is_sequence(SequenceKind::kRange) ? SequenceKind::kRange : kind, std::move(result));
  }
  std::string text;
  for (const Value& character : result) {
    text += character.as_string();
  }
  return text;
}

Value call(Runtime& runtime, const Value& function, Arguments arguments) {
  if (function.is_undefined()) {
    throw TemplateError("'" + function.as_undefined().name + "' is undefined");
  }
  if (!function.is_callable()) {
    throw TemplateError("'" + function.type_name() + "' object is not callable");
  }
  runtime.charge();
  return function.is_object() ? function.as_object()->call(runtime, arguments)
                              : function.as_callable().call(runtime, arguments);
}

}  // namespace longship::jinja
