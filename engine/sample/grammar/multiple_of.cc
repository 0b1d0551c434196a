#include "engine/sample/grammar/multiple_of.h"

#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "engine/sample/grammar/json_number.h"

namespace longship {

namespace {

constexpr std::string_view kSymbols = "0123456789-.";
constexpr uint64_t kMostStates = 20'000;
constexpr uint32_t kMostDigits = 18;  // and a sign, if there is one
constexpr const char* kWhat = "this \"multipleOf\" with these bounds";

// Remainders of what has been read by the units, for each number of digits behind the point; as few states as tell
// multiples apart.
class MultipleAcceptor final : public Acceptor {
 public:
  MultipleAcceptor(Products& products, const Multiple& multiple)
      : units_(static_cast<uint32_t>(multiple.units)), decimals_(multiple.decimals) {
    find_ends();
    find_ways();
    find_classes(products);
  }

  State start() override { return classes_[1]; }
  State next(State state, uint8_t symbol) override {
    const auto at = kSymbols.find(static_cast<char>(symbol));
    return at == std::string_view::npos || state == kDead ? kDead : of_classes_[state][at];
  }
  bool ends(State state) override { return ends_of_classes_[state]; }

 private:
  using Ways = std::array<uint32_t, kSymbols.size()>;

  // Parts of a number: the whole digits, behind the point, behind one digit there, ... State 0 is dead.
  uint32_t state_of(uint32_t part, uint64_t rest) const { return 1 + part * units_ + static_cast<uint32_t>(rest); }

  void find_ends() {
    ends_.assign(1, false);
    for (uint32_t part = 0; part < decimals_ + 2; ++part) {
      const uint32_t digits = part == 0 ? 0 : part - 1;
      uint64_t scale = 1;
      for (uint32_t i = digits; i < decimals_; ++i) scale = scale * 10 % units_;
      for (uint64_t rest = 0; rest < units_; ++rest) ends_.push_back(part != 1 && rest * scale % units_ == 0);
    }
  }

  void find_ways() {
    ways_.emplace_back();
    for (uint32_t part = 0; part < decimals_ + 2; ++part) {
      for (uint64_t rest = 0; rest < units_; ++rest) {
        Ways ways{};
        for (uint64_t digit = 0; digit < 10 && part < decimals_ + 1; ++digit) {
          ways.at(digit) = state_of(part == 0 ? 0 : part + 1, (rest * 10 + digit) % units_);
        }
        if (part == 0) ways[10] = state_of(0, rest);
        if (part == 0 && decimals_ > 0) ways[11] = state_of(1, rest);
        ways_.push_back(ways);
      }
    }
  }

  // States are parted until all of a class have ways into the same classes.
  void find_classes(Products& products) {
    classes_.assign(ways_.size(), 0);
    for (std::size_t state = 1; state < ways_.size(); ++state) classes_[state] = ends_[state] ? 2 : 1;
    for (std::size_t before = 0;;) {
      products.spend(ways_.size(), kWhat);
      std::map<std::pair<uint32_t, Ways>, uint32_t> known;
      std::vector<uint32_t> classes;
      for (std::size_t state = 0; state < ways_.size(); ++state) {
        Ways ways{};
        for (std::size_t i = 0; i < ways.size(); ++i) ways.at(i) = classes_[ways_[state].at(i)];
        classes.push_back(
            known.try_emplace({classes_[state], ways}, static_cast<uint32_t>(known.size())).first->second);
      }
      classes_ = std::move(classes);
      if (known.size() == before) break;
      before = known.size();
    }
    for (std::size_t state = 0; state < ways_.size(); ++state) {
      if (classes_[state] < of_classes_.size()) continue;  // classes are numbered as they are met
      Ways ways{};
      for (std::size_t i = 0; i < ways.size(); ++i) ways.at(i) = classes_[ways_[state].at(i)];
      of_classes_.push_back(ways);
      ends_of_classes_.push_back(ends_[state]);
    }
  }

