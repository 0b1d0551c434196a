#include "engine/sample/grammar/graph_builder.h"

#include <algorithm>
#include <map>
#include <utility>

#include "engine/sample/grammar/grammar_facts.h"

namespace longship {

namespace {

using Node = Automaton::Node;

constexpr std::size_t kMostNodes = 200'000;
constexpr uint64_t kMostCopiedNodes = 64;   // a repetition up to this size is written out
constexpr uint64_t kMostInlinedNodes = 64;  // a rule up to this size becomes part of its callers

class GraphBuilder {
 public:
  explicit GraphBuilder(const Grammar& grammar)
      : grammar_(grammar), facts_(check_grammar(grammar)), starts_(grammar.rules().size(), kNotBuilt) {
    graph_.nodes.emplace_back();
    find_sizes();
  }

  Automaton::Graph build() {
    wanted_.push_back(0);
    while (!wanted_.empty()) {
      const RuleId rule = wanted_.back();
      wanted_.pop_back();
      if (starts_[rule] == kNotBuilt) {
        starts_[rule] = build(grammar_.rules()[rule].body, kEnd);
      }
    }
    for (Node& node : graph_.nodes) {
      if (node.kind == Node::Kind::kCall) {
        node.what = starts_[node.what];
      }
    }
    graph_.start = starts_[0];
    return std::move(graph_);
  }

 private:
  static constexpr uint32_t kNotBuilt = UINT32_MAX;
  static constexpr uint32_t kEnd = 0;
  static constexpr uint64_t kHuge = uint64_t{1} << 32U;

  // How many nodes a part takes; kHuge for one that is not copied into others: it loops, or calls what does.
  // A rule's size is known where its body comes before the call, as it does for rules of single characters.
  void find_sizes() {
    std::vector<uint64_t> of_rule(grammar_.rules().size(), kHuge);
    std::vector<std::vector<RuleId>> bodies(grammar_.exprs().size());
    for (RuleId rule = 0; rule < grammar_.rules().size(); ++rule) {
      bodies[grammar_.rules()[rule].body].push_back(rule);
    }
    // Twice, so that a rule which is written below its caller is found as well.
    for (int pass = 0; pass < 2; ++pass) {
      sizes_.clear();
      for (const Expr& expr : grammar_.exprs()) {
        const auto id = static_cast<ExprId>(sizes_.size());
        sizes_.push_back(std::min(kHuge, size_of(expr, of_rule)));
        for (const RuleId rule : bodies[id]) {
          of_rule[rule] = sizes_[id] <= kMostInlinedNodes && !grammar_.rules()[rule].shared ? sizes_[id] : kHuge;
        }
      }
    }
    rule_sizes_ = std::move(of_rule);
  }

  uint64_t size_of(const Expr& expr, const std::vector<uint64_t>& of_rule) const {
    uint64_t inner = 0;
    for (const ExprId part : expr.parts) {
      inner = std::min(kHuge, inner + sizes_[part]);
    }
    switch (expr.kind) {
      case Expr::Kind::kBytes:
        return 1;
      case Expr::Kind::kLiteral:
        return expr.literal.size();
      case Expr::Kind::kSequence:
        return inner;
      case Expr::Kind::kChoice:
        return inner + 1;
      case Expr::Kind::kRepeat:
        return expr.most == kUnbounded || inner * (expr.most + uint64_t{1}) > kMostCopiedNodes ? kHuge
                                                                                               : inner * expr.most + 1;
      case Expr::Kind::kCall:
        return of_rule[expr.rule];
      case Expr::Kind::kMachine:
        return kHuge;
    }
    return kHuge;
  }

  uint32_t add(Node node) {
    if (graph_.nodes.size() >= kMostNodes) {
      refuse_grammar("the grammar has more than " + std::to_string(kMostNodes) + " nodes", "Make it smaller.");
    }
    node.in_body = in_body_;
    graph_.nodes.push_back(node);
    return static_cast<uint32_t>(graph_.nodes.size() - 1);
  }

  uint32_t add_byte(const ByteSet& set, uint32_t next) {
    const auto [known, is_new] = set_ids_.try_emplace(set, static_cast<uint32_t>(graph_.sets.size()));
    if (is_new) {
      graph_.sets.push_back(set);
    }
    return add({.kind = Node::Kind::kByte, .next = next, .what = known->second});
  }

  uint32_t add_split(const std::vector<uint32_t>& branches) {
    if (branches.size() == 1) {
      return branches.front();
    }
    const auto first = static_cast<uint32_t>(graph_.branches.size());
    graph_.branches.insert(graph_.branches.end(), branches.begin(), branches.end());
    return add({.kind = Node::Kind::kSplit, .what = first, .count = static_cast<uint32_t>(branches.size())});
  }

  // Builds from the end: the first node of the part, which goes on at `next`.
  uint32_t build(ExprId id, uint32_t next) {
    const Expr& expr = grammar_.expr(id);
    switch (expr.kind) {
      case Expr::Kind::kBytes:
        return add_byte(expr.bytes, next);
      case Expr::Kind::kLiteral:
        for (std::size_t i = expr.literal.size(); i-- > 0;) {
          const auto byte = static_cast<uint8_t>(expr.literal[i]);
          next = add_byte(ByteSet::range(byte, byte), next);
        }
        return next;
      case Expr::Kind::kSequence:
        for (std::size_t i = expr.parts.size(); i-- > 0;) {
          next = build(expr.parts[i], next);
        }
        return next;
      case Expr::Kind::kChoice:
        return build_choice(expr, next);
      case Expr::Kind::kRepeat:
        return build_repeat(expr, next);
      case Expr::Kind::kCall:
        return build_call(expr.rule, next);
      case Expr::Kind::kMachine:
        return build_machine(expr, next);
    }
    return next;
  }

