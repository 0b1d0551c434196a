#include "engine/sample/grammar/guide.h"

namespace longship {

TokenSet Guide::allowed(std::span<const int32_t> ends, int64_t vocab) const {
  TokenSet tokens = masks_->allowed(state_).resized(vocab);
  for (const int32_t end : ends) {
    if (end >= 0 && end < vocab) {
      state_.may_end ? tokens.add(end) : tokens.remove(end);
    }
  }
  return tokens;
}

void Guide::accept(int32_t token) {
  const TokenTrie& trie = masks_->trie();
  const bool known = token >= 0 && token < trie.vocab() && !trie.bytes_of(token).empty();
  GrammarState next = known ? masks_->automaton().advance(state_, trie.bytes_of(token)) : GrammarState{};
  if (!next.alive()) {
    refuse_grammar("token " + std::to_string(token) + " is not allowed by the grammar here");
  }
  state_ = std::move(next);
}

}  // namespace longship
