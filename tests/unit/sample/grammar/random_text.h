#pragma once

#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/sample/grammar/token_masks.h"
#include "engine/text/tokenizer.h"
#include "tests/support/data_path.h"

namespace longship {

/// The tokens of a tokenizer of the test data.
inline std::shared_ptr<const TokenTrie> tokens_of(const std::string& folder) {
  const auto tokenizer = Tokenizer::load(data_path("tokenizers/" + folder));
  std::vector<std::string> bytes;
  for (int32_t id = 0; id < tokenizer->vocab_size(); ++id) {
    bytes.emplace_back(tokenizer->is_special(id) ? std::string_view() : tokenizer->bytes_of(id));
  }
  return std::make_shared<const TokenTrie>(std::move(bytes));
}

/// A random walk through the masks. With time the structure is left rather than gone deeper into: what closes is
/// preferred. Nothing if it did not end within the limit. Errors: std::logic_error if no token is allowed.
inline std::optional<std::string> random_text(TokenMasks& masks, std::mt19937& random) {
  constexpr int kPatience = 60;
  constexpr int kMostSteps = 3000;
  const std::string closing = "\"]}0123456789,:";
  GrammarState state = masks.automaton().start();
  std::string text;
  for (int step = 0; step < kMostSteps; ++step) {
    if (state.may_end && (state.threads.empty() || random() % 3 == 0)) return text;
    const TokenSet allowed = masks.allowed(state);
    std::vector<int32_t> ids;
    std::vector<int32_t> closers;
    for (int32_t id = 0; id < allowed.size(); ++id) {
      if (!allowed.has(id)) continue;
      ids.push_back(id);
      const std::string& bytes = masks.trie().bytes_of(id);
      if (bytes.find_first_of(closing.substr(0, 3)) == 0) closers.push_back(id);
    }
    if (ids.empty()) {
      throw std::logic_error("no way on behind " + text);
    }
    const bool close = step > kPatience && !closers.empty() && random() % 8 != 0;
    const int32_t token = close ? closers[random() % closers.size()] : ids[random() % ids.size()];
    text += masks.trie().bytes_of(token);
    state = masks.automaton().advance(state, masks.trie().bytes_of(token));
  }
  return std::nullopt;
}

}  // namespace longship
