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
  visit(state, {Exit{}}, tokens);
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
void TokenMasks::visit(const GrammarState& state, const std::vector<Exit>& from, TokenSet& tokens) {
  for (Group& group : groups_of(state)) {
    const State local = machine_.state_of(std::move(group.local));
    std::vector<Exit> exits;
    if (from.size() == 1 && from.front().node == 0) {
      const Found& found = find(local);
      tokens |= found.tokens;
      exits = found.exits;
    } else {
      for (const Exit& exit : from) {
        walk(local, exit.node, 0, nullptr, tokens, exits);
        if (exit.below != LocalMachine::kDead && (trie_->kinds_below(exit.node) & machine_.starts(local)) != 0) {
          for (const uint32_t node : nodes_below(exit)) {
            walk(local, node, 0, nullptr, tokens, exits);
          }
        }
      }
    }
    if (!exits.empty() && group.callers != nullptr) {
      visit(automaton_->pop(group.callers), exits, tokens);
    }
  }
}

// The nodes below an exit at which the rule may have ended as well.
std::vector<uint32_t> TokenMasks::nodes_below(const Exit& exit) {
  std::vector<uint32_t> found;
  if (exit.below == LocalMachine::kDead) {
    return found;
  }
  const std::vector<TokenTrie::Node>& nodes = trie_->nodes();
  path_[nodes[exit.node].depth] = exit.below;
  for (uint32_t i = exit.node + 1; i < nodes[exit.node].end; ++i) {
    const State next = machine_.next(path_[nodes[i].depth - 1U], nodes[i].byte);
    count_walked();
    path_[nodes[i].depth] = next;
    if (next == exit.below && nodes[i].height > 0) {
      found.push_back(i);
    }
  }
  return found;
}

void TokenMasks::count_walked() {
  if (++walked_ > kMostWalked || machine_.visits() > last_visit_) {
    refuse_grammar("the grammar is too ambiguous: the tokens that it allows take too long to find");
  }
}

const TokenMasks::Found& TokenMasks::find(State state) {
  if (const Found* known = rules_.find(state); known != nullptr) {
    return *known;
  }
  Found found{TokenSet(trie_->vocab()), {}};
  // Tokens that are too short to come to a bound of a repetition are those of any state as far from it.
  const uint32_t reach = std::min(machine_.reach(state), TokenTrie::kMostShort);
  if (reach > 1) {
    const Found& far = find(machine_.far(state));
    found.tokens = far.tokens;
    found.tokens &= trie_->shorter_than(reach);
    const auto keep = [&](uint32_t node) {
      if (trie_->nodes()[node].depth < reach) {
        found.exits.push_back({.node = node});
      }
    };
    for (const Exit& exit : far.exits) {
      keep(exit.node);
      std::ranges::for_each(nodes_below(exit), keep);
    }
  }
  const std::shared_ptr<const TokenTrie::Parts> parts = add_loops(state, found.tokens);
  walk(state, 0, reach, parts.get(), found.tokens, found.exits);
  const std::size_t bytes = found.tokens.bytes() + found.exits.size() * sizeof(Exit);
  return rules_.add(state, std::move(found), bytes);
}

// Adds the tokens of those kinds of characters that lead the state back to itself, but for how often a repetition may
// be counted. Returns the parts of the tree by those kinds; nothing where the rule may end behind each of them.
std::shared_ptr<const TokenTrie::Parts> TokenMasks::add_loops(State state, TokenSet& tokens) {
  if (machine_.reach(state) > 0) {
    const LocalMachine::Counted counted = machine_.counted(state);
    if (counted.kinds == 0) {
      return nullptr;
    }
    auto parts = trie_->parts(counted.kinds);
    tokens |= trie_->of_chars(parts->tokens, counted.room);
    return parts;
  }
  bool leads_back = false;
  for (unsigned byte = 0; byte < 128 && !leads_back; ++byte) {
    leads_back = machine_.next(state, static_cast<uint8_t>(byte)) == state;
  }
  const uint64_t kinds = leads_back && !machine_.ends(state) ? machine_.loops(state) : 0;
  if (kinds == 0) {
    return nullptr;
  }
  auto parts = trie_->parts(kinds);
  tokens |= parts->tokens;
  return parts;
}

// Adds the tokens below the node that the state can take, and the nodes where its rule may have ended, but for those
// of fewer than `least_depth` bytes. With `parts` (at the root) only their other tokens are looked at.
void TokenMasks::walk(State state, uint32_t node, uint32_t least_depth, const TokenTrie::Parts* parts, TokenSet& tokens,
                      std::vector<Exit>& exits) {
  const std::vector<TokenTrie::Node>& nodes = trie_->nodes();
  const auto add_tokens = [&](uint32_t first, uint32_t last) {
    for (const int32_t token : trie_->tokens(first, last)) {
      tokens.add(token);
    }
  };
  const auto node_at = [&](uint32_t place) { return parts == nullptr ? place : parts->others[place].node; };
  const auto end_at = [&](uint32_t place) { return parts == nullptr ? nodes[place].end : parts->others[place].end; };
  const uint32_t end = parts == nullptr ? nodes[node].end : static_cast<uint32_t>(parts->others.size());
  path_[nodes[node].depth] = nodes[node].height < machine_.reach(state) ? machine_.far(state) : state;
  for (uint32_t place = parts == nullptr ? node + 1 : 0; place < end;) {
    const uint32_t i = node_at(place);
    const TokenTrie::Node& here = nodes[i];
    if (uint32_t{here.depth} + here.height < least_depth) {
      place = end_at(place);
      continue;
    }
    const State before = path_[here.depth - 1U];
    State next = machine_.next(before, here.byte);
    count_walked();
    if (next == LocalMachine::kDead) {
      place = end_at(place);
      continue;
    }
    if (here.height < machine_.reach(next)) {
      next = machine_.far(next);
    }
    path_[here.depth] = next;
    const bool exits_here = machine_.ends(next) && here.height > 0;
    const bool all_below =
        here.height > 0 && (!exits_here || here.depth >= least_depth) && takes_all_below(next, before, i);
    add_tokens(i, all_below ? here.end : i + 1);
    if (exits_here && here.depth >= least_depth) {
      exits.push_back({.node = i, .below = all_below ? next : LocalMachine::kDead});
    }
    place = all_below ? end_at(place) : place + 1;
  }
}

// Whether every text below the node leads from the state only to itself. Looked into once a state was seen to.
bool TokenMasks::takes_all_below(State state, State before, uint32_t node) {
  if (state != before && !machine_.knows_loops(state)) {
    return false;
  }
  return (trie_->kinds_below(node) & ~machine_.loops(state)) == 0;
}

}  // namespace longship
