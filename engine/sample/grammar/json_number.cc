#include "engine/sample/grammar/json_number.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string>

namespace longship {

namespace {

constexpr uint32_t kMostTail = 16;
constexpr double kMostNumber = 1e15;

ExprId digit(Grammar& grammar, int first, int last) {
  if (first > last) {
    return grammar.nothing();
  }
  return grammar.bytes(ByteSet::range(static_cast<uint8_t>('0' + first), static_cast<uint8_t>('0' + last)));
}

ExprId any_digits(Grammar& grammar, uint32_t least, uint32_t most) {
  return grammar.repeat(digit(grammar, 0, 9), least, most);
}

// Texts of as many digits as the two have, from one to the other.
ExprId same_length(Grammar& grammar, const std::string& least, const std::string& most, std::size_t from) {
  const auto rest = static_cast<uint32_t>(least.size() - from);
  const auto all = [&](const std::string& text, char c) {
    return text.find_first_not_of(c, from) == std::string::npos;
  };
  if (all(least, '0') && all(most, '9')) {
    return any_digits(grammar, rest, rest);
  }
  const int low = least[from] - '0';
  const int high = most[from] - '0';
  if (low == high) {
    return grammar.sequence({digit(grammar, low, low), same_length(grammar, least, most, from + 1)});
  }
  const std::string nines(least.size(), '9');
  const std::string zeros(least.size(), '0');
  const ExprId between =
      low + 1 > high - 1
          ? grammar.nothing()
          : grammar.sequence({digit(grammar, low + 1, high - 1), any_digits(grammar, rest - 1, rest - 1)});
  return grammar.choice({grammar.sequence({digit(grammar, low, low), same_length(grammar, least, nines, from + 1)}),
                         between,
                         grammar.sequence({digit(grammar, high, high), same_length(grammar, zeros, most, from + 1)})});
}

ExprId magnitude_between(Grammar& grammar, uint64_t least, uint64_t most) {
  std::vector<ExprId> by_length;
  uint64_t first = 0;  // of the length
  for (std::size_t length = 1; length <= 20 && first <= most; ++length) {
    const uint64_t last = length < 20 ? std::stoull(std::string(length, '9')) : UINT64_MAX;
    const uint64_t low = std::max(least, first);
    const uint64_t high = std::min(most, last);
    if (low <= high) {
      by_length.push_back(same_length(grammar, std::to_string(low), std::to_string(high), 0));
    }
    if (length == 20) {
      break;
    }
    first = last + 1;
  }
  return grammar.choice(by_length);
}

/// A number that is not negative, in digits. No zeros at the end of its fraction.
struct Decimal {
  uint64_t whole = 0;
  std::string fraction{};
  bool exclusive = false;
};

Decimal decimal_of(double value, bool exclusive) {
  std::array<char, 400> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), std::abs(value), std::chars_format::fixed).ptr;
  const std::string digits(text.data(), end);
  Decimal decimal{.exclusive = exclusive};
  const auto point = digits.find('.');
  decimal.whole = std::stoull(digits.substr(0, point));
  if (point != std::string::npos) {
    decimal.fraction = digits.substr(point + 1);
    decimal.fraction.erase(decimal.fraction.find_last_not_of('0') + 1);
  }
  return decimal;
}

// What stands behind the whole part of a number: digits of its fraction against those of a bound.
class Fractions {
 public:
  explicit Fractions(Grammar& grammar) : grammar_(grammar) {}

  ExprId any() { return grammar_.optional(grammar_.sequence({point(), any_digits(grammar_, 1, kMostTail)})); }

  ExprId from(const Decimal& bound) {
    if (bound.fraction.empty() && !bound.exclusive) {
      return any();
    }
    return grammar_.sequence({point(), at_least(bound, 0)});
  }

  ExprId to(const Decimal& bound) {
    if (bound.fraction.empty()) {
      return bound.exclusive ? grammar_.nothing() : zeros();
    }
    return grammar_.optional(grammar_.sequence({point(), at_most(bound, 0)}));
  }

  ExprId between(const Decimal& least, const Decimal& most) {
    if (least.fraction >= most.fraction) {  // as texts, which are compared as numbers are
      const bool one = least.fraction == most.fraction && !least.exclusive && !most.exclusive;
      if (!one) {
        return grammar_.nothing();
      }
      return least.fraction.empty() ? zeros()
                                    : grammar_.sequence({grammar_.literal("." + least.fraction), zero_digits(0)});
    }
    const ExprId fraction = grammar_.sequence({point(), inside(least, most, 0)});
    return least.fraction.empty() && !least.exclusive ? grammar_.optional(fraction) : fraction;
  }

 private:
  ExprId point() { return grammar_.literal("."); }
  ExprId tail() { return any_digits(grammar_, 0, kMostTail); }
  ExprId zero_digits(uint32_t least) { return grammar_.repeat(digit(grammar_, 0, 0), least, kMostTail); }
  ExprId zeros() { return grammar_.optional(grammar_.sequence({point(), zero_digits(1)})); }

