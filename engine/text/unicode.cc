#include "engine/text/unicode.h"

#include <utf8proc.h>

#include <algorithm>

#include "core/utf8.h"

namespace longship {

CodePoint code_point_at(std::string_view text, std::size_t offset) {
  if (offset >= text.size()) {
    return {};
  }
  utf8proc_int32_t value = -1;
  const auto length = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + offset,
                                       static_cast<utf8proc_ssize_t>(text.size() - offset), &value);
  return length > 0 ? CodePoint{value, static_cast<std::size_t>(length)} : CodePoint{0xFFFD, 1};
}

CodePoint code_point_before(std::string_view text, std::size_t offset) {
  if (offset == 0) {
    return {};
  }
  std::size_t begin = offset - 1;
  while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0U) == 0x80U) {
    --begin;
  }
  return {code_point_at(text, begin).value, offset - begin};
}

void append_utf8(int32_t code_point, std::string& out) {
  utf8proc_uint8_t buffer[4];
  const auto length = utf8proc_encode_char(code_point, buffer);
  out.append(reinterpret_cast<const char*>(buffer), static_cast<std::size_t>(length));
}

bool is_letter(int32_t code_point) {
  if (code_point < 0x80) {
    return (code_point >= 'a' && code_point <= 'z') || (code_point >= 'A' && code_point <= 'Z');
  }
  const auto category = utf8proc_category(code_point);
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

bool is_number(int32_t code_point) {
  if (code_point < 0x80) {
    return code_point >= '0' && code_point <= '9';
  }
  const auto category = utf8proc_category(code_point);
  return category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO;
}

bool is_punctuation(int32_t code_point) {
  if (code_point < 0x80) {
    return code_point > ' ' && code_point < 0x7F && !is_letter(code_point) && !is_number(code_point);
  }
  const auto category = utf8proc_category(code_point);
  return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

bool is_space(int32_t code_point) {
  if (code_point < 0x80) {
    return code_point == ' ' || (code_point >= '\t' && code_point <= '\r');
  }
  return code_point == 0x85 || code_point == 0xA0 || code_point == 0x1680 ||
         (code_point >= 0x2000 && code_point <= 0x200A) || code_point == 0x2028 || code_point == 0x2029 ||
         code_point == 0x202F || code_point == 0x205F || code_point == 0x3000;
}

namespace {

// Length of the longest beginning of a well-formed character at the front of `bytes`, at least 1.
std::size_t maximal_part(std::string_view bytes) {
  // A part is a beginning if some continuation makes it well-formed.
  constexpr std::string_view kTails[] = {"\x80", "\xBF", "\x80\x80", "\xBF\xBF", "\x80\x80\x80", "\xBF\x80\x80"};
  for (std::size_t length = std::min<std::size_t>(3, bytes.size()); length > 1; --length) {
    for (const std::string_view tail : kTails) {
      const std::string whole = std::string(bytes.substr(0, length)) + std::string(tail);
      if (utf8_sequence_length(whole) == whole.size()) {
        return length;
      }
    }
  }
  return 1;
}

bool begins_character(std::string_view bytes) {
  const auto first = static_cast<unsigned char>(bytes.front());
  return first >= 0xC2 && first <= 0xF4 && (bytes.size() == 1 || maximal_part(bytes) == bytes.size());
}

}  // namespace

std::string replace_invalid_utf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    std::size_t length = utf8_sequence_length(bytes);
    if (length != 0) {
      out.append(bytes.substr(0, length));
    } else {
      out.append("\xEF\xBF\xBD");
      length = maximal_part(bytes);
    }
    bytes.remove_prefix(length);
  }
  return out;
}

std::size_t incomplete_suffix_bytes(std::string_view bytes) {
  for (std::size_t length = std::min<std::size_t>(3, bytes.size()); length > 0; --length) {
    const std::string_view suffix = bytes.substr(bytes.size() - length);
    if (utf8_sequence_length(suffix) == 0 && begins_character(suffix)) {
      return length;
    }
  }
  return 0;
}

}  // namespace longship
