#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/text/tokenizer.h"

namespace longship {

/// Cancels the request that is running, from another thread (an interrupt, for example).
class CancelSwitch {
 public:
  void arm(std::function<void()> cancel);
  void disarm();
  /// Cancels what is armed; false if nothing is.
  bool trigger();

 private:
  std::mutex mutex_;
  std::function<void()> cancel_;
};

/// Speeds of one or several replies.
struct GenerationStats {
  int64_t prompt_tokens = 0;  ///< That were run: without those that were cached.
  int64_t tokens = 0;         ///< Generated.
  double prompt_seconds = 0;  ///< Until the first token.
  double token_seconds = 0;   ///< From the first token to the last.

  GenerationStats& operator+=(const GenerationStats& other);
  /// "prompt 31 tokens, 250.1 tokens/s; generation 64 tokens, 41.2 tokens/s"
  std::string text() const;
};

struct Reply {
  std::string text;          ///< What was shown.
  std::vector<int32_t> ids;  ///< All generated tokens.
  bool whole = false;        ///< The text is that of all ids: neither a stop string nor a cancellation cut it.
  bool cancelled = false;    ///< By the switch.
  bool closed = false;       ///< By show().
  GenerationStats stats;
};

/// Takes text as it becomes known; false if nobody reads any more.
using ShowText = std::function<bool(std::string_view)>;

/// Runs one request and shows its text as it comes. `request` says nothing of stop strings; `cancel` may end it early.
/// Errors: kUsage if the engine refuses the request, kRank if the job is lost.
Reply generate(Engine& engine, const std::shared_ptr<const Tokenizer>& tokenizer, GenerationRequest request,
               const std::vector<std::string>& stops, const ShowText& show, CancelSwitch& cancel);

}  // namespace longship
