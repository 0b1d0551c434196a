// str.format (Python's format specification mini-language) and the % operator.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>

#include "engine/text/jinja/runtime.h"
#include "engine/text/jinja/strings.h"

namespace longship::jinja {

namespace {

struct Spec {
  std::string fill = " ";
  char align = '\0';
  char sign = '-';
  bool alternate = false;
  bool grouping = false;
  int width = 0;
  int precision = -1;
  char type = '\0';
};

constexpr int kMaxWidth = 1000;

int read_number(std::string_view text, std::size_t& at) {
  int number = 0;
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
    number = number * 10 + (text[at++] - '0');
    if (number > kMaxWidth) {
      throw TemplateError("a format width is too large");
    }
  }
  return number;
}

Spec parse_spec(std::string_view text) {
  Spec spec;
  std::size_t at = 0;
  const auto is_align = [](char c) { return c == '<' || c == '>' || c == '^' || c == '='; };
  const std::size_t first = text.empty() ? 0 : byte_offset(text, 1);
  if (first < text.size() && is_align(text[first])) {
    spec.fill = text.substr(0, first);
    spec.align = text[first];
    at = first + 1;
  } else if (!text.empty() && is_align(text[0])) {
    spec.align = text[at++];
  }
  if (at < text.size() && (text[at] == '+' || text[at] == '-' || text[at] == ' ')) {
    spec.sign = text[at++];
  }
  if (at < text.size() && text[at] == '#') {
    spec.alternate = true;
    ++at;
  }
  if (at < text.size() && text[at] == '0') {
    if (spec.align == '\0') {
      spec.fill = "0";
      spec.align = '=';
    }
    ++at;
  }
  spec.width = read_number(text, at);
  if (at < text.size() && text[at] == ',') {
    spec.grouping = true;
    ++at;
  }
  if (at < text.size() && text[at] == '.') {
    spec.precision = read_number(text, ++at);
  }
  if (at < text.size()) {
    spec.type = text[at++];
  }
  if (at != text.size()) {
    throw TemplateError("invalid format specifier '" + std::string(text) + "'");
  }
  return spec;
}

std::string in_base(Int value, int base, bool capital) {
  const std::string_view symbols = capital ? "0123456789ABCDEF" : "0123456789abcdef";
  std::string digits;
  do {
    digits.push_back(symbols[static_cast<std::size_t>(value % base)]);
    value /= base;
  } while (value != 0);
  std::reverse(digits.begin(), digits.end());
  return digits;
}

std::string float_digits(double value, char type, int precision) {
  char format[8] = {'%', '.', '*', type, '\0'};
  char buffer[512];
  if (std::abs(value) > 1e300 && (type == 'f' || type == 'F')) {
    throw TemplateError("a number is too large to be formatted");
  }
  std::snprintf(buffer, sizeof(buffer), format, std::min(precision, 100), value);
  return buffer;
}

void group_thousands(std::string& digits) {
  const std::size_t point = std::min(digits.find('.'), digits.size());
  for (std::size_t at = point; at > 3; at -= 3) {
    digits.insert(at - 3, ",");
  }
}

// Digits of a number without its sign.
std::string magnitude(const Value& value, const Spec& spec) {
  const char type = spec.type;
  if (!value.is_float() && (type == '\0' || type == 'd' || type == 'n')) {
    const Int number = value.as_int();
    return int_to_string(number < 0 ? -number : number);
  }
  if (!value.is_float() && (type == 'x' || type == 'X' || type == 'o' || type == 'b')) {
    const Int number = value.as_int() < 0 ? -value.as_int() : value.as_int();
    const std::string prefix =
        !spec.alternate ? "" : (type == 'o' ? "0o" : (type == 'b' ? "0b" : std::string("0") + type));
    return prefix + in_base(number, type == 'o' ? 8 : (type == 'b' ? 2 : 16), type == 'X');
  }
  const double number = std::abs(value.as_double());
  if (type == '%') {
    return float_digits(number * 100, 'f', spec.precision < 0 ? 6 : spec.precision) + "%";
  }
  if (type == '\0') {
    return spec.precision < 0 ? float_to_string(number) : float_digits(number, 'g', spec.precision);
  }
  if (std::string_view("eEfFgG").find(type) == std::string_view::npos) {
    throw TemplateError(std::string("unknown format code '") + type + "' for " + value.type_name());
  }
  return float_digits(number, type, spec.precision < 0 ? 6 : spec.precision);
}

std::string format_value(const Value& value, const Spec& spec) {
  if (!value.is_number() || (value.is_bool() && spec.type == '\0')) {
    if (spec.type != '\0' && spec.type != 's') {
      throw TemplateError(std::string("unknown format code '") + spec.type + "' for " + value.type_name());
    }
    Value text = value.is_string() ? value : Value(to_string(value));
    if (spec.precision >= 0 && text.string_length() > spec.precision) {
      text = substring(text, 0, spec.precision);
    }
    return pad(text.as_string(), spec.width, spec.fill, spec.align == '>' || spec.align == '^', spec.align != '>');
  }
  const bool negative = value.is_float() ? std::signbit(value.as_double()) : value.as_int() < 0;
  const std::string sign = negative ? "-" : (spec.sign == '-' ? "" : std::string(1, spec.sign));
  std::string digits = magnitude(value, spec);
  if (spec.grouping) {
    group_thousands(digits);
  }
  if (spec.align == '=') {
    return sign + pad(digits, spec.width - static_cast<int>(sign.size()), spec.fill, true, false);
  }
  const bool left = spec.align == '<' || spec.align == '^';
  return pad(sign + digits, spec.width, spec.fill, spec.align != '<', left);
}

// The value of a replacement field: a name or a number, then .attribute and [item].
Value field_value(Runtime& runtime, std::string_view field, const Arguments& arguments, std::size_t& next) {
  const std::size_t end = std::min(field.find_first_of(".["), field.size());
  const std::string name(field.substr(0, end));
  Value value = Undefined{name};
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) {
    std::size_t at = 0;
    const std::size_t index = name.empty() ? next++ : static_cast<std::size_t>(read_number(name, at));
    if (index >= arguments.positional.size()) {
      throw TemplateError("replacement index " + std::to_string(index) + " out of range");
    }
    value = arguments.positional[index];
  } else {
    const auto found = std::find_if(arguments.keywords.begin(), arguments.keywords.end(),
                                    [&](const auto& keyword) { return keyword.first == name; });
    if (found == arguments.keywords.end()) {
      throw TemplateError("the format has no argument '" + name + "'");
    }
    value = found->second;
  }
  for (std::string_view rest = field.substr(end); !rest.empty();) {
    const bool is_item = rest[0] == '[';
    const std::size_t stop = is_item ? rest.find(']') : std::min(rest.find_first_of(".[", 1), rest.size());
    if (stop == std::string_view::npos) {
      throw TemplateError("a format field is not closed");
    }
    const std::string key(rest.substr(1, stop - 1));
    const bool number =
        !key.empty() && std::all_of(key.begin(), key.end(), [](char c) { return c >= '0' && c <= '9'; });
    std::size_t at = 0;
    value = is_item ? item(runtime, value, number ? Value(read_number(key, at)) : Value(key))
                    : attribute(runtime, value, key);
    rest.remove_prefix(stop + (is_item ? 1 : 0));
  }
  return value;
}

