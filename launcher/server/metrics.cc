#include "launcher/server/metrics.h"

#include <algorithm>
#include <cstdio>
#include <ctime>

namespace longship {

namespace {

std::string number(double value) {
  char text[40];
  std::snprintf(text, sizeof(text), "%.10g", value);
  return text;
}

std::string escaped(const std::string& label) {
  std::string text;
  for (const char c : label) {
    if (c == '\\' || c == '"') {
      text += '\\';
    }
    text += c == '\n' ? "\\n" : std::string(1, c);
  }
  return text;
}

// Bounds that vLLM's dashboards know, with finer ones below for small models.
constexpr double kFirstTokenBounds[] = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75,
                                        1,     2.5,   5,    7.5,  10,   20,   40,   80,  160,  640, 2560};
constexpr double kTokenBounds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3,
                                   0.4,   0.5,    0.75,  1,    2.5,   5,    7.5,   10,  20,   40,  80};
constexpr double kRequestBounds[] = {0.05, 0.1, 0.3, 0.5, 0.8, 1,   1.5, 2,   2.5, 5,    10,  15,
                                     20,   30,  40,  50,  60,  120, 240, 480, 960, 1920, 7680};
constexpr double kCountBounds[] = {1, 2, 5, 10, 20};
constexpr double kSizeBounds[] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000};

// One name under both prefixes.
class Writer {
 public:
  explicit Writer(std::string labels) : labels_(std::move(labels)) {}

  void add(const std::string& name, const char* type, const char* help, double value) {
    for (const char* prefix : kPrefixes) {
      head(prefix + name, type, help);
      text_ += prefix + name + "{" + labels_ + "} " + number(value) + "\n";
    }
  }
  void add(const std::string& name, const char* help, const Histogram& histogram) {
    for (const char* prefix : kPrefixes) {
      head(prefix + name, "histogram", help);
      text_ += histogram.text(prefix + name, labels_);
    }
  }
  void add_by(const std::string& name, const char* label, const char* help, const std::map<std::string, int64_t>& by) {
    for (const char* prefix : kPrefixes) {
      head(prefix + name, "counter", help);
      for (const auto& [value, count] : by) {
        text_ += prefix + name + "{" + labels_ + "," + label + "=\"" + value + "\"} " + std::to_string(count) + "\n";
      }
    }
  }
  /// Facts that the labels say.
  void add_facts(const std::string& name, const char* help, const std::string& labels, double value) {
    for (const char* prefix : kPrefixes) {
      head(prefix + name, "gauge", help);
      text_ += prefix + name + "{" + labels_ + "," + labels + "} " + number(value) + "\n";
    }
  }
  /// Of ours alone.
  void add_own(const std::string& name, const char* type, const char* help, double value) {
    head("longship:" + name, type, help);
    text_ += "longship:" + name + "{" + labels_ + "} " + number(value) + "\n";
  }
  /// The same, one value for each rank.
  template <class Value>
  void add_ranks(const std::string& name, const char* type, const char* help, const std::vector<RankRate>& ranks,
                 const Value& value) {
    head("longship:" + name, type, help);
    for (const RankRate& rank : ranks) {
      text_ += "longship:" + name + "{" + labels_ + ",rank=\"" + std::to_string(rank.activity.rank) + "\",host=\"" +
               escaped(rank.activity.host) + "\"} " + number(value(rank)) + "\n";
    }
  }
  std::string take() { return std::move(text_); }

 private:
  static constexpr const char* kPrefixes[] = {"longship:", "vllm:"};

  void head(const std::string& name, const char* type, const char* help) {
    text_ += "# HELP " + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
  }

  std::string labels_;
  std::string text_;
};

}  // namespace

Histogram::Histogram(const StepSizes& sizes)
    : bounds_(StepSizes::kBounds.begin(), StepSizes::kBounds.end()),
      counts_(sizes.steps.begin(), sizes.steps.end()),
      sum_(static_cast<double>(sizes.tokens)) {}

void Histogram::observe(double value) {
  const auto bound = std::lower_bound(bounds_.begin(), bounds_.end(), value);
  ++counts_[static_cast<std::size_t>(bound - bounds_.begin())];
  sum_ += value;
}

