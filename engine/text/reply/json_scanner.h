#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace longship {

/// White space of JSON.
constexpr std::string_view kJsonSpace = " \t\n\r";
inline bool is_json_space(char byte) {
  return kJsonSpace.find(byte) != std::string_view::npos;
}

/// Follows one JSON value (RFC 8259), white space before it included, byte by byte. Control characters inside strings
/// are let through: models write them, and a reader can mend them.
class JsonScanner {
 public:
  enum class Step : uint8_t {
    kMore,       ///< The byte belongs to the value, which may go on.
    kEnd,        ///< The byte is the last of the value.
    kEndBefore,  ///< The value, a number, ended before this byte.
    kBad,        ///< No JSON value goes on like this.
  };

  Step push(char byte);
  /// Whether the next byte stands inside a string.
  bool in_string() const { return state_ == State::kString; }

 private:
  enum class State : uint8_t {
    kValue,
    kFirstItem,
    kFirstKey,
    kKey,
    kColon,
    kAfterValue,
    kString,
    kEscape,
    kHex,
    kNumber,
    kLiteral,
    kOver,
  };
  enum class Number : uint8_t { kSign, kZero, kInteger, kPoint, kFraction, kExponent, kExponentSign, kExponentDigits };

  Step structure(char byte);
  Step begin_value(char byte);
  Step open(char bracket);
  Step close(char bracket);
  Step end_value();
  Step in_text(char byte);
  Step number(char byte);
  bool number_goes_on(char byte);

  State state_ = State::kValue;
  std::string open_;          ///< Brackets that are open, the innermost last.
  bool key_ = false;          ///< The string is a key.
  int hex_left_ = 0;          ///< Digits of \uXXXX to come.
  std::string_view literal_;  ///< What is left of true, false or null.
  Number number_ = Number::kSign;
};

}  // namespace longship