std::string format_field(Runtime& runtime, std::string_view field, const Arguments& arguments, std::size_t& next) {
  const std::size_t colon = std::min(field.find(':'), field.size());
  std::string_view name = field.substr(0, colon);
  char conversion = '\0';
  if (const std::size_t mark = name.find('!'); mark != std::string_view::npos) {
    conversion = mark + 1 < name.size() ? name[mark + 1] : '\0';
    name = name.substr(0, mark);
  }
  Value value = field_value(runtime, name, arguments, next);
  if (conversion != '\0') {
    value = Value(conversion == 'r' ? repr(value) : to_string(value));
  }
  return format_value(value, parse_spec(colon < field.size() ? field.substr(colon + 1) : std::string_view()));
}

}  // namespace

std::string format_braces(Runtime& runtime, std::string_view format, const Arguments& arguments) {
  std::string out;
  std::size_t next = 0;
  for (std::size_t at = 0; at < format.size(); ++at) {
    const char c = format[at];
    if ((c == '{' || c == '}') && at + 1 < format.size() && format[at + 1] == c) {
      out.push_back(c);
      ++at;
    } else if (c == '{') {
      const std::size_t end = format.find('}', at);
      if (end == std::string_view::npos) {
        throw TemplateError("a format field is not closed");
      }
      out += format_field(runtime, format.substr(at + 1, end - at - 1), arguments, next);
      at = end;
    } else if (c == '}') {
      throw TemplateError("single '}' encountered in format string");
    } else {
      out.push_back(c);
    }
    runtime.check_size(0);
  }
  return out;
}

