#include <algorithm>

#include "engine/text/jinja/filters.h"
#include "engine/text/jinja/strings.h"

namespace longship::jinja {

namespace {

bool given(const Value& value) {
  return !value.is_undefined();
}
bool is_true(const Value& value) {
  return given(value) && value.truthy();
}

Value escape(const FilterCall& call) {
  return call.value.is_markup() ? call.value : Value::markup(escape_html(text_of(call.value)));
}

// Each word in capitals; words end at spaces, hyphens and opening brackets.
Value title_words(const FilterCall& call) {
  std::string out;
  std::string word;
  const auto flush = [&] {
    const std::size_t first = byte_offset(word, 1);
    out += upper(std::string_view(word).substr(0, first)) + lower(std::string_view(word).substr(first));
    word.clear();
  };
  for (const int32_t c : code_points(text_of(call.value))) {
    if (is_python_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<') {
      flush();
      out += from_code_points({c});
    } else {
      word += from_code_points({c});
    }
  }
  flush();
  return out;
}

Value trim(const FilterCall& call) {
  const Value& set = call.bound[0];
  const bool has_set = given(set) && !set.is_none();
  const std::string characters_to_strip = has_set ? text_of(set) : std::string();
  return strip(text_of(call.value), has_set ? &characters_to_strip : nullptr, true, true);
}

Value replace(const FilterCall& call) {
  const int64_t most = given(call.bound[2]) && !call.bound[2].is_none() ? to_index(call.bound[2]) : -1;
  const std::string text = text_of(call.value);
  const std::string from = text_of(call.bound[0]);
  const std::string to = text_of(call.bound[1]);
  const auto size = static_cast<int64_t>(text.size());
  call.runtime.check_size(size / std::max<int64_t>(1, static_cast<int64_t>(from.size())) / 8 *
                          static_cast<int64_t>(to.size()));
  return replace_all(text, from, to, most);
}

Value indent(const FilterCall& call) {
  const Value& width = call.bound[0];
  const std::string prefix =
      width.is_string() ? width.as_string() : pad("", given(width) ? to_index(width) : 4, " ", false, true);
  const bool first = is_true(call.bound[1]);
  const bool blank = is_true(call.bound[2]);
  // The final line counts even if it is empty.
  std::vector<std::string> lines = split_lines(text_of(call.value) + "\n");
  std::string out;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const bool indents = i == 0 ? first : blank || !lines[i].empty();
    out += (i == 0 ? "" : "\n") + (indents ? prefix : std::string()) + lines[i];
    call.runtime.check_size(static_cast<int64_t>(prefix.size()));
  }
  return out;
}

Value truncate(const FilterCall& call) {
  const int64_t length = given(call.bound[0]) ? to_index(call.bound[0]) : 255;
  const std::string end = given(call.bound[2]) ? text_of(call.bound[2]) : "...";
  const int64_t leeway = given(call.bound[3]) ? to_index(call.bound[3]) : 5;
  Value text(text_of(call.value));
  if (text.string_length() <= length + leeway) {
    return text;
  }
  const int64_t kept = std::max<int64_t>(0, length - count_code_points(end));
  std::string cut = substring(text, 0, std::min(kept, text.string_length()));
  if (!is_true(call.bound[1])) {
    cut = cut.substr(0, cut.rfind(' '));
  }
  return cut + end;
}

Value word_wrap(const FilterCall& call) {
  const int64_t width = given(call.bound[0]) ? to_index(call.bound[0]) : 79;
  if (width <= 0) {
    throw TemplateError("wordwrap needs a width above 0");
  }
  std::string out;
  bool first_line = true;
  for (const std::string& line : split_lines(text_of(call.value))) {
    std::string wrapped;
    int64_t column = 0;
    for (const std::string& word : split_white_space(line, -1)) {
      const int64_t size = count_code_points(word);
      const bool breaks = column > 0 && column + 1 + size > width;
      wrapped += breaks ? "\n" : (column > 0 ? " " : "");
      column = (breaks || column == 0 ? 0 : column + 1) + size;
      wrapped += word;
    }
    out += (first_line ? "" : "\n") + wrapped;
    first_line = false;
  }
  return out;
}

// In a query, a space is "+" and a slash is not left alone.
std::string url_encode_text(const std::string& text, bool query) {
  constexpr std::string_view kSafe = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~";
  std::string out;
  for (const char c : text) {
    if (kSafe.find(c) != std::string_view::npos || (c == '/' && !query)) {
      out.push_back(c);
    } else if (c == ' ' && query) {
      out.push_back('+');
    } else {
      out.push_back('%');
      out.push_back("0123456789ABCDEF"[(static_cast<unsigned char>(c)) >> 4]);
      out.push_back("0123456789ABCDEF"[c & 15]);
    }
  }
  return out;
}

Value url_encode(const FilterCall& call) {
  if (!call.value.is_dict()) {
    return url_encode_text(text_of(call.value), false);
  }
  std::string out;
  for (const auto& [key, value] : call.value.as_dict().items) {
    out += (out.empty() ? "" : "&") + url_encode_text(text_of(key), true) + "=" + url_encode_text(text_of(value), true);
  }
  return out;
}

// Without tags and comments; runs of white space become one space.
Value strip_tags(const FilterCall& call) {
  const std::string text = text_of(call.value);
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const std::size_t end =
        text[at] == '<' ? text.find(text.compare(at, 4, "<!--") == 0 ? "-->" : ">", at) : std::string::npos;
    if (end != std::string::npos) {
      at = text[end] == '>' ? end : end + 2;
    } else {
      out.push_back(text[at]);
    }
  }
  std::string joined;
  for (const std::string& word : split_white_space(out, -1)) {
    joined += (joined.empty() ? "" : " ") + word;
  }
  return joined;
}

