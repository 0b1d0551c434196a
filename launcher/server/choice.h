#pragma once

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "engine/text/detokenizer.h"
#include "launcher/generate/stop_matcher.h"
#include "launcher/server/logprobs_json.h"

namespace longship {

/// How the tokens of an answer become text.
struct TextRules {
  std::vector<std::string> stops{};
  bool show_stop = false;                ///< A stop string that ends the text is a part of it.
  bool skip_special = true;              ///< Special tokens show nothing,
  std::vector<int32_t> shown_special{};  ///< but for these.
  int64_t min_tokens = 0;                ///< Within so many tokens no stop string counts.
  bool keep_rows = false;                ///< Logprobs are told.
};

/// One of the answers to a prompt, as its tokens come: their text up to a stop string, and their logprobs.
class Choice {
 public:
  Choice(std::shared_ptr<const Tokenizer> tokenizer, const TextRules& rules);

  /// Puts the prompt before the answer: its text and, if they are told, its rows.
  void begin_with(const std::string& text, std::vector<TokenRow> rows);
  /// Takes a token; the text that may be shown now.
  std::string push(const EngineEvent& event);
  /// Takes a token that has no text: the one that ended the answer.
  void count(const EngineEvent& event);
  /// The text that was held back, when no more tokens come.
  std::string flush();

  /// A stop string was met, this one: what comes after is not shown.
  bool stopped() const { return stops_.stopped(); }
  const std::string& stop() const { return stops_.found(); }
  int64_t tokens() const { return tokens_; }
  /// Mean logprob of the tokens, as far as the engine tells it; 0 without tokens.
  double mean_logprob() const { return tokens_ == 0 ? 0 : logprob_sum_ / static_cast<double>(tokens_); }
  /// The rows since the last call.
  std::vector<TokenRow> take_rows() { return std::exchange(rows_, {}); }
  bool has_rows() const { return !rows_.empty(); }

 private:
  Detokenizer detokenizer_;
  StopMatcher stops_;
  int64_t min_tokens_;
  bool keep_rows_;
  std::vector<TokenRow> rows_;
  int64_t tokens_ = 0;
  double logprob_sum_ = 0;
  int64_t characters_ = 0;  ///< Of the text so far, those of stop strings included.
};

/// Rows of a prompt: `positions` tell of its tokens after the first, `top` of the most probable ones are kept. The
/// detokenizer is one that makes the prompt's text of its tokens.
std::vector<TokenRow> prompt_rows(Detokenizer detokenizer, std::span<const int32_t> prompt,
                                  std::span<const PositionLogprobs> positions, int64_t top);

}  // namespace longship