namespace {

// A field of a percent format, such as "%(name)-8.3f".
struct PercentField {
  std::optional<std::string> name;
  Spec spec;
};

void read_percent_flags(std::string_view format, std::size_t& at, Spec& spec) {
  for (; at < format.size() && std::string_view("-+ 0#").find(format[at]) != std::string_view::npos; ++at) {
    if (format[at] == '-') {
      spec.align = '<';
    } else if (format[at] == '0' && spec.align == '\0') {
      spec.fill = "0";
      spec.align = '=';
    } else if (format[at] == '#') {
      spec.alternate = true;
    } else if (format[at] != '0') {
      spec.sign = format[at];
    }
  }
}

// Reads from behind the '%' at `at` on, and leaves `at` at the letter that ends the field.
PercentField read_percent_field(std::string_view format, std::size_t& at) {
  PercentField field;
  if (++at < format.size() && format[at] == '(') {
    const std::size_t end = std::min(format.find(')', at), format.size());
    field.name = format.substr(at + 1, end - at - 1);
    at = end + 1;
  }
  read_percent_flags(format, at, field.spec);
  field.spec.width = read_number(format, at);
  if (at < format.size() && format[at] == '.') {
    field.spec.precision = read_number(format, ++at);
  }
  if (at >= format.size()) {
    throw TemplateError("incomplete format");
  }
  field.spec.type = format[at];
  return field;
}

std::string format_percent_value(Value value, Spec spec) {
  if (spec.type == 's' || spec.type == 'r') {
    value = Value(spec.type == 'r' ? repr(value) : to_string(value));
    spec.type = 's';
    spec.align = spec.align == '<' ? '<' : '>';
    spec.fill = " ";
  } else if (!value.is_number()) {
    throw TemplateError(std::string("%") + spec.type + " format: a number is required, not " + value.type_name());
  } else if (spec.type == 'd' || spec.type == 'i' || spec.type == 'u') {
    value =
        value.is_float() ? Value(static_cast<Int>(std::clamp(value.as_double(), -1e30, 1e30))) : Value(value.as_int());
    spec.type = 'd';
  }
  return format_value(value, spec);
}

}  // namespace

std::string format_percent(Runtime& runtime, std::string_view format, const Value& values) {
  const bool tuple = values.is_sequence(SequenceKind::kTuple);
  const Items items = tuple ? values.as_sequence().items : Items{values};
  std::size_t used = 0;
  std::string out;
  for (std::size_t at = 0; at < format.size(); ++at) {
    if (format[at] != '%') {
      out.push_back(format[at]);
      continue;
    }
    PercentField field = read_percent_field(format, at);
    const Value named = field.name ? item(runtime, values, Value(*field.name)) : Value(Undefined{});
    if (field.spec.type == '%') {
      out.push_back('%');
      continue;
    }
    if (!field.name && used >= items.size()) {
      throw TemplateError("not enough arguments for format string");
    }
    out += format_percent_value(field.name ? named : items[used++], field.spec);
    runtime.check_size(0);
  }
  if (tuple && used < items.size()) {
    throw TemplateError("not all arguments converted during string formatting");
  }
  return out;
}

}  // namespace longship::jinja