Value to_json_filter(const FilterCall& call) {
  JsonStyle style;
  style.ensure_ascii = is_true(call.bound[0]);
  if (given(call.bound[1]) && !call.bound[1].is_none()) {
    const int64_t width =
        call.bound[1].is_string() ? count_code_points(call.bound[1].as_string()) : to_index(call.bound[1]);
    style.indent = static_cast<int>(std::clamp<int64_t>(width, 0, 100));
    style.item_separator = ",";
  }
  if (given(call.bound[2]) && !call.bound[2].is_none()) {
    const Items separators = iterate(call.bound[2]);
    if (separators.size() != 2 || !separators[0].is_string() || !separators[1].is_string()) {
      throw TemplateError("separators must be two strings");
    }
    style.item_separator = separators[0].as_string();
    style.key_separator = separators[1].as_string();
  }
  style.sort_keys = is_true(call.bound[3]);
  return to_json(call.value, style);
}

Value format_filter(const FilterCall& call) {
  Value values = Value::tuple(call.arguments.positional);
  if (!call.arguments.keywords.empty()) {
    std::vector<std::pair<Value, Value>> members;
    for (const auto& [key, value] : call.arguments.keywords) {
      members.emplace_back(Value(key), value);
    }
    values = Value::dict(std::move(members));
  }
  return format_percent(call.runtime, text_of(call.value), values);
}

}  // namespace

std::span<const Filter> text_filters() {
  static const Filter kFilters[] = {
      {"escape", {}, escape},
      {"e", {}, escape},
      {"forceescape", {}, [](const FilterCall& c) { return Value::markup(escape_html(text_of(c.value))); }},
      {"safe", {}, [](const FilterCall& c) { return Value::markup(text_of(c.value)); }},
      {"string", {}, [](const FilterCall& c) { return c.value.is_string() ? c.value : Value(text_of(c.value)); }},
      {"upper", {}, [](const FilterCall& c) { return Value(upper(text_of(c.value))); }},
      {"lower", {}, [](const FilterCall& c) { return Value(lower(text_of(c.value))); }},
      {"capitalize", {}, [](const FilterCall& c) { return Value(capitalize(text_of(c.value))); }},
      {"title", {}, title_words},
      {"trim", {"chars"}, trim},
      {"replace", {"old", "new", "count"}, replace},
      {"indent", {"width", "first", "blank"}, indent},
      {"truncate", {"length", "killwords", "end", "leeway"}, truncate},
      {"wordwrap", {"width"}, word_wrap},
      {"wordcount", {}, [](const FilterCall& c) { return Value(split_white_space(text_of(c.value), -1).size()); }},
      {"center",
       {"width"},
       [](const FilterCall& c) {
         return Value(pad(text_of(c.value), given(c.bound[0]) ? to_index(c.bound[0]) : 80, " ", true, true));
       }},
      {"urlencode", {}, url_encode},
      {"striptags", {}, strip_tags},
      {"tojson", {"ensure_ascii", "indent", "separators", "sort_keys"}, to_json_filter},
      {"format", {}, format_filter, true},
      {"pprint", {}, [](const FilterCall& c) { return Value(repr(c.value)); }},
  };
  return kFilters;
}

}  // namespace longship::jinja
