#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "engine/sample/grammar/grammar.h"

namespace longship {

/// Where a rule goes on once what it called has ended. Immutable and shared: a stack is a chain of these, and all
/// stacks that grew from it share it.
struct GrammarFrame {
  static constexpr uint32_t kReturn = UINT32_MAX;
  /// Counts that stay as they are, for those who look only a little ahead: fewer than the repetition needs, or enough,
  /// and so far from its bound that this is not reached.
  static constexpr uint32_t kFarBelow = UINT32_MAX - 1;
  static constexpr uint32_t kFarWithin = UINT32_MAX - 2;

  uint32_t node;   ///< Of the automaton: where to return to, or the repetition.
  uint32_t count;  ///< For a counted repetition: how often its part has ended, or one of the two; else kReturn.
  uint32_t depth;  ///< Frames in the chain, this one included.
  uint64_t hash;   ///< Of the chain.
  std::shared_ptr<const GrammarFrame> below;
};
using GrammarStack = std::shared_ptr<const GrammarFrame>;

/// Whether the chains are equal, frame by frame.
bool same_stack(const GrammarStack& a, const GrammarStack& b);

/// Everything that the text so far may be the beginning of: a node that waits for a byte and its stack for each way to
/// read it. Cheap to copy. No threads and no end: the text is none of the grammar's.
struct GrammarState {
  struct Thread {
    uint32_t node;
    GrammarStack stack;
  };

  std::vector<Thread> threads;
  bool may_end = false;  ///< The text so far is one of the grammar's.

  bool alive() const { return may_end || !threads.empty(); }
};

/// A pushdown automaton over bytes. Immutable after its construction: any thread may use it. Every function of a state
/// is pure, so that states may be kept, copied and tried ahead.
///
/// Each rule is a graph of nodes; what a rule calls is pushed, except for a call in last place. A repetition of few
/// parts is written out, others count in their frame.
class Automaton {
 public:
  struct Node {
    enum class Kind : uint8_t { kByte, kSplit, kCall, kRepeat, kMachine, kStep, kEnd };

    Kind kind = Kind::kEnd;
    bool in_body = false;  ///< Within a counted repetition or machine: the frame on top is that of it.
    uint32_t next = 0;     ///< Behind a byte, a call, a repetition, a machine; kStep: the part that is counted there.
    uint32_t what = 0;   ///< kByte: the set; kSplit: its first branch; kCall: the first node; kRepeat, kMachine: which
                         ///< repetition; kStep: which count.
    uint32_t count = 0;  ///< kSplit: branches.
  };
  /// A counted repetition, or a machine with a count of its steps.
  struct Repeat {
    uint32_t body = 0;  ///< Its first node.
    uint32_t least = 0;
    uint32_t most = 0;  ///< kUnbounded: no bound.
    // The lowest counts at which something changes because of either bound.
    uint32_t near_least = 0;
    uint32_t near_most = 0;
  };
  struct Graph {
    std::vector<Node> nodes;  ///< The first is the one end.
    std::vector<uint32_t> branches;
    std::vector<Repeat> repeats;
    std::vector<PartCount> counts;  ///< Behind a step of a machine.
    std::vector<ByteSet> sets;
    uint32_t start = 0;
  };

  /// Errors: kUsage for a grammar that check_grammar() refuses or that is too large.
  explicit Automaton(const Grammar& grammar);

  GrammarState start() const;
  /// The state one byte on. Errors: kUsage if the grammar is so ambiguous that it has too many threads, or nested too
  /// deep here. Adds the nodes that it visited to `visits`.
  GrammarState advance(const GrammarState& state, uint8_t byte, uint64_t* visits = nullptr) const;
  GrammarState advance(GrammarState state, std::string_view bytes) const;
  const Repeat& repeat_of(const GrammarFrame& frame) const { return graph_.repeats[graph_.nodes[frame.node].what]; }
  /// The state in which what called `stack`'s top goes on.
  GrammarState pop(const GrammarStack& stack) const;

  const Graph& graph() const { return graph_; }
  bool takes(const GrammarState::Thread& thread, uint8_t byte) const {
    return graph_.sets[graph_.nodes[thread.node].what].has(byte);
  }

 private:
  class Closure;

  Graph graph_;
};

/// A frame on top of a stack.
GrammarStack push_frame(uint32_t node, uint32_t count, GrammarStack below);

}  // namespace longship
