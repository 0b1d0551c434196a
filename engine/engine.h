#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/engine_stats.h"
#include "engine/sample/grammar/grammar_spec.h"
#include "engine/sample/logprobs.h"
#include "engine/schedule/rank_activity.h"
#include "engine/schedule/rank_report.h"

namespace longship {

/// How a token is chosen from its logits. The defaults change nothing: plain sampling at temperature 1.
struct SamplingParams {
  double temperature = 1.0;  ///< 0: greedy.
  int64_t top_k = 0;         ///< 0: off.
  double top_p = 1.0;
  double min_p = 0.0;
  double repetition_penalty = 1.0;  ///< arXiv 1909.05858 section 4.1, over prompt and output.
  double presence_penalty = 0.0;    ///< Over the output, as in the OpenAI API.
  double frequency_penalty = 0.0;
  uint64_t seed = 0;
  uint32_t choice = 0;  ///< Which of several answers to one prompt: each draws numbers of its own.
  /// Added to the logits of these tokens, ids within the vocabulary.
  std::vector<std::pair<int32_t, float>> logit_bias{};
  std::vector<int32_t> allowed_ids{};             ///< Only these are chosen, ids within the vocabulary; empty: all.
  std::vector<std::vector<int32_t>> bad_words{};  ///< Runs of tokens, none empty, that the output never has.
};

/// What an Engine is asked to generate behind one prompt. Plain data, which submit() takes over.
struct GenerationRequest {
  std::vector<int32_t> prompt;  ///< At least one token.
  std::vector<int32_t>
      output{};             ///< Generated before, elsewhere: the generation goes on behind it. It is not reported.
  int64_t max_tokens = 16;  ///< Tokens to generate, `output` included; 0: only run the prompt.
  SamplingParams sampling;
  std::vector<int32_t> stop_ids;  ///< Tokens that end the generation: the finish tells which did.
  GrammarSpec grammar{};          ///< What the text of the output must be; stop_ids come only where it may end.
  int64_t min_tokens = 0;         ///< Before so many tokens, none of stop_ids is chosen.
  int64_t logprobs = -1;          ///< Report each token's logprob, and those of so many most probable ones; -1: none.
  bool prompt_logits = false;     ///< Report the logits of every prompt position.
  int64_t prompt_logprobs = -1;   ///< The same for each token of the prompt but the first; -1: none.
  int64_t priority = 0;           ///< Lower is sooner.
  int32_t adapter = 0;            ///< Which of the model's adapters changes it, counted from 1; 0: none.
  uint64_t client = 0;            ///< Whose it is: clients with requests of one priority take turns.
};

using RequestId = uint64_t;

/// How a request ends: by a stop token or its grammar, by its length, as it was cancelled, with an error that is its
/// own (another try ends alike), or with the engine.
enum class FinishReason : uint8_t { kStop, kLength, kCancelled, kError, kLost };

/// What happens to a request, in order: logits or logprobs of the prompt (if asked for), tokens, one finish. Or a
/// report that was asked for, or what the engine has come to, which is told now and then and before a request's end, or
/// what ranks have done: of each about twice a second while it works.
struct EngineEvent {
  enum class Kind : uint8_t { kToken, kLogits, kPromptLogprobs, kFinished, kReport, kStats, kActivity };

  RequestId request = 0;  ///< 0 for a report, stats and activity.
  Kind kind = Kind::kToken;
  int32_t token = 0;                       ///< kToken; kFinished: the one of stop_ids that ended it, or -1.
  float logprob = 0;                       ///< Of `token`, if asked for.
  std::vector<TokenLogprob> top_logprobs;  ///< In its place, if asked for: the most probable first.
  double queued_s = 0;                     ///< With a token: how long the request waited before it ran.
  /// With a token: when the engine, of this host, had it, which may be long before somebody takes the event.
  std::chrono::steady_clock::time_point made{};
  int64_t first_position = 0;                     ///< kLogits, kPromptLogprobs
  std::vector<float> logits;                      ///< kLogits: rows of V values from first_position on.
  std::vector<PositionLogprobs> prompt_logprobs;  ///< kPromptLogprobs: of the tokens from first_position on.
  FinishReason reason = FinishReason::kStop;      ///< kFinished
  std::string error;                              ///< kFinished with kError or kLost: the cause.
  int64_t cached_tokens = 0;           ///< kToken, kFinished: prompt tokens not run, as their pages were there.
  std::vector<RankReport> reports;     ///< kReport: of all ranks, in their order.
  EngineStats stats;                   ///< kStats
  std::vector<RankActivity> activity;  ///< kActivity: of those that had something to say.
};

/// Facts about the running model that a front end needs.
struct EngineInfo {
  int64_t vocab = 0;
  int64_t max_model_len = 0;
  int64_t kv_tokens = 0;  ///< Room in the key/value cache.
  int tp = 1;
  int pp = 1;
  int threads = 1;          ///< Compute threads of each rank.
  int64_t step_tokens = 1;  ///< Most of a step.
  bool repeatable = true;   ///< A request's text does not depend on what runs beside it, or ran before.
};

/// Losses of ranks that an engine has survived.
struct EngineLosses {
  int64_t count = 0;
  std::string last_cause;
};

/// One replica of the model, as its front end sees it. LocalEngine (in the leader) or RemoteEngine (a socket to
/// it). Thread-safe: any thread may submit and cancel; one thread takes events.
class Engine {
 public:
  using Deadline = std::chrono::steady_clock::time_point;

  virtual ~Engine() = default;

  virtual EngineInfo info() const = 0;
  /// False while ranks are started again.
  virtual bool ready() const { return true; }
  virtual EngineLosses losses() const { return {}; }
  /// Never throws for a bad request: it ends with kError.
  virtual RequestId submit(GenerationRequest request) = 0;
  virtual void cancel(RequestId request) = 0;
  /// Asks all ranks for a report, which comes as an event, after the steps that are planned by now.
  virtual void report(ReportKind kind) = 0;
  /// The next event of any request, or nothing at the deadline. Throws kRank when the job was lost.
  virtual std::optional<EngineEvent> next_event(Deadline deadline) = 0;
  /// Ends the job once running requests are cancelled; every rank's loop returns.
  virtual void shutdown() = 0;
};

}  // namespace longship
