#include "engine/sample/grammar/grammar_facts.h"

#include <algorithm>

namespace longship {

namespace {

constexpr uint32_t kMostDepth = 4000;

void check_rules(const Grammar& grammar) {
  for (const Grammar::Rule& rule : grammar.rules()) {
    if (!rule.defined) {
      refuse_grammar("rule \"" + rule.name + "\" is used and not defined");
    }
  }
}

// Parts come after what they are made of, so one pass sees the inner ones first.
void check_depth(const Grammar& grammar) {
  std::vector<uint32_t> depth;
  for (const Expr& expr : grammar.exprs()) {
    uint32_t inner = 0;
    for (const ExprId part : expr.parts) {
      inner = std::max(inner, depth[part]);
    }
    if (inner >= kMostDepth) {
      refuse_grammar("the grammar is nested more than " + std::to_string(kMostDepth) + " deep");
    }
    depth.push_back(inner + 1);
  }
}

// The parts that hold if `leaf` says whether bytes hold: a sequence if all of its parts do, a choice if one does, a
// call if its rule does. The least solution, found by telling of each part that holds those that it is in.
class Derivation {
 public:
  Derivation(const Grammar& grammar, bool leaf)
      : grammar_(grammar),
        holds_(grammar.exprs().size()),
        missing_(grammar.exprs().size()),
        users_(grammar.exprs().size()) {
    for (ExprId id = 0; id < grammar.exprs().size(); ++id) {
      const Expr& expr = grammar.expr(id);
      for (const ExprId part : expr.parts) {
        users_[part].push_back(id);
      }
      if (expr.kind == Expr::Kind::kCall) {
        users_[grammar.rules()[expr.rule].body].push_back(id);
      }
      const bool all = expr.kind == Expr::Kind::kSequence;
      missing_[id] = all ? static_cast<uint32_t>(expr.parts.size()) : 1;
      // A machine stands for some text, and its parts for none that is empty.
      const bool is_machine = expr.kind == Expr::Kind::kMachine;
      const bool is_leaf = expr.kind == Expr::Kind::kBytes || expr.kind == Expr::Kind::kLiteral || is_machine;
      const bool may_miss = (expr.kind == Expr::Kind::kRepeat && expr.least == 0) ||
                            (is_machine && expr.least == 0 && grammar.machine_of(expr).states.front().may_end);
      if (missing_[id] == 0 || (is_leaf && leaf) || may_miss) {
        work_.push_back(id);
      }
    }
  }

  std::vector<bool> solve() {
    while (!work_.empty()) {
      const ExprId id = work_.back();
      work_.pop_back();
      if (holds_[id]) {
        continue;
      }
      holds_[id] = true;
      for (const ExprId user : users_[id]) {
        if (missing_[user] > 0 && --missing_[user] == 0) {
          work_.push_back(user);
        }
      }
    }
    return std::move(holds_);
  }

 private:
  const Grammar& grammar_;
  std::vector<bool> holds_;
  std::vector<uint32_t> missing_;
  std::vector<std::vector<ExprId>> users_;
  std::vector<ExprId> work_;
};

// The rules that this rule can call before it has read a byte.
std::vector<RuleId> left_calls(const Grammar& grammar, const std::vector<bool>& nullable, RuleId rule) {
  std::vector<RuleId> calls;
  std::vector<ExprId> work{grammar.rules()[rule].body};
  while (!work.empty()) {
    const ExprId id = work.back();
    work.pop_back();
    const Expr& expr = grammar.expr(id);
    if (expr.kind == Expr::Kind::kCall) {
      calls.push_back(expr.rule);
    }
    for (const ExprId part : expr.parts) {
      work.push_back(part);
      if (expr.kind == Expr::Kind::kSequence && !nullable[part]) {
        break;
      }
    }
  }
  return calls;
}

void check_left_recursion(const Grammar& grammar, const std::vector<bool>& nullable) {
  enum class Mark : uint8_t { kNew, kOpen, kDone };
  struct Step {
    RuleId rule;
    std::vector<RuleId> calls;
  };
  std::vector<Mark> marks(grammar.rules().size());
  std::vector<Step> path;  // not the machine's stack: chains of rules may be long
  const auto open = [&](RuleId rule) {
    marks[rule] = Mark::kOpen;
    path.push_back({rule, left_calls(grammar, nullable, rule)});
  };
  for (RuleId root = 0; root < grammar.rules().size(); ++root) {
    if (marks[root] == Mark::kNew) {
      open(root);
    }
    while (!path.empty()) {
      if (path.back().calls.empty()) {
        marks[path.back().rule] = Mark::kDone;
        path.pop_back();
        continue;
      }
      const RuleId next = path.back().calls.back();
      path.back().calls.pop_back();
      if (marks[next] == Mark::kOpen) {
        refuse_grammar("rule \"" + grammar.rules()[next].name + "\" can call itself before it has read anything",
                       "Write it as a repetition instead of left recursion.");
      }
      if (marks[next] == Mark::kNew) {
        open(next);
      }
    }
  }
}

}  // namespace

GrammarFacts check_grammar(const Grammar& grammar) {
  check_rules(grammar);
  check_depth(grammar);
  GrammarFacts facts{.nullable = Derivation(grammar, false).solve(), .productive = Derivation(grammar, true).solve()};
  check_left_recursion(grammar, facts.nullable);
  if (!facts.productive[grammar.rules().front().body]) {
    refuse_grammar("no text of finite length matches the grammar", "Give its recursion an end.");
  }
  return facts;
}

}  // namespace longship