  uint32_t units_;
  uint32_t decimals_;
  std::vector<bool> ends_;
  std::vector<Ways> ways_;
  std::vector<uint32_t> classes_;
  std::vector<Ways> of_classes_;
  std::vector<bool> ends_of_classes_;
};

uint64_t power_of_ten(uint32_t exponent) {
  uint64_t power = 1;
  for (uint32_t i = 0; i < exponent; ++i) power *= 10;
  return power;
}

// The least whole number that is a multiple.
int64_t whole_multiple(const Multiple& multiple) {
  return static_cast<int64_t>(multiple.units / std::gcd(multiple.units, power_of_ten(multiple.decimals)));
}

// The digits of a number without its sign, and how many of them stand behind the point.
std::pair<std::string, uint32_t> decimal_digits(double value) {
  std::array<char, 400> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), std::abs(value), std::chars_format::fixed).ptr;
  std::string digits(text.data(), end);
  const auto point = digits.find('.');
  if (point == std::string::npos) return {digits, 0};
  digits.erase(point, 1);
  return {digits, static_cast<uint32_t>(digits.size() - point)};
}

}  // namespace

std::optional<Multiple> multiple_of(double value) {
  constexpr double kMost = 9007199254740992;  // all whole numbers up to here are doubles
  constexpr std::size_t kMostUnitDigits = 18;
  if (!(value > 0 && value < kMost)) return std::nullopt;
  const auto [digits, decimals] = decimal_digits(value);
  if (decimals > kDigitsOfDoubles || digits.size() > kMostUnitDigits) return std::nullopt;
  return Multiple{std::stoull(digits), decimals};
}

bool is_multiple(double value, const Multiple& multiple) {
  const auto [digits, decimals] = decimal_digits(value);
  if (decimals > multiple.decimals) return false;
  const uint64_t unit = multiple.units / std::gcd(multiple.units, power_of_ten(multiple.decimals - decimals));
  uint64_t rest = 0;
  for (const char digit : digits) rest = (rest * 10 + static_cast<uint64_t>(digit - '0')) % unit;
  return rest == 0;
}

bool is_multiple(int64_t value, const Multiple& multiple) {
  return value % whole_multiple(multiple) == 0;
}

ExprId add_multiples(Grammar& grammar, Products& products, const Grammar& all, const Multiple& multiple,
                     PartCount length) {
  if (multiple.units > kMostStates / (multiple.decimals + 2)) {
    refuse_grammar(std::string(kWhat) + " would take too many states");
  }
  std::vector<Demand> demands;
  demands.push_back({accept_grammar(all)});
  demands.push_back({std::make_unique<MultipleAcceptor>(products, multiple)});
  ByteSet symbols;
  for (const char symbol : kSymbols) symbols.add(static_cast<uint8_t>(symbol));
  return products.add(
      std::move(demands), symbols, [&](const ByteSet& set) { return grammar.bytes(set); }, kWhat, length);
}

ExprId integer_multiples(Grammar& grammar, Products& products, std::pair<int64_t, int64_t> bounds,
                         const Multiple& multiple) {
  constexpr int64_t kMostWritten = 1000;
  const int64_t unit = whole_multiple(multiple);
  const auto [least, most] = bounds;
  if (least > most) {
    return grammar.nothing();
  }
  const int64_t first = least / unit + (least > 0 && least % unit != 0 ? 1 : 0);
  const int64_t last = most / unit - (most < 0 && most % unit != 0 ? 1 : 0);
  if (last - first < kMostWritten) {
    std::vector<std::string> texts;
    for (int64_t i = first; i <= last; ++i) texts.push_back(std::to_string(i * unit));
    products.spend(texts.size(), kWhat);
    return grammar.one_of(std::move(texts));
  }
  Grammar all;
  const RuleId root = all.add_rule("integer");
  const bool bounded = most < kMostInteger || (least > 1 || (least < 0 && least > -kMostInteger));
  const Multiple whole{static_cast<uint64_t>(unit)};
  if (bounded) {
    all.define(root, integer_between(all, least, most));
    return add_multiples(grammar, products, all, whole);
  }
  // Of all numbers but 0 of some digits: how many is counted apart from the states.
  const ExprId digits = all.repeat(all.bytes(ByteSet::range('0', '9')), 0, kUnbounded);
  const ExprId positive = all.sequence({all.bytes(ByteSet::range('1', '9')), digits});
  const ExprId sign = least < 0 ? all.optional(all.literal("-")) : all.empty();
  all.define(root, all.sequence({sign, positive}));
  const ExprId others = add_multiples(grammar, products, all, whole, {0, kMostDigits});
  return least <= 0 ? grammar.choice({grammar.literal("0"), others}) : others;
}

}  // namespace longship
