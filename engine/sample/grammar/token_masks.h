#pragma once

#include <memory>
#include <vector>

#include "engine/sample/grammar/automaton.h"
#include "engine/sample/grammar/local_machine.h"
#include "engine/sample/grammar/recently_used.h"
#include "engine/sample/grammar/token_set.h"
#include "engine/sample/grammar/token_trie.h"

namespace longship {

/// Which tokens of a vocabulary may come next. What was found of a rule is kept and used wherever the rule is called
/// from, and so are the tokens of whole states. Not synchronised.
class TokenMasks {
 public:
  TokenMasks(std::shared_ptr<const Automaton> automaton, std::shared_ptr<const TokenTrie> trie);

  /// The tokens whose bytes, behind the text of this state, are the beginning of a text of the grammar.
  /// Errors: kUsage if that would take too long.
  TokenSet allowed(const GrammarState& state);

  const Automaton& automaton() const { return *automaton_; }
  const TokenTrie& trie() const { return *trie_; }
  std::size_t bytes() const { return rules_.bytes() + states_.bytes() + machine_.bytes(); }

 private:
  using State = LocalMachine::State;

  /// What a rule makes of the whole vocabulary.
  struct Found {
    TokenSet tokens;              ///< That it can take.
    std::vector<uint32_t> exits;  ///< Nodes of the trie where it may have ended, with more below.
  };
  /// Threads of one rule that have the same callers.
  struct Group {
    GrammarState local;
    GrammarStack callers;
  };

  TokenSet find_allowed(const GrammarState& state);
  std::vector<Group> groups_of(const GrammarState& state) const;
  void visit(const GrammarState& state, const std::vector<uint32_t>& nodes, TokenSet& tokens);
  const Found& find(State state);
  void walk(State state, uint32_t node, TokenSet& tokens, std::vector<uint32_t>& exits);

  std::shared_ptr<const Automaton> automaton_;
  std::shared_ptr<const TokenTrie> trie_;
  LocalMachine machine_;
  RecentlyUsed<State, Found> rules_;
  RecentlyUsed<std::vector<uint32_t>, TokenSet> states_;
  std::vector<State> path_;  ///< States of the walk, by depth.
  uint64_t walked_ = 0;      ///< Nodes, for the present state.
  uint64_t last_visit_ = 0;  ///< Of the machine, for the present state.
};

}  // namespace longship
