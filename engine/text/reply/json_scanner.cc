#include "engine/text/reply/json_scanner.h"

namespace longship {

namespace {

constexpr std::size_t kMostOpen = 64;

bool is_digit(char byte) {
  return byte >= '0' && byte <= '9';
}

bool is_hex(char byte) {
  return is_digit(byte) || (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F');
}

}  // namespace

JsonScanner::Step JsonScanner::push(char byte) {
  switch (state_) {
    case State::kString:
    case State::kEscape:
    case State::kHex:
      return in_text(byte);
    case State::kNumber:
      return number(byte);
    case State::kLiteral:
      if (byte != literal_.front()) {
        return Step::kBad;
      }
      literal_.remove_prefix(1);
      return literal_.empty() ? end_value() : Step::kMore;
    case State::kOver:
      return Step::kBad;
    default:
      return is_json_space(byte) ? Step::kMore : structure(byte);
  }
}

JsonScanner::Step JsonScanner::structure(char byte) {
  switch (state_) {
    case State::kFirstItem:
      return byte == ']' ? close(byte) : begin_value(byte);
    case State::kFirstKey:
    case State::kKey:
      if (byte == '}' && state_ == State::kFirstKey) {
        return close(byte);
      }
      if (byte != '"') {
        return Step::kBad;
      }
      key_ = true;
      state_ = State::kString;
      return Step::kMore;
    case State::kColon:
      state_ = State::kValue;
      return byte == ':' ? Step::kMore : Step::kBad;
    case State::kAfterValue:
      if (byte != ',') {
        return close(byte);
      }
      state_ = open_.back() == '{' ? State::kKey : State::kValue;
      return Step::kMore;
    default:
      return begin_value(byte);
  }
}

JsonScanner::Step JsonScanner::begin_value(char byte) {
  constexpr std::string_view kLiterals[] = {"true", "false", "null"};
  if (byte == '{' || byte == '[') {
    return open(byte);
  }
  if (byte == '"') {
    key_ = false;
    state_ = State::kString;
    return Step::kMore;
  }
  if (byte == '-' || is_digit(byte)) {
    state_ = State::kNumber;
    number_ = byte == '-' ? Number::kSign : (byte == '0' ? Number::kZero : Number::kInteger);
    return Step::kMore;
  }
  for (const std::string_view literal : kLiterals) {
    if (byte == literal.front()) {
      state_ = State::kLiteral;
      literal_ = literal.substr(1);
      return Step::kMore;
    }
  }
  return Step::kBad;
}

JsonScanner::Step JsonScanner::open(char bracket) {
  open_ += bracket;
  state_ = bracket == '{' ? State::kFirstKey : State::kFirstItem;
  return open_.size() <= kMostOpen ? Step::kMore : Step::kBad;
}

JsonScanner::Step JsonScanner::close(char bracket) {
  if (bracket != (open_.back() == '{' ? '}' : ']')) {
    return Step::kBad;
  }
  open_.pop_back();
  return end_value();
}

JsonScanner::Step JsonScanner::end_value() {
  state_ = open_.empty() ? State::kOver : State::kAfterValue;
  return open_.empty() ? Step::kEnd : Step::kMore;
}

// A byte of a string.
JsonScanner::Step JsonScanner::in_text(char byte) {
  if (state_ == State::kHex) {
    state_ = --hex_left_ == 0 ? State::kString : State::kHex;
    return is_hex(byte) ? Step::kMore : Step::kBad;
  }
  if (state_ == State::kEscape) {
    hex_left_ = 4;
    state_ = byte == 'u' ? State::kHex : State::kString;
    return std::string_view("\"\\/bfnrtu").find(byte) != std::string_view::npos ? Step::kMore : Step::kBad;
  }
  if (byte == '\\') {
    state_ = State::kEscape;
  } else if (byte == '"') {
    if (!key_) {
      return end_value();
    }
    state_ = State::kColon;
  }
  return Step::kMore;
}

JsonScanner::Step JsonScanner::number(char byte) {
  if (number_goes_on(byte)) {
    return Step::kMore;
  }
  const bool whole = number_ == Number::kZero || number_ == Number::kInteger || number_ == Number::kFraction ||
                     number_ == Number::kExponentDigits;
  if (!whole) {
    return Step::kBad;
  }
  return end_value() == Step::kEnd ? Step::kEndBefore : push(byte);
}

bool JsonScanner::number_goes_on(char byte) {
  const bool exponent = number_ >= Number::kExponent;
  const bool integer = number_ == Number::kZero || number_ == Number::kInteger;
  if (is_digit(byte) && number_ != Number::kZero) {
    if (exponent) {
      number_ = Number::kExponentDigits;
    } else if (number_ == Number::kSign) {
      number_ = byte == '0' ? Number::kZero : Number::kInteger;
    } else if (number_ == Number::kPoint) {
      number_ = Number::kFraction;
    }
    return true;
  }
  if (byte == '.' && integer) {
    number_ = Number::kPoint;
    return true;
  }
  if ((byte == 'e' || byte == 'E') && (integer || number_ == Number::kFraction)) {
    number_ = Number::kExponent;
    return true;
  }
  if ((byte == '+' || byte == '-') && number_ == Number::kExponent) {
    number_ = Number::kExponentSign;
    return true;
  }
  return false;
}

}  // namespace longship
