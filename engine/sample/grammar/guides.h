#pragma once

#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <span>

#include "engine/sample/grammar/grammar_spec.h"
#include "engine/sample/grammar/guide.h"

namespace longship {

/// Makes guides for one vocabulary. Grammars that were used lately are kept with what is known of them. Thread-safe.
class Guides {
 public:
  /// Gives the vocabulary; called once, when the first guide is wanted. It may throw; the next guide tries again.
  using LoadVocabulary = std::function<std::shared_ptr<const TokenTrie>()>;

  explicit Guides(LoadVocabulary load) : load_(std::move(load)) {}

  /// A guide behind the tokens of `output`. Errors: kUsage for a grammar that is refused or an output that is none of
  /// its texts' beginnings; what the vocabulary's loading throws.
  Guide make(const GrammarSpec& spec, std::span<const int32_t> output);

 private:
  struct Kept {
    GrammarSpec spec;
    std::shared_ptr<TokenMasks> masks;
  };

  std::shared_ptr<TokenMasks> masks_for(const GrammarSpec& spec);

  LoadVocabulary load_;
  std::mutex mutex_;
  std::shared_ptr<const TokenTrie> trie_;
  std::list<Kept> recent_;  ///< The most recently used first.
};

}  // namespace longship