  // Branches that lead nowhere are left out, so that every node is on a way to the end.
  uint32_t build_choice(const Expr& expr, uint32_t next) {
    std::vector<uint32_t> branches;
    for (const ExprId part : expr.parts) {
      if (facts_.productive[part]) {
        branches.push_back(build(part, next));
      }
    }
    return add_split(branches);
  }

  uint32_t build_call(RuleId rule, uint32_t next) {
    if (rule_sizes_[rule] <= kMostInlinedNodes) {
      return build(grammar_.rules()[rule].body, next);
    }
    wanted_.push_back(rule);
    return add({.kind = Node::Kind::kCall, .next = next, .what = rule});
  }

  uint32_t build_machine(const Expr& expr, uint32_t next) {
    const Machine& machine = grammar_.machine_of(expr);
    if (machine.counts.empty()) {
      return build_states(machine, next, 0);
    }
    const auto first_count = static_cast<uint32_t>(graph_.counts.size());
    Automaton::Repeat counted{.least = expr.least, .most = expr.most, .near_least = expr.least, .near_most = expr.most};
    for (const PartCount& count : machine.counts) {
      if (count.least > 0) counted.near_least = std::min(counted.near_least, count.least);
      counted.near_most = std::min(counted.near_most, count.most);
      graph_.counts.push_back(count);
    }
    const bool outer = std::exchange(in_body_, true);
    counted.body = build_states(machine, kEnd, first_count);
    in_body_ = outer;
    graph_.repeats.push_back(counted);
    return add({.kind = Node::Kind::kMachine, .next = next, .what = static_cast<uint32_t>(graph_.repeats.size() - 1)});
  }

  // With counts, of which the first is that of the first state, a step is in front of each part.
  uint32_t build_states(const Machine& machine, uint32_t next, uint32_t first_count) {
    std::vector<uint32_t> nodes;
    for (const MachineState& state : machine.states) {
      const std::size_t first = graph_.branches.size();
      graph_.branches.resize(first + state.ways.size() + (state.may_end ? 1 : 0), next);
      nodes.push_back(add({.kind = Node::Kind::kSplit,
                           .what = static_cast<uint32_t>(first),
                           .count = static_cast<uint32_t>(graph_.branches.size() - first)}));
    }
    for (std::size_t state = 0; state < machine.states.size(); ++state) {
      uint32_t branch = graph_.nodes[nodes[state]].what;
      for (const auto& [part, to] : machine.states[state].ways) {
        uint32_t node = build(part, nodes[to]);
        if (!machine.counts.empty()) node = add({.kind = Node::Kind::kStep, .next = node, .what = first_count + to});
        graph_.branches[branch++] = node;
      }
    }
    return nodes.front();
  }

  uint32_t build_repeat(const Expr& expr, uint32_t next) {
    const ExprId part = expr.parts.front();
    if (!facts_.productive[part]) {
      return next;  // least is 0, or this part would not be built
    }
    const uint32_t least = facts_.nullable[part] ? 0 : expr.least;
    const uint64_t copies = expr.most == kUnbounded ? uint64_t{least} + 1 : expr.most;
    if (sizes_[part] * copies <= kMostCopiedNodes || (expr.most == kUnbounded && least <= 1) || expr.most == 1) {
      return build_copies(part, least, expr.most, next);
    }
    if (facts_.nullable[part]) {
      refuse_grammar("a part that may be empty is repeated up to " + std::to_string(expr.most) + " times",
                     "Write the part so that it is never empty, or without an upper bound.");
    }
    const bool outer = std::exchange(in_body_, true);
    const uint32_t body = build(part, kEnd);
    in_body_ = outer;
    graph_.repeats.push_back(
        {.body = body, .least = least, .most = expr.most, .near_least = least, .near_most = expr.most});
    return add({.kind = Node::Kind::kRepeat, .next = next, .what = static_cast<uint32_t>(graph_.repeats.size() - 1)});
  }

  uint32_t build_copies(ExprId part, uint32_t least, uint32_t most, uint32_t next) {
    uint32_t first = next;
    if (most == kUnbounded) {
      const auto branch = static_cast<uint32_t>(graph_.branches.size());
      graph_.branches.insert(graph_.branches.end(), {0, next});
      const uint32_t loop = add({.kind = Node::Kind::kSplit, .what = branch, .count = 2});
      const uint32_t again = build(part, loop);
      graph_.branches[branch] = again;
      first = least == 0 ? loop : again;
      least -= std::min(1U, least);
    } else {
      for (uint32_t i = least; i < most; ++i) {
        first = add_split({build(part, first), next});
      }
    }
    for (uint32_t i = 0; i < least; ++i) {
      first = build(part, first);
    }
    return first;
  }

  const Grammar& grammar_;
  GrammarFacts facts_;
  Automaton::Graph graph_;
  std::vector<uint32_t> starts_;
  std::vector<RuleId> wanted_;
  std::vector<uint64_t> sizes_;
  std::vector<uint64_t> rule_sizes_;
  std::map<ByteSet, uint32_t> set_ids_;
  bool in_body_ = false;
};

}  // namespace

Automaton::Graph build_graph(const Grammar& grammar) {
  return GraphBuilder(grammar).build();
}

}  // namespace longship
