#include "engine/text/jinja/lexer.h"

#include <algorithm>
#include <cctype>

#include "engine/text/jinja/strings.h"

namespace longship::jinja {

namespace {

bool is_name_start(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) || c == '_' || (c & 0x80);
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_name_char(char c) {
  return is_name_start(c) || is_digit(c);
}
bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

// CR LF and CR become LF; one newline at the end of the template is dropped.
std::string normalise_newlines(std::string_view source) {
  std::string out;
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out.push_back('\n');
      i += i + 1 < source.size() && source[i + 1] == '\n' ? 1 : 0;
    } else {
      out.push_back(source[i]);
    }
  }
  if (!out.empty() && out.back() == '\n') {
    out.pop_back();
  }
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string source) : source_(std::move(source)) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) {
      const std::size_t tag = find_tag(at_);
      const std::size_t end = tag == std::string::npos ? source_.size() : tag;
      std::string data = source_.substr(at_, end - at_);
      at_ = end;
      if (tag == std::string::npos) {
        add_data(std::move(data));
        break;
      }
      const char kind = source_[tag + 1];
      const char sign = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
      add_data(strip_before_tag(std::move(data), kind, sign));
      at_ = tag + 2 + (sign == '-' || sign == '+' ? 1 : 0);
      if (kind == '#') {
        skip_comment();
      } else if (kind == '%' && !read_raw()) {
        read_tag(TokenKind::kBlockBegin, TokenKind::kBlockEnd, "%}");
      } else if (kind == '{') {
        read_tag(TokenKind::kVariableBegin, TokenKind::kVariableEnd, "}}");
      }
    }
    add(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void fail(const std::string& message) const { throw TemplateError(message, line_); }

  void add(TokenKind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }

  void add_data(std::string data) {
    const auto newlines = std::count(data.begin(), data.end(), '\n');
    if (!data.empty()) {
      add(TokenKind::kData, std::move(data));
    }
    line_ += static_cast<int>(newlines);
  }

  void advance_to(std::size_t end) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(end), '\n'));
    at_ = end;
  }

  std::size_t find_tag(std::size_t from) const {
    for (std::size_t i = source_.find('{', from); i != std::string::npos; i = source_.find('{', i + 1)) {
      if (i + 1 < source_.size() && (source_[i + 1] == '{' || source_[i + 1] == '%' || source_[i + 1] == '#')) {
        return i;
      }
    }
    return std::string::npos;
  }

  std::string strip_before_tag(std::string data, char kind, char sign) const {
    if (sign == '-') {
      while (!data.empty() && is_space(data.back())) {
        data.pop_back();
      }
      return data;
    }
    if (sign == '+' || kind == '{') {
      return data;
    }
    // lstrip_blocks: white space between the beginning of the line and the tag goes.
    const std::size_t newline = data.rfind('\n');
    const std::size_t line = newline == std::string::npos ? 0 : newline + 1;
    const std::size_t data_begin = at_ - data.size();
    const bool begins_line = line > 0 || data_begin == 0 || source_[data_begin - 1] == '\n';
    if (begins_line && data.find_first_not_of(" \t", line) == std::string::npos) {
      data.resize(line);
    }
    return data;
  }

  // After "-%}" all white space goes, after "%}" one newline (trim_blocks).
  void after_block(char sign) {
    std::size_t end = at_;
    if (sign == '-') {
      while (end < source_.size() && is_space(source_[end])) {
        ++end;
      }
    } else if (sign != '+' && end < source_.size() && source_[end] == '\n') {
      ++end;
    }
    advance_to(end);
  }

  void skip_comment() {
    const std::size_t close = source_.find("#}", at_);
    if (close == std::string::npos) {
      fail("a comment is not closed");
    }
    const char sign =
        close > at_ && (source_[close - 1] == '-' || source_[close - 1] == '+') ? source_[close - 1] : '\0';
    advance_to(close + 2);
    after_block(sign);
  }

  std::size_t skip_spaces(std::size_t from) const {
    while (from < source_.size() && is_space(source_[from])) {
      ++from;
    }
    return from;
  }

  // At the inside of a block: if it is "raw", copies everything up to "endraw" as data.
  bool read_raw() {
    std::size_t i = skip_spaces(at_);
    if (source_.compare(i, 3, "raw") != 0 || (i + 3 < source_.size() && is_name_char(source_[i + 3]))) {
      return false;
    }
    i = skip_spaces(i + 3);
    const bool strips = i < source_.size() && source_[i] == '-';
    i += strips ? 1 : 0;
    if (source_.compare(i, 2, "%}") != 0) {
      return false;
    }
    i += 2;
    advance_to(strips ? skip_spaces(i) : i);
    for (std::size_t tag = source_.find("{%", at_); tag != std::string::npos; tag = source_.find("{%", tag + 2)) {
      std::size_t end = tag + 2;
      const char sign = end < source_.size() ? source_[end] : '\0';
      end = skip_spaces(end + (sign == '-' || sign == '+' ? 1 : 0));
      if (source_.compare(end, 6, "endraw") != 0) {
        continue;
      }
      end = skip_spaces(end + 6);
      const char close = end < source_.size() ? source_[end] : '\0';
      end += close == '-' || close == '+' ? 1 : 0;
      if (source_.compare(end, 2, "%}") != 0) {
        continue;
      }
      std::string data = source_.substr(at_, tag - at_);
      at_ = tag;
      add_data(strip_before_tag(std::move(data), '%', sign));
      advance_to(end + 2);
      after_block(close);
      return true;
    }
    fail("a raw block is not closed");
  }

  void read_tag(TokenKind begin, TokenKind end, std::string_view close) {
    add(begin, "");
    std::string open_brackets;
    for (;;) {
      advance_to(skip_spaces(at_));
      if (at_ >= source_.size()) {
        fail("a tag is not closed");
      }
      if (open_brackets.empty()) {
        const char sign = source_[at_] == '-' || source_[at_] == '+' ? source_[at_] : '\0';
        const std::size_t i = at_ + (sign != '\0' ? 1 : 0);
        if (source_.compare(i, 2, close) == 0 && !(sign == '+' && close == "}}")) {
          advance_to(i + 2);
          add(end, "");
          if (end == TokenKind::kBlockEnd || sign == '-') {
            after_block(sign);
          }
          return;
        }
      }
      read_token(open_brackets);
    }
  }

  void read_token(std::string& open_brackets) {
    const char c = source_[at_];
    if (is_name_start(c)) {
      std::size_t end = at_;
      while (end < source_.size() && is_name_char(source_[end])) {
        ++end;
      }
      add(TokenKind::kName, source_.substr(at_, end - at_));
      at_ = end;
    } else if (is_digit(c)) {
      read_number();
    } else if (c == '"' || c == '\'') {
      read_string(c);
    } else {
      read_operator(open_brackets);
    }
  }

  std::size_t digits_from(std::size_t i, bool (*allowed)(char)) const {
    while (i < source_.size() &&
           (allowed(source_[i]) || (source_[i] == '_' && i + 1 < source_.size() && allowed(source_[i + 1])))) {
      ++i;
    }
    return i;
  }

  void read_number() {
    std::size_t end = at_;
    TokenKind kind = TokenKind::kInteger;
    const char base = at_ + 1 < source_.size() ? static_cast<char>(source_[at_ + 1] | 0x20) : '\0';
    if (source_[at_] == '0' && (base == 'x' || base == 'o' || base == 'b')) {
      end = digits_from(at_ + 2, [](char d) { return std::isxdigit(static_cast<unsigned char>(d)) != 0; });
    } else {
      end = digits_from(at_, is_digit);
      if (end + 1 < source_.size() && source_[end] == '.' && is_digit(source_[end + 1])) {
        kind = TokenKind::kFloat;
        end = digits_from(end + 1, is_digit);
      }
      std::size_t exponent = end + 1;
      if (end < source_.size() && (source_[end] | 0x20) == 'e') {
        exponent += exponent < source_.size() && (source_[exponent] == '+' || source_[exponent] == '-') ? 1 : 0;
        if (exponent < source_.size() && is_digit(source_[exponent])) {
          kind = TokenKind::kFloat;
          end = digits_from(exponent, is_digit);
        }
      }
    }
    std::string text = source_.substr(at_, end - at_);
    std::erase(text, '_');
    add(kind, std::move(text));
    at_ = end;
  }

  void read_string(char quote) {
    std::string text;
    std::size_t i = at_ + 1;
    for (;; ++i) {
      if (i >= source_.size()) {
        fail("a string is not closed");
      }
      if (source_[i] == quote) {
        break;
      }
      if (source_[i] == '\\' && i + 1 < source_.size()) {
        ++i;
        read_escape(i, text);
      } else {
        text.push_back(source_[i]);
      }
    }
    const int line = line_;
    advance_to(i + 1);
    tokens_.push_back({TokenKind::kString, std::move(text), line});
  }

  // An escape of a Python string; `i` is at the character after the backslash and ends at the last one of the escape.
  void read_escape(std::size_t& i, std::string& text) {
    constexpr std::string_view kPlain = "ntrbfav0\\'\"";
    constexpr std::string_view kMeaning("\n\t\r\b\f\a\v\0\\'\"", 11);
    const char c = source_[i];
    const int digits = c == 'x' ? 2 : (c == 'u' ? 4 : (c == 'U' ? 8 : 0));
    if (digits != 0) {
      int32_t value = 0;
      for (int d = 0; d < digits; ++d) {
        const char digit = ++i < source_.size() ? source_[i] : '\0';
        if (!std::isxdigit(static_cast<unsigned char>(digit))) {
          fail("a string has a truncated escape");
        }
        value = value * 16 + (is_digit(digit) ? digit - '0' : (digit | 0x20) - 'a' + 10);
        if (value > 0x10FFFF) {
          fail("a string has an escape beyond Unicode");
        }
      }
      text += from_code_points({value});
    } else if (const std::size_t plain = kPlain.find(c); plain != std::string_view::npos) {
      text.push_back(kMeaning[plain]);
    } else if (c != '\n') {  // a backslash at the end of a line continues it
      text.push_back('\\');
      text.push_back(c);
    }
  }

  void read_operator(std::string& open_brackets) {
    constexpr std::string_view kOperators[] = {"//", "**", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "[",
                                               "]",  "(",  ")",  "{",  "}",  ".",  ":", ",", "|", "=", "<", ">", ";"};
    for (const std::string_view op : kOperators) {
      if (source_.compare(at_, op.size(), op) != 0) {
        continue;
      }
      if (op == "(" || op == "[" || op == "{") {
        open_brackets.push_back(op == "(" ? ')' : (op == "[" ? ']' : '}'));
      } else if (op == ")" || op == "]" || op == "}") {
        if (open_brackets.empty() || open_brackets.back() != op[0]) {
          fail("unexpected '" + std::string(op) + "'");
        }
        open_brackets.pop_back();
      }
      add(TokenKind::kOperator, std::string(op));
      at_ += op.size();
      return;
    }
    fail(std::string("unexpected character '") + source_[at_] + "'");
  }

  std::string source_;
  std::size_t at_ = 0;
  int line_ = 1;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) {
  return Lexer(normalise_newlines(source)).run();
}

}  // namespace longship::jinja