std::string Histogram::text(const std::string& name, const std::string& labels) const {
  std::string text;
  int64_t total = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    total += counts_[i];
    const std::string bound = i < bounds_.size() ? number(bounds_[i]) : "+Inf";
    text += name + "_bucket{" + labels + ",le=\"" + bound + "\"} " + std::to_string(total) + "\n";
  }
  return text + name + "_sum{" + labels + "} " + number(sum_) + "\n" + name + "_count{" + labels + "} " +
         std::to_string(total) + "\n";
}

Metrics::Metrics()
    : time_to_first_token_s(kFirstTokenBounds),
      inter_token_latency_s(kTokenBounds),
      e2e_request_latency_s(kRequestBounds),
      time_per_output_token_s(kTokenBounds),
      queue_time_s(kRequestBounds),
      prefill_time_s(kRequestBounds),
      decode_time_s(kRequestBounds),
      inference_time_s(kRequestBounds),
      prompt_tokens(kSizeBounds),
      generation_tokens(kSizeBounds),
      longest_answer_tokens(kSizeBounds),
      asked_answers(kCountBounds),
      asked_tokens(kSizeBounds),
      finished({{"stop", 0}, {"length", 0}, {"abort", 0}, {"error", 0}}) {}

namespace {

// As vLLM names them: what routers read the size of the cache from.
std::string cache_labels(const CacheFacts& cache) {
  const double most =
      static_cast<double>(cache.tokens) / static_cast<double>(std::max<int64_t>(1, cache.max_model_len));
  return "block_size=\"" + std::to_string(cache.page_tokens) + "\",num_gpu_blocks=\"" +
         std::to_string(cache.tokens / std::max<int64_t>(1, cache.page_tokens)) + "\",kv_cache_size_tokens=\"" +
         std::to_string(cache.tokens) + "\",kv_cache_max_concurrency=\"" + number(most) + "\"";
}

std::string names_in_use(const std::vector<std::string>& adapters, const std::map<int32_t, int64_t>& requests) {
  std::string names;
  for (const auto& [adapter, count] : requests) {
    if (count > 0) names += (names.empty() ? "" : ",") + adapters.at(static_cast<std::size_t>(adapter - 1));
  }
  return escaped(names);
}

// As vLLM names them: routers choose a server by the adapters that are at work there. All may be in one step.
std::string adapter_labels(const std::vector<std::string>& adapters, const EngineCounters& counters) {
  return "max_lora=\"" + std::to_string(adapters.size()) + "\",waiting_lora_adapters=\"" +
         names_in_use(adapters, counters.adapters_waiting) + "\",running_lora_adapters=\"" +
         names_in_use(adapters, counters.adapters_running) + "\"";
}

double in_seconds(int64_t nanoseconds) {
  return static_cast<double>(nanoseconds) / 1e9;
}

// What each rank has done since its start; a rank that was started again begins at 0.
void add_rank_metrics(Writer& writer, const std::vector<RankRate>& ranks) {
  writer.add_ranks("rank_step_seconds_total", "counter", "Time that a rank ran steps", ranks,
                   [](const RankRate& rank) { return in_seconds(rank.activity.steps.ns); });
  writer.add_ranks("rank_comm_seconds_total", "counter", "Time of them in which a rank moved data", ranks,
                   [](const RankRate& rank) { return in_seconds(rank.activity.moving_ns + rank.activity.sends.ns); });
  writer.add_ranks("rank_wait_seconds_total", "counter", "Time of them in which a rank waited for others", ranks,
                   [](const RankRate& rank) {
                     const RankActivity& done = rank.activity;
                     return in_seconds(std::max<int64_t>(0, done.collectives.ns - done.moving_ns) + done.receives.ns);
                   });
  if (const std::optional<int> slowest = slowest_rank(ranks)) {
    writer.add_own("slowest_rank", "gauge", "The rank that the others wait for", *slowest);
  }
}

}  // namespace

void Metrics::observe(const AnswerTimes& answer) {
  e2e_request_latency_s.observe(answer.end_s);
  prompt_tokens.observe(static_cast<double>(answer.prompt_tokens));
  generation_tokens.observe(static_cast<double>(answer.tokens));
  const double decode_s = answer.last_token_s - answer.first_token_s;
  if (answer.tokens > 0) {
    queue_time_s.observe(answer.queued_s);
    prefill_time_s.observe(std::max(0.0, answer.first_token_s - answer.queued_s));
    decode_time_s.observe(decode_s);
    inference_time_s.observe(std::max(0.0, answer.last_token_s - answer.queued_s));
  }
  if (answer.tokens > 1) {
    time_per_output_token_s.observe(decode_s / static_cast<double>(answer.tokens - 1));
  }
}

