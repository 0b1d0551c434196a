#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "launcher/server/engine_hub.h"

namespace longship {

/// Counts of values up to bounds, as Prometheus has them.
class Histogram {
 public:
  explicit Histogram(std::span<const double> bounds)
      : bounds_(bounds.begin(), bounds.end()), counts_(bounds.size() + 1) {}
  /// Of what was counted elsewhere.
  explicit Histogram(const StepSizes& sizes);

  void observe(double value);
  /// Lines of the text format; `labels` without braces.
  std::string text(const std::string& name, const std::string& labels) const;

 private:
  std::vector<double> bounds_;
  std::vector<int64_t> counts_;
  double sum_ = 0;
};

/// One answer from its request to its end, in seconds from the request on.
struct AnswerTimes {
  double queued_s = 0;  ///< Until it ran in the engine.
  double first_token_s = 0;
  double last_token_s = 0;
  double end_s = 0;
  int64_t prompt_tokens = 0;
  int64_t tokens = 0;
};

/// Of the key/value cache, what does not change.
struct CacheFacts {
  int64_t tokens = 0;
  int64_t page_tokens = 1;
  int64_t max_model_len = 1;
};

/// What the server has seen; used by its thread alone.
struct Metrics {
  Metrics();

  Histogram time_to_first_token_s;
  Histogram inter_token_latency_s;
  Histogram e2e_request_latency_s;
  Histogram time_per_output_token_s;  ///< Mean of an answer.
  Histogram queue_time_s;
  Histogram prefill_time_s;
  Histogram decode_time_s;
  Histogram inference_time_s;
  Histogram prompt_tokens;
  Histogram generation_tokens;
  Histogram longest_answer_tokens;  ///< Of a request's answers.
  Histogram asked_answers;          ///< That a request wants of a prompt.
  Histogram asked_tokens;           ///< Most that a request lets be generated.
  CacheFacts cache{};
  std::vector<std::string> adapters{};      ///< Names, in the engine's order.
  std::map<std::string, int64_t> finished;  ///< Requests by finished_reason.

  /// An answer that is complete.
  void observe(const AnswerTimes& answer);
  /// Prometheus text (exposition format 0.0.4): each value as longship:NAME and, where vLLM has it, vllm:NAME.
  /// `recoveries`: losses of ranks that the server has survived.
  std::string text(const EngineCounters& counters, const EngineStats& stats, const std::vector<RankRate>& ranks,
                   int64_t recoveries, const std::string& model) const;
};

}  // namespace longship
