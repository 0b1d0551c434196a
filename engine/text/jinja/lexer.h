#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace longship::jinja {

enum class TokenKind : uint8_t {
  kData,           ///< Text to be copied.
  kVariableBegin,  ///< {{
  kVariableEnd,
  kBlockBegin,  ///< {%
  kBlockEnd,
  kName,
  kInteger,
  kFloat,
  kString,    ///< Text with escapes undone.
  kOperator,  ///< One of + - * / // ** % ~ [ ] ( ) { } . : , | = == != < <= > >= ;
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;
  int line = 1;
};

/// Tokens of a template as Jinja reads it with trim_blocks and lstrip_blocks: a block or comment alone on its line
/// takes the line's white space and newline along; "-" strips further, "+" keeps. Comments vanish, raw blocks become
/// data. Errors: TemplateError with the line.
std::vector<Token> tokenize(std::string_view source);

}  // namespace longship::jinja