  static int at(const std::string& fraction, std::size_t i) { return i < fraction.size() ? fraction[i] - '0' : 0; }

  // The digits from the i-th on of fractions that began as the bound's.
  ExprId at_least(const Decimal& bound, std::size_t i) {
    if (i >= bound.fraction.size()) {
      return bound.exclusive ? grammar_.sequence({zero_digits(0), digit(grammar_, 1, 9), tail()}) : tail();
    }
    const int here = at(bound.fraction, i);
    return grammar_.choice({grammar_.sequence({digit(grammar_, here + 1, 9), tail()}),
                            grammar_.sequence({digit(grammar_, here, here), at_least(bound, i + 1)})});
  }

  ExprId at_most(const Decimal& bound, std::size_t i) {
    const int here = at(bound.fraction, i);
    return grammar_.choice({grammar_.sequence({digit(grammar_, 0, here - 1), tail()}),
                            grammar_.sequence({digit(grammar_, here, here), at_most_or_end(bound, i + 1)})});
  }

  // What is left of the bound is not 0, so that a fraction which ends before is below it.
  ExprId at_most_or_end(const Decimal& bound, std::size_t i) {
    if (i < bound.fraction.size()) {
      return grammar_.optional(at_most(bound, i));
    }
    return bound.exclusive ? grammar_.nothing() : zero_digits(0);
  }

  ExprId inside(const Decimal& least, const Decimal& most, std::size_t i) {
    const int low = at(least.fraction, i);
    const int high = at(most.fraction, i);
    if (low == high) {
      const bool may_end = i + 1 >= least.fraction.size() && !least.exclusive;
      const ExprId more = inside(least, most, i + 1);
      return grammar_.sequence({digit(grammar_, low, low), may_end ? grammar_.optional(more) : more});
    }
    return grammar_.choice({grammar_.sequence({digit(grammar_, low, low), at_least(least, i + 1)}),
                            grammar_.sequence({digit(grammar_, low + 1, high - 1), tail()}),
                            grammar_.sequence({digit(grammar_, high, high), at_most_or_end(most, i + 1)})});
  }

  Grammar& grammar_;
};

// A sequence with a part that stands for nothing stands for nothing, which the automaton finds out.
ExprId magnitudes(Grammar& grammar, const Decimal& least, const Decimal& most) {
  Fractions fractions(grammar);
  const auto whole = [&](uint64_t from, uint64_t to, ExprId fraction) {
    return grammar.sequence({magnitude_between(grammar, from, to), fraction});
  };
  if (least.whole > most.whole) {
    return grammar.nothing();
  }
  if (least.whole == most.whole) {
    return whole(least.whole, least.whole, fractions.between(least, most));
  }
  return grammar.choice(
      {whole(least.whole, least.whole, fractions.from(least)),
       least.whole + 1 < most.whole ? whole(least.whole + 1, most.whole - 1, fractions.any()) : grammar.nothing(),
       whole(most.whole, most.whole, fractions.to(most))});
}

}  // namespace

ExprId integer_between(Grammar& grammar, int64_t least, int64_t most) {
  if (least > most) {
    return grammar.nothing();
  }
  std::vector<ExprId> parts;
  if (least < 0) {
    const auto magnitude = [](int64_t value) { return uint64_t{0} - static_cast<uint64_t>(value); };
    parts.push_back(grammar.sequence(
        {grammar.literal("-"), magnitude_between(grammar, most < 0 ? magnitude(most) : 1, magnitude(least))}));
  }
  if (most >= 0) {
    parts.push_back(
        magnitude_between(grammar, static_cast<uint64_t>(std::max<int64_t>(0, least)), static_cast<uint64_t>(most)));
  }
  return grammar.choice(parts);
}

ExprId number_between(Grammar& grammar, const std::optional<NumberBound>& least,
                      const std::optional<NumberBound>& most) {
  if ((least && !(least->value < kMostNumber)) || (most && !(most->value > -kMostNumber))) {
    refuse_grammar("numbers of 10^15 and more, or of -10^15 and less, are not written within bounds");
  }
  const NumberBound lowest{-kMostNumber, true};
  const NumberBound highest{kMostNumber, true};
  const NumberBound low = least && least->value > lowest.value ? *least : lowest;
  const NumberBound high = most && most->value < highest.value ? *most : highest;
  std::vector<ExprId> parts;
  if (low.value < 0) {
    const Decimal nearest = high.value < 0 ? decimal_of(high.value, high.exclusive) : Decimal{.exclusive = true};
    parts.push_back(
        grammar.sequence({grammar.literal("-"), magnitudes(grammar, nearest, decimal_of(low.value, low.exclusive))}));
  }
  if (high.value >= 0) {
    const Decimal nearest = low.value < 0 ? Decimal{} : decimal_of(low.value, low.exclusive);
    parts.push_back(magnitudes(grammar, nearest, decimal_of(high.value, high.exclusive)));
  }
  return grammar.choice(parts);
}

}  // namespace longship
