#pragma once

#include <list>
#include <memory>
#include <unordered_map>
#include <vector>

#include "engine/sample/grammar/automaton.h"
#include "engine/sample/grammar/local_machine.h"
#include "engine/sample/grammar/token_set.h"
#include "engine/sample/grammar/token_trie.h"

namespace longship {

/// Which tokens of a vocabulary may come next. What was found of a rule is kept, least recently used out first, and
/// used wherever the rule is called from. Not synchronised.
class TokenMasks {
 public:
  TokenMasks(std::shared_ptr<const Automaton> automaton, std::shared_ptr<const TokenTrie> trie);

  /// The tokens whose bytes, behind the text of this state, are the beginning of a text of the grammar.
  /// Errors: kUsage if that would take too long.
  TokenSet allowed(const GrammarState& state);

  const Automaton& automaton() const { return *automaton_; }
  const TokenTrie& trie() const { return *trie_; }
  std::size_t bytes() const { return kept_bytes_ + machine_.bytes(); }

 private:
  using State = LocalMachine::State;

  /// What a rule makes of the whole vocabulary.
  struct Found {
    State state;
    TokenSet tokens;              ///< That it can take.
    std::vector<uint32_t> exits;  ///< Nodes of the trie where it may have ended, with more below.
  };
  using Recent = std::list<Found>;
  /// Threads of one rule that have the same callers.
  struct Group {
    GrammarState local;
    GrammarStack callers;
  };

  std::vector<Group> groups_of(const GrammarState& state) const;
  void visit(const GrammarState& state, const std::vector<uint32_t>& nodes, TokenSet& tokens);
  const Found& find(State state);
  void walk(State state, uint32_t node, TokenSet& tokens, std::vector<uint32_t>& exits);

  std::shared_ptr<const Automaton> automaton_;
  std::shared_ptr<const TokenTrie> trie_;
  LocalMachine machine_;
  Recent recent_;  ///< The most recently used first.
  std::unordered_map<State, Recent::iterator> found_;
  std::size_t kept_bytes_ = 0;
  std::vector<State> path_;  ///< States of the walk, by depth.
  uint64_t walked_ = 0;      ///< Nodes, for the present state.
  uint64_t last_visit_ = 0;  ///< Of the machine, for the present state.
};

}  // namespace longship
