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

  /// A node of the trie where a rule may have ended, with more below.
  struct Exit {
    uint32_t node = 0;
    /// Unless dead: the rule's state there, to which everything below leads back; it may have ended wherever it does.
    State below = LocalMachine::kDead;
  };
  /// What a rule makes of the whole vocabulary.
  struct Found {
    TokenSet tokens;  ///< That it can take.
    std::vector<Exit> exits;
  };
  /// Threads of one rule that have the same callers.
  struct Group {
    GrammarState local;
    GrammarStack callers;
  };

  TokenSet find_allowed(const GrammarState& state);
  std::vector<Group> groups_of(const GrammarState& state) const;
  void visit(const GrammarState& state, const std::vector<Exit>& from, TokenSet& tokens);
  const Found& find(State state);
  std::shared_ptr<const TokenTrie::Parts> add_loops(State state, TokenSet& tokens);
  void walk(State state, uint32_t node, uint32_t least_depth, const TokenTrie::Parts* parts, TokenSet& tokens,
            std::vector<Exit>& exits);
  std::vector<uint32_t> nodes_below(const Exit& exit);
  void count_walked();
  bool takes_all_below(State state, State before, uint32_t node);

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
