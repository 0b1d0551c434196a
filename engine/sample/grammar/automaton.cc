#include "engine/sample/grammar/automaton.h"

#include <algorithm>
#include <unordered_set>

#include "engine/sample/grammar/graph_builder.h"

namespace longship {

namespace {

constexpr std::size_t kMostVisits = 20'000;  // of nodes, for one byte
constexpr uint32_t kMostFrames = 4096;

uint64_t mix(uint64_t a, uint64_t b) {
  uint64_t x = a * 0x9E3779B97F4A7C15 ^ b;
  x = (x ^ x >> 32U) * 0xD6E8FEB86659FD93;
  return x ^ x >> 32U;
}

uint64_t hash_of(const GrammarStack& stack) {
  return stack == nullptr ? 1 : stack->hash;
}

using Thread = GrammarState::Thread;

struct ThreadHash {
  std::size_t operator()(const Thread& thread) const { return mix(hash_of(thread.stack), thread.node); }
};

struct SameThread {
  bool operator()(const Thread& a, const Thread& b) const { return a.node == b.node && same_stack(a.stack, b.stack); }
};

}  // namespace

bool same_stack(const GrammarStack& a, const GrammarStack& b) {
  const GrammarFrame* x = a.get();
  const GrammarFrame* y = b.get();
  while (x != y) {
    if (x == nullptr || y == nullptr || x->hash != y->hash || x->node != y->node || x->count != y->count) {
      return false;
    }
    x = x->below.get();
    y = y->below.get();
  }
  return true;
}

GrammarStack push_frame(uint32_t node, uint32_t count, GrammarStack below) {
  const uint64_t hash = mix(hash_of(below), uint64_t{node} << 32U | count);
  const uint32_t depth = below == nullptr ? 1 : below->depth + 1;
  return std::make_shared<const GrammarFrame>(GrammarFrame{node, count, depth, hash, std::move(below)});
}

// Follows everything that reads no byte.
class Automaton::Closure {
 public:
  explicit Closure(const Graph& graph) : graph_(graph) {}

  void add(uint32_t node, GrammarStack stack) { work_.push_back({node, std::move(stack)}); }

  // What was called by the top of the stack has ended.
  void pop(const GrammarStack& stack) {
    if (stack == nullptr) {
      state_.may_end = true;
      return;
    }
    if (stack->count == GrammarFrame::kReturn) {
      add(stack->node, stack->below);
      return;
    }
    const Node& node = graph_.nodes[stack->node];
    if (node.kind == Node::Kind::kMachine) {
      const bool below = stack->count == GrammarFrame::kFarBelow ||
                         (stack->count != GrammarFrame::kFarWithin && stack->count < graph_.repeats[node.what].least);
      if (!below) add(node.next, stack->below);
      return;
    }
    if (stack->count == GrammarFrame::kFarBelow || stack->count == GrammarFrame::kFarWithin) {
      if (stack->count == GrammarFrame::kFarWithin) {
        add(node.next, stack->below);
      }
      begin(stack->node, stack->count, stack->below);
      return;
    }
    const Repeat& repeat = graph_.repeats[node.what];
    const bool unbounded = repeat.most == kUnbounded;
    const uint32_t done = unbounded ? std::min(stack->count + 1, repeat.least) : stack->count + 1;
    if (done >= repeat.least) {
      add(node.next, stack->below);
    }
    if (unbounded || done < repeat.most) {
      begin(stack->node, done, stack->below);
    }
  }

  GrammarState finish() {
    while (!work_.empty()) {
      const Thread thread = std::move(work_.back());
      work_.pop_back();
      if (is_new(thread)) {
        follow(thread);
      }
    }
    return std::move(state_);
  }
  std::size_t visits() const { return visits_; }

