#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/sample/grammar/automaton.h"
#include "engine/sample/grammar/char_kinds.h"

namespace longship {

struct HashOfWords {
  std::size_t operator()(const std::vector<uint32_t>& words) const {
    std::size_t hash = words.size();
    for (const uint32_t word : words) hash = (hash ^ word) * 0x9E3779B97F4A7C15;
    return hash ^ hash >> 32U;
  }
};

/// The automaton within one rule, as deterministic states that are made when they are first wanted: a set of threads
/// whose stacks begin at the rule. What called the rule is left out, so that all callers share what is known of it.
/// Numbers of states hold until clear(). Not synchronised.
class LocalMachine {
 public:
  using State = uint32_t;
  static constexpr State kDead = 0;

  /// Counts of repetitions are told apart only as far as `longest` bytes can show the difference.
  LocalMachine(const Automaton& automaton, uint32_t longest);

  /// The same numbers for states that no token tells apart.
  std::vector<uint32_t> key_of(const GrammarState& state) const;
  /// Threads of one rule, with stacks that begin there.
  State state_of(GrammarState local);
  /// Errors: kUsage if the grammar makes too many states within one use.
  State next(State state, uint8_t byte) {
    const State known = table_[std::size_t{state} * classes_ + class_of_[byte]];
    return known != kUnknown ? known : find_next(state, byte);
  }
  /// The rule may have ended here.
  bool ends(State state) const { return states_[state].may_end; }
  /// Texts of fewer bytes go on from here as they do from far(state). 0: there is no such state.
  uint32_t reach(State state) const { return reaches_[state]; }
  /// The state with all counts so far from their bounds that they do not change.
  State far(State state);
  /// Bits of those kinds of characters (char_kinds.h) that each lead back to this state; the rule can have ended only
  /// behind a whole one.
  uint64_t loops(State state) { return (knows_loops(state) ? loops_[state] : find_loops(state)) & ~kLoopsKnown; }
  /// Bits of those kinds of which some may come here, and that of broken text.
  uint64_t starts(State state);
  /// Kinds of characters (bits) each of which is one part of the counted repetition that this state begins a part of,
  /// or one step of a counted machine back to its state, however far that has come, and nothing else; and how many may
  /// come yet. No kinds: there is no such repetition.
  struct Counted {
    uint64_t kinds = 0;
    uint32_t room = 0;
  };
  Counted counted(State state);
  bool knows_loops(State state) const { return (loops_[state] & kLoopsKnown) != 0; }
  std::size_t bytes() const { return bytes_; }
  /// Nodes of the automaton that were visited so far.
  uint64_t visits() const { return visits_; }
  void clear();

  /// A thread cut at its rule: the stack within it, counts as coarse as they may be, and what called it.
  struct Cut {
    GrammarStack within;
    GrammarStack callers;
  };
  Cut cut(const GrammarState::Thread& thread) const;

 private:
  static constexpr State kUnknown = UINT32_MAX;
  static constexpr uint64_t kLoopsKnown = uint64_t{1} << 63U;  // the bit of no kind

  void find_classes();
  uint32_t bytes_to_bound(const GrammarFrame& frame) const;
  uint32_t coarse_count(const GrammarFrame& frame) const;
  uint32_t far_count(const GrammarFrame& frame) const;
  uint64_t find_loops(State state);
  uint64_t find_counted(uint32_t repeat);
  Counted counted_steps(State state);
  State step(State from, uint64_t kinds);
  State find_step(State from, uint64_t kinds);
  GrammarState begin_part(uint32_t repeat, uint32_t count) const;
  uint64_t kinds_that(const std::function<bool(const CharKind&)>& holds) const;
  uint32_t find_reach(const GrammarState& state) const;
  bool leads(State state, std::span<const ByteRange> bytes, State end);
  GrammarStack far_stack(const GrammarStack& stack) const;
  State add(GrammarState state);
  State find_next(State state, uint8_t byte);

  const Automaton& automaton_;
  uint32_t longest_;
  std::array<uint8_t, 256> class_of_{};  ///< Bytes that no set tells apart.
  std::size_t classes_ = 0;
  std::vector<GrammarState> states_;
  std::vector<State> table_;  ///< [state][class]
  std::vector<uint32_t> reaches_;
  std::vector<State> fars_;
  std::vector<uint64_t> loops_;
  std::vector<uint64_t> starts_;  ///< 0: not known.
  std::unordered_map<std::vector<uint32_t>, State, HashOfWords> ids_;
  std::map<uint32_t, uint64_t> counted_;  ///< Kinds by the node of the repetition.
  std::map<std::pair<State, uint64_t>, State> steps_;
  std::size_t bytes_ = 0;
  uint64_t visits_ = 0;
};

}  // namespace longship
