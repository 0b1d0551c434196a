#include <algorithm>
#include <cmath>

#include "engine/text/jinja/runtime.h"
#include "engine/text/jinja/strings.h"

namespace longship::jinja {

namespace {

void append_escape(int32_t unit, std::string& out) {
  out.append("\\u");
  for (int shift = 12; shift >= 0; shift -= 4) {
    out.push_back("0123456789abcdef"[(unit >> shift) & 15]);
  }
}

void write_string(const std::string& text, bool ensure_ascii, std::string& out) {
  constexpr std::string_view kSpecial = "\"\\\n\r\t\b\f";
  constexpr std::string_view kLetters = "\"\\nrtbf";
  out.push_back('"');
  for (const int32_t c : code_points(text)) {
    const std::size_t special = c < 0x80 ? kSpecial.find(static_cast<char>(c)) : std::string_view::npos;
    if (special != std::string_view::npos) {
      out.push_back('\\');
      out.push_back(kLetters[special]);
    } else if (c < 0x20 || (ensure_ascii && c >= 0x7F && c < 0x10000 && c != 0x7F)) {
      append_escape(c, out);
    } else if (ensure_ascii && c >= 0x10000) {
      append_escape(0xD800 + ((c - 0x10000) >> 10), out);
      append_escape(0xDC00 + ((c - 0x10000) & 0x3FF), out);
    } else {
      out += from_code_points({c});
    }
  }
  out.push_back('"');
}

std::string number(const Value& value) {
  if (value.is_float()) {
    const double x = value.as_double();
    return std::isnan(x) ? "NaN" : (std::isinf(x) ? (x < 0 ? "-Infinity" : "Infinity") : float_to_string(x));
  }
  return int_to_string(value.as_int());
}

std::string key_text(const Value& key) {
  if (key.is_string()) return key.as_string();
  if (key.is_none()) return "null";
  if (key.is_bool()) return key.as_bool() ? "true" : "false";
  if (key.is_number()) return number(key);
  throw TemplateError("keys must be str, int, float, bool or None, not " + key.type_name());
}

class Writer {
 public:
  explicit Writer(const JsonStyle& style) : style_(style) {}

  void write(const Value& value, int level) {
    if (value.is_none()) {
      out += "null";
    } else if (value.is_bool()) {
      out += value.as_bool() ? "true" : "false";
    } else if (value.is_number()) {
      out += number(value);
    } else if (value.is_string()) {
      write_string(value.as_string(), style_.ensure_ascii, out);
    } else if (value.is_list_or_tuple()) {
      write_list(value.as_sequence().items, level);
    } else if (value.is_dict()) {
      write_dict(value.as_dict(), level);
    } else {
      throw TemplateError("Object of type " + value.type_name() + " is not JSON serializable");
    }
  }

  std::string out;

 private:
  void line_break(int level) {
    if (style_.indent >= 0) {
      out.push_back('\n');
      out.append(static_cast<std::size_t>(style_.indent) * static_cast<std::size_t>(level), ' ');
    }
  }

  void write_list(const Items& items, int level) {
    out.push_back('[');
    for (std::size_t i = 0; i < items.size(); ++i) {
      out += i == 0 ? "" : style_.item_separator;
      line_break(level + 1);
      write(items[i], level + 1);
    }
    if (!items.empty()) {
      line_break(level);
    }
    out.push_back(']');
  }

  void write_dict(const Dict& dict, int level) {
    auto members = dict.items;
    if (style_.sort_keys) {
      std::stable_sort(members.begin(), members.end(),
                       [](const auto& a, const auto& b) { return less(a.first, b.first); });
    }
    out.push_back('{');
    for (std::size_t i = 0; i < members.size(); ++i) {
      out += i == 0 ? "" : style_.item_separator;
      line_break(level + 1);
      write_string(key_text(members[i].first), style_.ensure_ascii, out);
      out += style_.key_separator;
      write(members[i].second, level + 1);
    }
    if (!members.empty()) {
      line_break(level);
    }
    out.push_back('}');
  }

  const JsonStyle& style_;
};

}  // namespace

std::string to_json(const Value& value, const JsonStyle& style) {
  Writer writer(style);
  writer.write(value, 0);
  return std::move(writer.out);
}

}  // namespace longship::jinja
