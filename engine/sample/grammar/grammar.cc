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

std::vector<std::vector<uint32_t>> states_before(const std::vector<MachineState>& states) {
  std::vector<std::vector<uint32_t>> before(states.size());
  for (uint32_t state = 0; state < states.size(); ++state) {
    for (const MachineState::Way& way : states[state].ways) before[way.to].push_back(state);
  }
  return before;
}

/// The fewest and the most parts to an end. kUnbounded: there is none, or no bound.
struct Distance {
  uint32_t nearest = kUnbounded;
  uint32_t farthest = kUnbounded;
};

// From the ends backwards. What is on a way in a circle is never done, and so has no bound.
std::vector<Distance> distances_of(const std::vector<MachineState>& states) {
  const auto before = states_before(states);
  std::vector<Distance> distances(states.size());
  std::vector<uint32_t> work;
  std::vector<std::size_t> open;
  std::vector<uint32_t> done;
  for (uint32_t state = 0; state < states.size(); ++state) {
    if (states[state].may_end) {
      distances[state].nearest = 0;
      work.push_back(state);
    }
    open.push_back(states[state].ways.size());
    if (open.back() == 0) done.push_back(state);
  }
  for (std::size_t i = 0; i < work.size(); ++i) {
    for (const uint32_t other : before[work[i]]) {
      if (distances[other].nearest != kUnbounded) continue;
      distances[other].nearest = distances[work[i]].nearest + 1;
      work.push_back(other);
    }
  }
  for (std::size_t i = 0; i < done.size(); ++i) {
    distances[done[i]].farthest = 0;
    for (const MachineState::Way& way : states[done[i]].ways) {
      distances[done[i]].farthest = std::max(distances[done[i]].farthest, distances[way.to].farthest + 1);
    }
    for (const uint32_t other : before[done[i]]) {
      if (--open[other] == 0) done.push_back(other);
    }
  }
  return distances;
}

// The machine without states that no end is reached from; empty if the first is one.
std::vector<MachineState> with_ends(const std::vector<MachineState>& states) {
  const std::vector<Distance> distances = distances_of(states);
  const auto leads = [&](uint32_t state) { return distances[state].nearest != kUnbounded; };
  std::vector<MachineState> kept;
  if (states.empty() || !leads(0)) return kept;
  std::vector<uint32_t> numbers(states.size());
  for (uint32_t state = 0; state < states.size(); ++state) {
    numbers[state] = static_cast<uint32_t>(kept.size());
    if (leads(state)) kept.push_back(states[state]);
  }
  for (MachineState& state : kept) {
    std::erase_if(state.ways, [&](const MachineState::Way& way) { return !leads(way.to); });
    for (MachineState::Way& way : state.ways) way.to = numbers[way.to];
  }
  return kept;
}

// Whether a number of parts between the fewest and the most of some state leads to no end. Without gaps from any state
// one part on there are none, so it is enough to look that far.
bool has_gaps(const std::vector<MachineState>& states, const std::vector<Distance>& distances) {
  return std::any_of(states.begin(), states.end(), [&](const MachineState& state) {
    std::vector<std::pair<uint32_t, uint32_t>> spans;
    if (state.may_end) spans.emplace_back(0, 0);
    for (const MachineState::Way& way : state.ways) {
      const auto& [nearest, farthest] = distances[way.to];
      spans.emplace_back(nearest + 1, farthest == kUnbounded ? kUnbounded : farthest + 1);
    }
    std::sort(spans.begin(), spans.end());
    uint32_t end = spans.front().second;
    for (const auto& [first, last] : spans) {
      if (end != kUnbounded && first > end + 1) return true;
      end = std::max(end, last);
    }
    return false;
  });
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
  return *machine(std::move(states), {});
}

std::optional<ExprId> Grammar::machine(std::vector<MachineState> states, PartCount count) {
  states = with_ends(states);
  if (states.empty()) {
    return nothing();
  }
  Machine machine{.states = std::move(states)};
  if (!count.any()) {
    const std::vector<Distance> distances = distances_of(machine.states);
    if (has_gaps(machine.states, distances)) return std::nullopt;
    for (const auto& [nearest, farthest] : distances) {
      const uint32_t least = farthest == kUnbounded ? 0 : count.least - std::min(count.least, farthest);
      const uint32_t most = count.most == kUnbounded ? kUnbounded : count.most - std::min(count.most, nearest);
      machine.counts.push_back({least, most});
    }
    const auto& [nearest, farthest] = distances.front();
    if (nearest > count.most || (farthest != kUnbounded && farthest < count.least)) return nothing();
    for (MachineState& state : machine.states) {  // the last part cannot lead there in time
      std::erase_if(state.ways, [&](const auto& way) { return distances[way.to].nearest >= count.most; });
    }
  }
  Expr expr{.kind = Expr::Kind::kMachine,
            .least = count.least,
            .most = count.most,
            .machine = static_cast<uint32_t>(machines_.size())};
  for (const MachineState& state : machine.states) {
    for (const MachineState::Way& way : state.ways) expr.parts.push_back(way.part);
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
