#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "launcher/server/engine_hub.h"

namespace longship {

/// Counts of values up to bounds, as Prometheus has them.
class Histogram {
 public:
  explicit Histogram(std::vector<double> bounds) : bounds_(std::move(bounds)), counts_(bounds_.size() + 1) {}

  void observe(double value);
  /// Lines of the text format; `labels` without braces.
  std::string text(const std::string& name, const std::string& labels) const;

 private:
  std::vector<double> bounds_;
  std::vector<int64_t> counts_;
  double sum_ = 0;
};

/// What the server has seen; used by its thread alone.
struct Metrics {
  Metrics();

  Histogram time_to_first_token_s;
  Histogram inter_token_latency_s;
  Histogram e2e_request_latency_s;
  std::map<std::string, int64_t> finished;  ///< Requests by finished_reason.

  /// Prometheus text (exposition format 0.0.4): each value as longship:NAME and, where vLLM has it, vllm:NAME.
  std::string text(const EngineCounters& counters, const EngineStats& stats, const std::string& model) const;
};

}  // namespace longship