std::string Metrics::text(const EngineCounters& counters, const EngineStats& stats, const std::vector<RankRate>& ranks,
                          int64_t recoveries, const std::string& model) const {
  Writer writer("model_name=\"" + escaped(model) + "\"");
  const auto add = [&](const char* name, const char* type, const char* help, int64_t value) {
    writer.add(name, type, help, static_cast<double>(value));
  };
  add("num_requests_running", "gauge", "Requests that have a token", counters.running);
  add("num_requests_waiting", "gauge", "Requests that wait for their first token", counters.waiting);
  writer.add("kv_cache_usage_perc", "gauge", "Part of the key/value cache in use, 1 is all",
             static_cast<double>(stats.pages_used) / static_cast<double>(std::max<int64_t>(1, stats.pages)));
  add("num_preemptions_total", "counter", "Requests that lost their pages, to be computed again", stats.preemptions);
  for (const std::string total : {"", "_total"}) {  // the name of vLLM's counter, and the one that it exposes
    add(("prefix_cache_queries" + total).c_str(), "counter", "Tokens that were looked up in the prefix cache",
        stats.prefix_cache_queries);
    add(("prefix_cache_hits" + total).c_str(), "counter", "Tokens that were found in the prefix cache",
        stats.prefix_cache_hits);
  }
  add("spec_decode_num_drafts_total", "counter", "Times that next tokens were guessed", stats.drafts);
  add("spec_decode_num_draft_tokens_total", "counter", "Tokens that were guessed", stats.draft_tokens);
  add("spec_decode_num_accepted_tokens_total", "counter", "Guessed tokens that were right", stats.accepted_tokens);
  add("prompt_tokens_total", "counter", "Tokens of prompts", counters.prompt_tokens);
  add("generation_tokens_total", "counter", "Generated tokens", counters.generated_tokens);
  writer.add_by("request_success_total", "finished_reason", "Requests by how they ended", finished);
  writer.add("time_to_first_token_seconds", "From the request to its first token", time_to_first_token_s);
  writer.add("inter_token_latency_seconds", "From one token to the next", inter_token_latency_s);
  writer.add("time_per_output_token_seconds", "The same, by its older name", inter_token_latency_s);
  writer.add("request_time_per_output_token_seconds", "From one token to the next, mean of a request",
             time_per_output_token_s);
  writer.add("e2e_request_latency_seconds", "From the request to its end", e2e_request_latency_s);
  writer.add("request_queue_time_seconds", "From the request to its start in the engine", queue_time_s);
  writer.add("request_prefill_time_seconds", "From there to the first token", prefill_time_s);
  writer.add("request_inference_time_seconds", "From there to the last token", inference_time_s);
  writer.add("request_decode_time_seconds", "From the first token to the last", decode_time_s);
  writer.add("request_prompt_tokens", "Tokens of a request's prompt", prompt_tokens);
  writer.add("request_generation_tokens", "Tokens of a request's answer", generation_tokens);
  writer.add("request_max_num_generation_tokens", "Tokens of a request's longest answer", longest_answer_tokens);
  writer.add("request_params_n", "Answers that a request asks for", asked_answers);
  writer.add("request_params_max_tokens", "Most tokens of an answer that a request allows", asked_tokens);
  writer.add("iteration_tokens_total", "Tokens of prompts that a step runs, and those that it generates",
             Histogram(stats.steps));
  writer.add_facts("cache_config_info", "The key/value cache", cache_labels(cache), 1);
  if (!adapters.empty()) {
    writer.add_facts("lora_requests_info", "Adapters with requests that wait or run; the value is the present time",
                     adapter_labels(adapters, counters), static_cast<double>(std::time(nullptr)));
  }
  writer.add_own("recoveries_total", "counter", "Losses of ranks that requests have survived",
                 static_cast<double>(recoveries));
  add_rank_metrics(writer, ranks);
  return writer.take();
}

}  // namespace longship
