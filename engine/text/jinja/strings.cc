#include "engine/text/jinja/strings.h"

#include <utf8proc.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace longship::jinja {

namespace {

struct Decoded {
  int32_t value;
  std::size_t length;
};

Decoded decode(std::string_view text, std::size_t at) {
  utf8proc_int32_t value = 0;
  const auto length = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + at,
                                       static_cast<utf8proc_ssize_t>(text.size() - at), &value);
  return length > 0 ? Decoded{value, static_cast<std::size_t>(length)} : Decoded{0xFFFD, 1};
}

void append(int32_t code_point, std::string& out) {
  utf8proc_uint8_t buffer[4];
  const auto length = utf8proc_encode_char(code_point, buffer);
  out.append(reinterpret_cast<const char*>(buffer), static_cast<std::size_t>(length));
}

// Full upper case where one character becomes several (SpecialCasing.txt, the common ones).
void append_upper(int32_t c, std::string& out) {
  if (c == 0xDF) {
    out.append("SS");
  } else if (c >= 0xFB00 && c <= 0xFB04) {
    constexpr const char* kLigatures[] = {"FF", "FI", "FL", "FFI", "FFL"};
    out.append(kLigatures[c - 0xFB00]);
  } else {
    append(utf8proc_toupper(c), out);
  }
}

void append_lower(int32_t c, std::string& out) {
  if (c == 0x130) {
    out.append("i\xCC\x87");
  } else {
    append(utf8proc_tolower(c), out);
  }
}

bool is_cased(int32_t c) {
  const auto category = utf8proc_category(c);
  return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL || category == UTF8PROC_CATEGORY_LT;
}

}  // namespace

int64_t count_code_points(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; });
}

std::vector<int32_t> code_points(std::string_view text) {
  std::vector<int32_t> result;
  for (std::size_t at = 0; at < text.size();) {
    const Decoded c = decode(text, at);
    result.push_back(c.value);
    at += c.length;
  }
  return result;
}

std::string from_code_points(const std::vector<int32_t>& points) {
  std::string out;
  for (const int32_t c : points) {
    append(c, out);
  }
  return out;
}

Items characters(std::string_view text) {
  Items items;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = decode(text, at).length;
    items.emplace_back(text.substr(at, length));
    at += length;
  }
  return items;
}

std::size_t byte_offset(std::string_view text, int64_t index) {
  std::size_t at = 0;
  for (; index > 0 && at < text.size(); --index) {
    at += decode(text, at).length;
  }
  return at;
}

std::string substring(const Value& text, int64_t begin, int64_t end) {
  const std::string& bytes = text.as_string();
  if (text.string_length() == static_cast<int64_t>(bytes.size())) {
    return bytes.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
  }
  const std::size_t first = byte_offset(bytes, begin);
  return bytes.substr(first, byte_offset(std::string_view(bytes).substr(first), end - begin));
}

std::string upper(std::string_view text) {
  std::string out;
  for (const int32_t c : code_points(text)) {
    append_upper(c, out);
  }
  return out;
}

std::string lower(std::string_view text) {
  std::string out;
  for (const int32_t c : code_points(text)) {
    append_lower(c, out);
  }
  return out;
}

std::string title(std::string_view text) {
  std::string out;
  bool inside = false;
  for (const int32_t c : code_points(text)) {
    if (inside) {
      append_lower(c, out);
    } else {
      append(utf8proc_totitle(c), out);
    }
    inside = is_cased(c);
  }
  return out;
}

std::string capitalize(std::string_view text) {
  std::string out;
  for (const int32_t c : code_points(text)) {
    if (out.empty()) {
      append(utf8proc_totitle(c), out);
    } else {
      append_lower(c, out);
    }
  }
  return out;
}

std::string swapcase(std::string_view text) {
  std::string out;
  for (const int32_t c : code_points(text)) {
    if (utf8proc_category(c) == UTF8PROC_CATEGORY_LU) {
      append_lower(c, out);
    } else {
      append_upper(c, out);
    }
  }
  return out;
}

