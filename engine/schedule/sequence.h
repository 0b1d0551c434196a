#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <tuple>
#include <vector>

#include "engine/engine.h"
#include "engine/kv/prefix_cache.h"
#include "engine/sample/grammar/guide.h"
#include "engine/schedule/prompt_lookup.h"

namespace longship {

/// How far a draft model is with a sequence.
struct DraftRun {
  int64_t computed = 0;             ///< Positions [0, computed) are in its cache: tokens, and guesses behind them.
  std::optional<int64_t> wanted{};  ///< Guesses of the round that is under way.
  bool in_flight = false;           ///< A plan of the draft model runs.
};

/// A request on its way through the scheduler. Positions [0, computed) are in its pages, or will be once the published
/// plans have run.
struct Sequence {
  RequestId id = 0;
  GenerationRequest request;
  std::vector<int32_t> tokens;  ///< Prompt, then what was generated.
  int64_t max_tokens = 0;       ///< To generate, after clamping to the room there is.
  int64_t turn = 0;             ///< Of its client.
  std::chrono::steady_clock::time_point arrived = std::chrono::steady_clock::now();
  std::optional<double> queued_s;  ///< Until it ran first.
  int64_t computed = 0;
  int64_t cached = 0;               ///< Prompt tokens that it did not have to compute.
  bool looked_up = false;           ///< In the prefix cache.
  int64_t prompt_reported = 0;      ///< Prompt positions whose logits or logprobs were reported.
  uint32_t epoch = 0;               ///< Counts preemptions: results of an older epoch are dropped.
  uint64_t last_step = UINT64_MAX;  ///< The latest step that it was planned in.
  std::vector<int32_t> pages;
  std::vector<int32_t> drafts;  ///< Guesses that the next plan, or the one in flight, runs behind the last token.
  DraftLength draft_length{0};
  std::optional<DraftRun> draft_run{};  ///< If guesses are a draft model's.
  int64_t known_pages = 0;  ///< Of its pages, the full ones at its beginning that the prefix cache knows ...
  PrefixCache::Id prefix = PrefixCache::kBeginning;  ///< ... and its name for them, beginning() before the first.
  std::optional<Guide> guide;  ///< Behind the tokens generated so far, if the request has a grammar.

  /// Who comes first: by priority, then by the turns of clients, then by arrival.
  std::tuple<int64_t, int64_t, RequestId> rank() const { return {request.priority, turn, id}; }
  /// The prefix cache's name for no tokens: another adapter, other keys and values.
  PrefixCache::Id beginning() const { return PrefixCache::beginning_with(request.adapter); }
  int64_t prompt_tokens() const { return static_cast<int64_t>(request.prompt.size()); }
  /// Every position of the prompt is run and its logits are wanted.
  bool reports_prompt() const { return request.prompt_logits || request.prompt_logprobs >= 0; }
  int64_t length() const { return static_cast<int64_t>(tokens.size()); }
  int64_t generated() const { return length() - prompt_tokens(); }
  /// Positions [0, known()) are in its pages for every model that guesses or decides.
  int64_t known() const { return draft_run ? std::min(computed, draft_run->computed) : computed; }
  /// Tokens that can be planned now: a generated token is planned after the commit that chose it.
  int64_t plannable() const { return length() - computed; }
  /// Whether it has just one token to run, and nothing of it runs.
  bool decodes() const { return plannable() == 1 && computed > 0 && !(draft_run && draft_run->in_flight); }
  /// Whether it has more to run than the token that was generated last.
  bool in_prompt() const { return plannable() > 1 || (plannable() == 1 && computed == 0); }
};

}  // namespace longship
