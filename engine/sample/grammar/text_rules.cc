#include "engine/sample/grammar/text_rules.h"

#include <algorithm>
#include <map>
#include <set>

#include "engine/sample/grammar/code_points.h"

namespace longship {

namespace {

constexpr std::size_t kMostClasses = 200;
constexpr std::size_t kMostSets = 500;

// A character that some dialect may take otherwise in \s or a dot, or that Python's $ passes over.
constexpr const char* kCommonText =
    "[^\\x00-\\x1f\\x7f-\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000\\ufeff]*";
constexpr const char* kWhat = "joining \"pattern\" with other conditions of a string";
constexpr const char* kAsciiText = "[ -~]*";

// Characters that no rule tells apart are one symbol.
class Symbols {
 public:
  // The sets of the rules are known once all patterns are read with this.
  void note(const CodePointSet& set) {
    if (sets_.insert(set.ranges()).second && sets_.size() > kMostSets) {
      refuse_grammar("patterns for one text have more than " + std::to_string(kMostSets) + " classes of characters");
    }
  }

  void divide(Products& products) {
    std::set<uint32_t> cuts;
    const CodePointSet all = CodePointSet::all();  // outlives its ranges
    for (const CodePointSet::Range& range : all.ranges()) add_cuts(cuts, range);
    for (const auto& ranges : sets_) {
      for (const CodePointSet::Range& range : ranges) add_cuts(cuts, range);
    }
    products.spend(cuts.size() * sets_.size() / 8, kWhat);
    std::map<std::vector<bool>, std::vector<CodePointSet::Range>> classes;  // by the sets that they are in
    for (auto cut = cuts.begin(); std::next(cut) != cuts.end(); ++cut) {
      std::vector<bool> in;
      for (const auto& ranges : sets_) in.push_back(contains(ranges, *cut));
      classes[in].emplace_back(*cut, *std::next(cut) - 1);
    }
    for (auto& [in, ranges] : classes) {
      CodePointSet characters(std::move(ranges));
      if (!characters.ranges().empty()) classes_.push_back(std::move(characters));
    }
    if (classes_.size() > kMostClasses) {
      refuse_grammar("patterns for one text tell more than " + std::to_string(kMostClasses) +
                     " classes of characters apart");
    }
  }

  ByteSet all() const { return symbols_of(CodePointSet::all()); }

  ByteSet symbols_of(const CodePointSet& set) const {
    ByteSet symbols;
    for (std::size_t i = 0; i < classes_.size(); ++i) {
      if (contains(set.ranges(), classes_[i].ranges().front().first)) symbols.add(static_cast<uint8_t>(i));
    }
    return symbols;
  }

  CodePointSet characters_of(const ByteSet& symbols) const {
    std::vector<CodePointSet::Range> ranges;
    for (std::size_t i = 0; i < classes_.size(); ++i) {
      const auto& more = classes_[i].ranges();
      if (symbols.has(static_cast<uint8_t>(i))) ranges.insert(ranges.end(), more.begin(), more.end());
    }
    return {std::move(ranges)};
  }

 private:
  static void add_cuts(std::set<uint32_t>& cuts, const CodePointSet::Range& range) {
    cuts.insert(range.first);
    cuts.insert(range.second + 1);
  }

  static bool contains(const std::vector<CodePointSet::Range>& ranges, uint32_t code_point) {
    const CodePointSet::Range here{code_point, UINT32_MAX};
    const auto after = std::upper_bound(ranges.begin(), ranges.end(), here);
    return after != ranges.begin() && code_point <= std::prev(after)->second;
  }

  std::set<std::vector<CodePointSet::Range>> sets_;
  std::vector<CodePointSet> classes_;
};

std::string pattern_of(const std::vector<std::string>& texts) {
  std::string pattern;
  for (const std::string& text : texts) {
    if (&text != &texts.front()) pattern += '|';
    for (const char c : text) {
      if (std::string_view("\\^$.|?*+()[]{}").find(c) != std::string_view::npos) pattern += '\\';
      pattern += c;
    }
  }
  return pattern;
}

std::vector<TextRule> with_care(const TextRules& rules) {
  std::vector<TextRule> all = rules.rules;
  const auto negated = [](const TextRule& rule) { return !rule.holds; };
  const auto has_classes = [&](const TextRule& rule) {
    const auto has = [&](const char* escape) { return rule.pattern.find(escape) != std::string::npos; };
    return negated(rule) && (has("\\w") || has("\\W") || has("\\d") || has("\\D"));
  };
  if (std::any_of(all.begin(), all.end(), negated)) {
    const bool ascii = std::any_of(all.begin(), all.end(), has_classes);
    all.push_back({ascii ? kAsciiText : kCommonText, RegexAnchors::kWholeText});
  }
  if (!rules.other_than.empty()) {
    all.push_back({pattern_of(rules.other_than), RegexAnchors::kWholeText, false});
  }
  return all;
}

}  // namespace

ExprId add_text(Grammar& grammar, Products& products, const TextRules& rules, const WriteChar& write) {
  const std::vector<TextRule> all = with_care(rules);
  Symbols symbols;
  for (const TextRule& rule : all) {
    Grammar unused;
    const auto note = [&](Grammar& to, const CodePointSet& set) {
      symbols.note(set);
      return to.nothing();
    };
    add_regex(unused, rule.pattern, rule.anchors, note);
  }
  symbols.divide(products);
  std::vector<Demand> demands;
  for (const TextRule& rule : all) {
    Grammar own;
    const RuleId root = own.add_rule("root");
    const auto as_symbols = [&](Grammar& to, const CodePointSet& set) { return to.bytes(symbols.symbols_of(set)); };
    own.define(root, add_regex(own, rule.pattern, rule.anchors, as_symbols).expr);
    demands.push_back({accept_grammar(own), rule.holds});
  }
  return products.add(std::move(demands), symbols.all(),
                      [&](const ByteSet& set) { return write(grammar, symbols.characters_of(set)); }, kWhat,
                      {rules.least, rules.most});
}

}  // namespace longship