bool is_python_space(int32_t c) {
  return (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

std::string strip(std::string_view text, const std::string* set, bool left, bool right) {
  const std::vector<int32_t> unwanted = set != nullptr ? code_points(*set) : std::vector<int32_t>();
  const auto strips = [&](int32_t c) {
    return set != nullptr ? std::find(unwanted.begin(), unwanted.end(), c) != unwanted.end() : is_python_space(c);
  };
  const std::vector<int32_t> points = code_points(text);
  std::size_t begin = 0;
  std::size_t end = points.size();
  while (left && begin < end && strips(points[begin])) {
    ++begin;
  }
  while (right && end > begin && strips(points[end - 1])) {
    --end;
  }
  return from_code_points(
      {points.begin() + static_cast<std::ptrdiff_t>(begin), points.begin() + static_cast<std::ptrdiff_t>(end)});
}

std::string replace_all(std::string_view text, std::string_view from, std::string_view to, int64_t most) {
  std::string out;
  if (from.empty()) {
    // Before every character and at the end.
    for (std::size_t at = 0; at <= text.size() && most != 0; --most) {
      out.append(to);
      const std::size_t length = at < text.size() ? decode(text, at).length : 1;
      out.append(text.substr(at, length));
      at += length;
      if (most == 1 && at < text.size()) {
        out.append(text.substr(at));
      }
    }
    return out;
  }
  std::size_t at = 0;
  for (; most != 0; --most) {
    const std::size_t found = text.find(from, at);
    if (found == std::string_view::npos) {
      break;
    }
    out.append(text.substr(at, found - at)).append(to);
    at = found + from.size();
  }
  return out.append(text.substr(at));
}

std::vector<std::string> split_white_space(std::string_view text, int64_t most) {
  std::vector<std::string> words;
  std::size_t at = 0;
  const auto skip = [&](bool spaces) {
    while (at < text.size() && is_python_space(decode(text, at).value) == spaces) {
      at += decode(text, at).length;
    }
  };
  for (skip(true); at < text.size(); skip(true)) {
    const std::size_t begin = at;
    if (most >= 0 && static_cast<int64_t>(words.size()) == most) {
      words.push_back(strip(text.substr(begin), nullptr, false, true));
      return words;
    }
    skip(false);
    words.emplace_back(text.substr(begin, at - begin));
  }
  return words;
}

std::vector<std::string> split_lines(std::string_view text) {
  std::vector<std::string> lines;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Decoded c = decode(text, at);
    const bool line_end = (c.value >= 10 && c.value <= 13) || (c.value >= 0x1C && c.value <= 0x1E) || c.value == 0x85 ||
                          c.value == 0x2028 || c.value == 0x2029;
    std::size_t next = at + c.length;
    if (line_end) {
      lines.emplace_back(text.substr(begin, at - begin));
      if (c.value == '\r' && next < text.size() && text[next] == '\n') {
        ++next;
      }
      begin = next;
    }
    at = next;
  }
  if (begin < text.size()) {
    lines.emplace_back(text.substr(begin));
  }
  return lines;
}

namespace {

bool is_printable(int32_t c) {
  if (c == ' ') {
    return true;
  }
  switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
      return false;
    default:
      return true;
  }
}

std::string hex(int32_t c, int digits) {
  std::string out;
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) {
    out.push_back("0123456789abcdef"[(c >> shift) & 15]);
  }
  return out;
}

}  // namespace

std::string repr_string(std::string_view text) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const bool has_double = text.find('"') != std::string_view::npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  std::string out(1, quote);
  for (const int32_t c : code_points(text)) {
    if (c == quote || c == '\\') {
      out.push_back('\\');
      out.push_back(static_cast<char>(c));
    } else if (c == '\n') {
      out.append("\\n");
    } else if (c == '\r') {
      out.append("\\r");
    } else if (c == '\t') {
      out.append("\\t");
    } else if (is_printable(c)) {
      append(c, out);
    } else if (c < 0x100) {
      out.append("\\x").append(hex(c, 2));
    } else if (c < 0x10000) {
      out.append("\\u").append(hex(c, 4));
    } else {
      out.append("\\U").append(hex(c, 8));
    }
  }
  out.push_back(quote);
  return out;
}

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&#34;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out.push_back(c);
    }
  }
  return out;
}

std::string pad(std::string_view text, int64_t width, std::string_view fill, bool left, bool right) {
  constexpr int64_t kMaxWidth = 1 << 20;
  if (width > kMaxWidth) {
    throw TemplateError("a width of " + std::to_string(width) + " is too large");
  }
  const int64_t missing = std::max<int64_t>(0, width - count_code_points(text));
  // Python's str.center puts the odd one left if the width is odd too.
  const int64_t before = left && right ? missing / 2 + (missing & width & 1) : (left ? missing : 0);
  std::string out;
  for (int64_t i = 0; i < before; ++i) {
    out.append(fill);
  }
  out.append(text);
  for (int64_t i = before; i < missing; ++i) {
    out.append(fill);
  }
  return out;
}

std::string int_to_string(Int value) {
  if (value == 0) {
    return "0";
  }
  std::string digits;
  const bool negative = value < 0;
  while (value != 0) {
    const int digit = static_cast<int>(value % 10);
    digits.push_back(static_cast<char>('0' + (digit < 0 ? -digit : digit)));
    value /= 10;
  }
  if (negative) {
    digits.push_back('-');
  }
  std::reverse(digits.begin(), digits.end());
  return digits;
}

std::string float_to_string(double value) {
  if (std::isnan(value)) {
    return "nan";
  }
  if (std::isinf(value)) {
    return value < 0 ? "-inf" : "inf";
  }
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific);
  std::string text(buffer, end.ptr);
  const std::size_t e = text.find('e');
  const int exponent = std::stoi(text.substr(e + 1));
  if (exponent < -4 || exponent >= 16) {
    return text;  // as C writes it, two exponent digits at least, like Python
  }
  const std::string sign = text[0] == '-' ? "-" : "";
  std::string digits = text.substr(sign.size(), e - sign.size());
  std::erase(digits, '.');
  const int count = static_cast<int>(digits.size());
  if (exponent < 0) {
    return sign + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  }
  if (count <= exponent + 1) {
    return sign + digits + std::string(static_cast<std::size_t>(exponent + 1 - count), '0') + ".0";
  }
  return sign + digits.substr(0, static_cast<std::size_t>(exponent + 1)) + "." +
         digits.substr(static_cast<std::size_t>(exponent + 1));
}

}  // namespace longship::jinja
