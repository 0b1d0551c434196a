#include <charconv>
#include <cmath>
#include <cstdio>

#include "engine/text/jinja/filters.h"
#include "engine/text/jinja/strings.h"

namespace longship::jinja {

namespace {

bool given(const Value& value) {
  return !value.is_undefined();
}

void require_defined(const Value& value) {
  if (value.is_undefined()) {
    throw TemplateError("'" + value.as_undefined().name + "' is undefined");
  }
}

// A whole number in text, as Python's int(text, base); false if it is none.
bool parse_int(std::string text, int base, Int& result) {
  text = strip(text, nullptr, true, true);
  const bool negative = !text.empty() && text[0] == '-';
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    text.erase(0, 1);
  }
  if (text.size() > 2 && text[0] == '0') {
    const char prefix = static_cast<char>(text[1] | 0x20);
    const int prefix_base = prefix == 'x' ? 16 : (prefix == 'o' ? 8 : (prefix == 'b' ? 2 : 0));
    if (prefix_base != 0 && (base == prefix_base || base == 0)) {
      text.erase(0, 2);
      base = prefix_base;
    }
  }
  std::erase(text, '_');
  result = 0;
  for (const char c : text) {
    const int digit =
        c >= '0' && c <= '9' ? c - '0' : ((c | 0x20) >= 'a' && (c | 0x20) <= 'z' ? (c | 0x20) - 'a' + 10 : 99);
    if (digit >= (base == 0 ? 10 : base) || __builtin_mul_overflow(result, Int{base == 0 ? 10 : base}, &result) ||
        __builtin_add_overflow(result, Int{digit}, &result)) {
      return false;
    }
  }
  result = negative ? -result : result;
  return !text.empty();
}

bool parse_float(std::string text, double& result) {
  text = strip(text, nullptr, true, true);
  std::erase(text, '_');
  const std::string folded = lower(text);
  const char* begin = text.c_str() + (!text.empty() && text[0] == '+' ? 1 : 0);
  const auto end = std::from_chars(begin, text.c_str() + text.size(), result);
  if (end.ec == std::errc::result_out_of_range) {
    result = folded.find("e-") != std::string::npos ? 0.0 : (text[0] == '-' ? -INFINITY : INFINITY);
    return true;
  }
  return end.ec == std::errc() && end.ptr == text.c_str() + text.size();
}

Int truncate_float(double value) {
  if (!std::isfinite(value) || std::abs(value) > 1e38) {
    throw TemplateError("cannot convert float to integer");
  }
  return static_cast<Int>(value);
}

Value int_filter(const FilterCall& call) {
  require_defined(call.value);
  Value fallback = given(call.bound[0]) ? call.bound[0] : Value(0);
  const int base = given(call.bound[1]) ? static_cast<int>(to_index(call.bound[1])) : 10;
  if (call.value.is_float()) {
    return std::isfinite(call.value.as_double()) ? Value(truncate_float(call.value.as_double())) : fallback;
  }
  if (call.value.is_number()) {
    return call.value.as_int();
  }
  if (!call.value.is_string()) {
    return fallback;
  }
  Int whole = 0;
  if (parse_int(call.value.as_string(), base, whole)) {
    return whole;
  }
  double number = 0;
  return parse_float(call.value.as_string(), number) && std::isfinite(number) ? Value(truncate_float(number))
                                                                              : fallback;
}

Value float_filter(const FilterCall& call) {
  require_defined(call.value);
  if (call.value.is_number()) {
    return call.value.as_double();
  }
  double number = 0;
  if (call.value.is_string() && parse_float(call.value.as_string(), number)) {
    return number;
  }
  return given(call.bound[0]) ? call.bound[0] : Value(0.0);
}

// Round half to even on the decimal value, as Python's round().
double round_to(double value, int digits) {
  if (!std::isfinite(value)) {
    return value;
  }
  if (digits >= 0) {
    char buffer[512];
    if (digits > 300 || std::abs(value) > 1e150) {
      return value;
    }
    std::snprintf(buffer, sizeof(buffer), "%.*f", digits, value);
    double result = 0;
    std::from_chars(buffer, buffer + std::char_traits<char>::length(buffer), result);
    return result;
  }
  const double scale = std::pow(10.0, -digits);
  return std::nearbyint(value / scale) * scale;
}

Value round_filter(const FilterCall& call) {
  require_defined(call.value);
  if (!call.value.is_number()) {
    throw TemplateError("round takes a number, not " + call.value.type_name());
  }
  const int digits = given(call.bound[0])
                         ? static_cast<int>(std::max<int64_t>(-300, std::min<int64_t>(300, to_index(call.bound[0]))))
                         : 0;
  const std::string method = given(call.bound[1]) ? text_of(call.bound[1]) : "common";
  const double value = call.value.as_double();
  if (method == "common") {
    if (!call.value.is_float()) {
      return digits >= 0 ? call.value : Value(static_cast<Int>(round_to(value, digits)));
    }
    return round_to(value, digits);
  }
  if (method != "ceil" && method != "floor") {
    throw TemplateError("method must be common, ceil or floor");
  }
  const double scale = std::pow(10.0, digits);
  return (method == "ceil" ? std::ceil(value * scale) : std::floor(value * scale)) / scale;
}

Value abs_filter(const FilterCall& call) {
  if (!call.value.is_number()) {
    throw TemplateError("abs takes a number, not " + call.value.type_name());
  }
  if (call.value.is_float()) {
    return std::abs(call.value.as_double());
  }
  return call.value.as_int() < 0 ? -call.value.as_int() : call.value.as_int();
}

Value file_size(const FilterCall& call) {
  const bool binary_units = given(call.bound[0]) && call.bound[0].truthy();
  const double base = binary_units ? 1024 : 1000;
  double bytes = call.value.is_number() ? call.value.as_double() : 0;
  if (bytes == 1) {
    return "1 Byte";
  }
  if (bytes < base) {
    return int_to_string(static_cast<Int>(bytes)) + " Bytes";
  }
  const char* const decimal[] = {"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"};
  const char* const binary[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"};
  int unit = -1;
  while (bytes >= base && unit < 7) {
    bytes /= base;
    ++unit;
  }
  char buffer[400];
  std::snprintf(buffer, sizeof(buffer), "%.1f ", bytes);
  return std::string(buffer) + (binary_units ? binary : decimal)[unit];
}

Value default_filter(const FilterCall& call) {
  const bool if_false = given(call.bound[1]) && call.bound[1].truthy();
  const bool replaces = call.value.is_undefined() || (if_false && !call.value.truthy());
  return !replaces ? call.value
                   : (given(call.bound[0]) || !call.arguments.positional.empty() ? call.bound[0] : Value(""));
}

}  // namespace

std::span<const Filter> number_filters() {
  static const Filter kFilters[] = {
      {"int", {"default", "base"}, int_filter},
      {"float", {"default"}, float_filter},
      {"round", {"precision", "method"}, round_filter},
      {"abs", {}, abs_filter},
      {"filesizeformat", {"binary"}, file_size},
      {"default", {"default_value", "boolean"}, default_filter},
      {"d", {"default_value", "boolean"}, default_filter},
  };
  return kFilters;
}

}  // namespace longship::jinja