 private:
  // Few are looked through, as is mostly enough; more are hashed.
  bool is_new(const Thread& thread) {
    constexpr std::size_t kFew = 16;
    if (visits_ < kFew) {
      if (std::any_of(few_.begin(), few_.end(), [&](const Thread& other) { return SameThread()(other, thread); })) {
        return false;
      }
      few_.push_back(thread);
    } else {
      if (visits_ == kFew) {
        seen_.insert(few_.begin(), few_.end());
      }
      if (!seen_.insert(thread).second) {
        return false;
      }
    }
    if (++visits_ > kMostVisits) {
      refuse_grammar("the grammar is too ambiguous: there are too many ways to read the text");
    }
    return true;
  }

  void follow(const Thread& thread) {
    const Node& node = graph_.nodes[thread.node];
    switch (node.kind) {
      case Node::Kind::kByte:
        state_.threads.push_back(thread);
        break;
      case Node::Kind::kSplit:
        for (uint32_t i = 0; i < node.count; ++i) {
          add(graph_.branches[node.what + i], thread.stack);
        }
        break;
      case Node::Kind::kCall:
        // A call in last place leaves nothing to come back for.
        add(node.what, graph_.nodes[node.next].kind == Node::Kind::kEnd
                           ? thread.stack
                           : push(node.next, GrammarFrame::kReturn, thread.stack));
        break;
      case Node::Kind::kRepeat:
        if (graph_.repeats[node.what].least == 0) {
          add(node.next, thread.stack);
        }
        begin(thread.node, 0, thread.stack);
        break;
      case Node::Kind::kMachine:
        add(graph_.repeats[node.what].body, push(thread.node, 0, thread.stack));
        break;
      case Node::Kind::kStep:
        step(node, thread.stack);
        break;
      case Node::Kind::kEnd:
        pop(thread.stack);
        break;
    }
  }

  void begin(uint32_t repeat_node, uint32_t done, const GrammarStack& below) {
    add(graph_.repeats[graph_.nodes[repeat_node].what].body, push(repeat_node, done, below));
  }

  // One part more of the machine on top, if that may lead to an end.
  void step(const Node& node, const GrammarStack& stack) {
    const PartCount& bounds = graph_.counts[node.what];
    if (stack->count == GrammarFrame::kFarBelow || stack->count == GrammarFrame::kFarWithin) {
      if (bounds.least == 0 || stack->count == GrammarFrame::kFarWithin) add(node.next, stack);
      return;
    }
    const Repeat& machine = graph_.repeats[graph_.nodes[stack->node].what];
    uint32_t count = stack->count + 1;
    if (count < bounds.least || count > bounds.most) return;
    if (machine.most == kUnbounded) count = std::min(count, machine.least);
    add(node.next, push_frame(stack->node, count, stack->below));
  }

  static GrammarStack push(uint32_t node, uint32_t count, const GrammarStack& below) {
    if (below != nullptr && below->depth >= kMostFrames) {
      refuse_grammar("the text is nested more than " + std::to_string(kMostFrames) + " deep");
    }
    return push_frame(node, count, below);
  }

  const Graph& graph_;
  GrammarState state_;
  std::vector<Thread> work_;
  std::vector<Thread> few_;
  std::unordered_set<Thread, ThreadHash, SameThread> seen_;
  std::size_t visits_ = 0;
};

Automaton::Automaton(const Grammar& grammar) : graph_(build_graph(grammar)) {}

GrammarState Automaton::start() const {
  Closure closure(graph_);
  closure.add(graph_.start, nullptr);
  return closure.finish();
}

GrammarState Automaton::advance(const GrammarState& state, uint8_t byte, uint64_t* visits) const {
  Closure closure(graph_);
  for (const GrammarState::Thread& thread : state.threads) {
    if (takes(thread, byte)) {
      closure.add(graph_.nodes[thread.node].next, thread.stack);
    }
  }
  GrammarState next = closure.finish();
  if (visits != nullptr) {
    *visits += closure.visits() + state.threads.size();
  }
  return next;
}

GrammarState Automaton::advance(GrammarState state, std::string_view bytes) const {
  for (const char byte : bytes) {
    state = advance(state, static_cast<uint8_t>(byte));
  }
  return state;
}

GrammarState Automaton::pop(const GrammarStack& stack) const {
  Closure closure(graph_);
  closure.pop(stack);
  return closure.finish();
}

}  // namespace longship
