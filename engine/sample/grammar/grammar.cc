#include "engine/sample/grammar/grammar.h"

#include <algorithm>
#include <span>
#include <utility>

#include "core/error.h"

namespace longship {

namespace {

constexpr std::size_t kMostExprs = 100'000;
constexpr std::size_t kMostLiteralBytes = std::size_t{1} << 19U;
constexpr std::size_t kMostRules = 50'000;

// Texts from the `offset` on, sorted and different.
ExprId shared_beginnings(Grammar& grammar, std::span<const std::string> texts, std::size_t offset) {
  const std::string& first = texts.front();
  const std::string& last = texts.back();
  std::size_t common = offset;  // of sorted texts, first and last share what all share
  while (common < first.size() && common < last.size() && first[common] == last[common]) {
    ++common;
  }
  const ExprId head = grammar.literal(std::string_view(first).substr(offset, common - offset));
  if (texts.size() == 1) {
    return head;
  }
  std::vector<ExprId> tails;
  if (first.size() == common) {
    tails.push_back(grammar.empty());
    texts = texts.subspan(1);
  }
  while (!texts.empty()) {
    const char byte = texts.front()[common];
    const auto end = std::find_if(texts.begin(), texts.end(), [&](const auto& text) { return text[common] != byte; });
    const auto group = static_cast<std::size_t>(end - texts.begin());
    tails.push_back(shared_beginnings(grammar, texts.first(group), common));
    texts = texts.subspan(group);
  }
  return grammar.sequence({head, grammar.choice(tails)});
}

// The states from which an end is reached.
std::vector<bool> lead_to_an_end(const std::vector<MachineState>& states) {
  std::vector<std::vector<uint32_t>> before(states.size());
  std::vector<bool> leads(states.size());
  std::vector<uint32_t> work;
  for (uint32_t state = 0; state < states.size(); ++state) {
    for (const MachineState::Way& way : states[state].ways) before[way.to].push_back(state);
    if (states[state].may_end) {
      leads[state] = true;
      work.push_back(state);
    }
  }
  while (!work.empty()) {
    const uint32_t state = work.back();
    work.pop_back();
    for (const uint32_t other : before[state]) {
      if (!leads[other]) {
        leads[other] = true;
        work.push_back(other);
      }
    }
  }
  return leads;
}

}  // namespace

void refuse_grammar(std::string cause, std::string remedy) {
  throw Error(ErrorKind::kUsage, std::move(cause), std::move(remedy));
}

Grammar::Grammar() {
  exprs_.push_back({.kind = Expr::Kind::kSequence});
  exprs_.push_back({.kind = Expr::Kind::kChoice});
}

ExprId Grammar::add(Expr expr) {
  literal_bytes_ += expr.literal.size();
  if (exprs_.size() >= kMostExprs || literal_bytes_ > kMostLiteralBytes) {
    refuse_grammar("the grammar has more than " + std::to_string(kMostExprs) + " parts or " +
                       std::to_string(kMostLiteralBytes) + " literal bytes",
                   "Make it smaller.");
  }
  exprs_.push_back(std::move(expr));
  return static_cast<ExprId>(exprs_.size() - 1);
}

ExprId Grammar::bytes(const ByteSet& set) {
  return set.empty() ? nothing() : add({.kind = Expr::Kind::kBytes, .bytes = set});
}

ExprId Grammar::literal(std::string_view text) {
  return text.empty() ? empty() : add({.kind = Expr::Kind::kLiteral, .literal = std::string(text)});
}

ExprId Grammar::sequence(std::vector<ExprId> parts) {
  if (std::find(parts.begin(), parts.end(), nothing()) != parts.end()) {
    return nothing();
  }
  std::erase(parts, empty());
  if (parts.empty()) {
    return empty();
  }
  return parts.size() == 1 ? parts.front() : add({.kind = Expr::Kind::kSequence, .parts = std::move(parts)});
}

ExprId Grammar::choice(const std::vector<ExprId>& parts) {
  ByteSet single;  // alternatives of one byte are one set
  std::vector<ExprId> others;
  for (const ExprId part : parts) {
    if (exprs_[part].kind == Expr::Kind::kBytes) {
      single = single | exprs_[part].bytes;
    } else if (part != nothing()) {
      others.push_back(part);
    }
  }
  if (!single.empty()) {
    others.insert(others.begin(), bytes(single));
  }
  if (others.empty()) {
    return nothing();
  }
  return others.size() == 1 ? others.front() : add({.kind = Expr::Kind::kChoice, .parts = std::move(others)});
}

ExprId Grammar::repeat(ExprId part, uint32_t least, uint32_t most) {
  if (most == 0 || part == empty()) {
    return empty();
  }
  if (least == 1 && most == 1) {
    return part;
  }
  return add({.kind = Expr::Kind::kRepeat, .parts = {part}, .least = least, .most = most});
}

ExprId Grammar::call(RuleId rule) {
  return add({.kind = Expr::Kind::kCall, .rule = rule});
}

ExprId Grammar::machine(std::vector<MachineState> states) {
  const std::vector<bool> leads = lead_to_an_end(states);
  if (states.empty() || !leads.front()) {
    return nothing();
  }
  std::vector<uint32_t> numbers(states.size());
  uint32_t kept = 0;
  for (uint32_t state = 0; state < states.size(); ++state) {
    numbers[state] = kept;
    kept += leads[state] ? 1 : 0;
  }
  Expr expr{.kind = Expr::Kind::kMachine, .machine = static_cast<uint32_t>(machines_.size())};
  std::vector<MachineState> machine;
  for (uint32_t state = 0; state < states.size(); ++state) {
    if (!leads[state]) continue;
    machine.push_back({.may_end = states[state].may_end});
    for (const auto& [part, to] : states[state].ways) {
      if (!leads[to]) continue;
      machine.back().ways.push_back({part, numbers[to]});
      expr.parts.push_back(part);
    }
  }
  std::sort(expr.parts.begin(), expr.parts.end());
  expr.parts.erase(std::unique(expr.parts.begin(), expr.parts.end()), expr.parts.end());
  machines_.push_back(std::move(machine));
  return add(std::move(expr));
}

ExprId Grammar::one_of(std::vector<std::string> texts) {
  std::sort(texts.begin(), texts.end());
  texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
  return texts.empty() ? nothing() : shared_beginnings(*this, texts, 0);
}

RuleId Grammar::add_rule(std::string name, bool shared) {
  if (rules_.size() >= kMostRules) {
    refuse_grammar("the grammar has more than " + std::to_string(kMostRules) + " rules", "Make it smaller.");
  }
  rules_.push_back({.name = std::move(name), .shared = shared});
  return static_cast<RuleId>(rules_.size() - 1);
}

void Grammar::define(RuleId rule, ExprId body) {
  rules_[rule].body = body;
  rules_[rule].defined = true;
}

void Grammar::begin_with(ExprId part) {
  const RuleId whole = add_rule(rules_[0].name, rules_[0].shared);
  define(whole, rules_[0].body);
  for (Expr& expr : exprs_) {
    if (expr.kind == Expr::Kind::kCall && expr.rule == 0) {
      expr.rule = whole;
    }
  }
  define(0, sequence({part, call(whole)}));
}

}  // namespace longship
