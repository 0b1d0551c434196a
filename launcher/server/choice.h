#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/text/detokenizer.h"
#include "launcher/server/logprobs_json.h"
#include "launcher/stop_matcher.h"

namespace longship {

/// One of the answers to a prompt, as its tokens come: their text up to a stop string, and their logprobs.
class Choice {
 public:
  Choice(std::shared_ptr<const Tokenizer> tokenizer, const std::vector<std::string>& stops)
      : detokenizer_(tokenizer), stops_(stops), tokenizer_(std::move(tokenizer)) {}

  /// Takes a token; the text that may be shown now.
  std::string push(const EngineEvent& event, bool with_logprobs);
  /// The text that was held back, when no more tokens come.
  std::string flush();

  /// A stop string was met: what comes after is not shown.
  bool stopped() const { return stops_.stopped(); }
  int64_t tokens() const { return tokens_; }
  /// The logprobs since the last call.
  std::vector<TokenRow> take_rows() { return std::exchange(rows_, {}); }
  bool has_rows() const { return !rows_.empty(); }

 private:
  Detokenizer detokenizer_;
  StopMatcher stops_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::vector<TokenRow> rows_;
  int64_t tokens_ = 0;
  int64_t text_bytes_ = 0;
};

}  // namespace longship
