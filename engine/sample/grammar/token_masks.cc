#include "engine/sample/grammar/token_masks.h"

#include <algorithm>

namespace longship {

namespace {

constexpr std::size_t kMostKeptBytes = std::size_t{4} << 20U;
constexpr std::size_t kMostMachineBytes = std::size_t{4} << 20U;
constexpr std::size_t kMostKeptThreads = 256;  // a state of more is hardly met twice
// For one state: half a second or so.
constexpr uint64_t kMostWalked = 50'000'000;
constexpr uint64_t kMostVisits = 2'000'000;

}  // namespace

TokenMasks::TokenMasks(std::shared_ptr<const Automaton> automaton, std::shared_ptr<const TokenTrie> trie)
    : automaton_(std::move(automaton)),
      trie_(std::move(trie)),
      machine_(*automaton_, trie_->longest()),
      rules_(kMostKeptBytes),
      states_(kMostKeptBytes),
      path_(std::size_t{trie_->longest()} + 1) {}

TokenSet TokenMasks::allowed(const GrammarState& state) {
  if (state.threads.size() > kMostKeptThreads) {
    return find_allowed(state);
  }
  std::vector<uint32_t> key = machine_.key_of(state);
  if (const TokenSet* known = states_.find(key); known != nullptr) {
    return *known;
  }
  TokenSet tokens = find_allowed(state);
  const std::size_t bytes = tokens.bytes() + 2 * key.size() * sizeof(uint32_t);
  return states_.add(std::move(key), std::move(tokens), bytes);
}

TokenSet TokenMasks::find_allowed(const GrammarState& state) {
  if (machine_.bytes() > kMostMachineBytes) {
    machine_.clear();
    rules_.clear();
  }
  walked_ = 0;
  last_visit_ = machine_.visits() + kMostVisits;
  TokenSet tokens(trie_->vocab());
  visit(state, {0}, tokens);
  return tokens;
}

std::vector<TokenMasks::Group> TokenMasks::groups_of(const GrammarState& state) const {
  std::vector<Group> groups;
  for (const GrammarState::Thread& thread : state.threads) {
    LocalMachine::Cut cut = machine_.cut(thread);
    auto group = std::find_if(groups.begin(), groups.end(),
                              [&](const Group& other) { return same_stack(other.callers, cut.callers); });
    if (group == groups.end()) {
      groups.push_back({{}, std::move(cut.callers)});
      group = groups.end() - 1;
    }
    group->local.threads.push_back({thread.node, std::move(cut.within)});
  }
  return groups;
}

// Adds what the state takes of the tokens below these nodes of the trie.
void TokenMasks::visit(const GrammarState& state, const std::vector<uint32_t>& nodes, TokenSet& tokens) {
  for (Group& group : groups_of(state)) {
    const State local = machine_.state_of(std::move(group.local));
    std::vector<uint32_t> exits;
    if (nodes.size() == 1 && nodes.front() == 0) {
      const Found& found = find(local);
      tokens |= found.tokens;
      exits = found.exits;
    } else {
      for (const uint32_t node : nodes) {
        walk(local, node, tokens, exits);
      }
    }
    if (!exits.empty() && group.callers != nullptr) {
      visit(automaton_->pop(group.callers), exits, tokens);
    }
  }
}

const TokenMasks::Found& TokenMasks::find(State state) {
  if (const Found* known = rules_.find(state); known != nullptr) {
    return *known;
  }
  Found found{TokenSet(trie_->vocab()), {}};
  walk(state, 0, found.tokens, found.exits);
  const std::size_t bytes = found.tokens.bytes() + found.exits.size() * sizeof(uint32_t);
  return rules_.add(state, std::move(found), bytes);
}

// Adds the tokens below the node that the state can take, and the nodes where its rule may have ended.
void TokenMasks::walk(State state, uint32_t node, TokenSet& tokens, std::vector<uint32_t>& exits) {
  const std::vector<TokenTrie::Node>& nodes = trie_->nodes();
  const uint32_t end = nodes[node].end;
  path_[nodes[node].depth] = state;
  for (uint32_t i = node + 1; i < end;) {
    const TokenTrie::Node& here = nodes[i];
    const State next = machine_.next(path_[here.depth - 1U], here.byte);
    if (++walked_ > kMostWalked || machine_.visits() > last_visit_) {
      refuse_grammar("the grammar is too ambiguous: the tokens that it allows take too long to find");
    }
    if (next == LocalMachine::kDead) {
      i = here.end;
      continue;
    }
    path_[here.depth] = next;
    for (int32_t token = here.token; token >= 0; token = trie_->next_same(token)) {
      tokens.add(token);
    }
    if (machine_.ends(next) && here.end > i + 1) {
      exits.push_back(i);
    }
    ++i;
  }
}

}  // namespace longship
