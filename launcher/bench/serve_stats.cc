#include "launcher/bench/serve_stats.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "core/error.h"

namespace longship {

namespace {

constexpr int kWidth = 50;
constexpr double kMillisecond = 1e-3;

struct Metric {
  const char* key;
  const char* short_name;
  const char* title;
};

constexpr Metric kMetrics[] = {
    {"ttft", "TTFT", "Time to First Token"},
    {"tpot", "TPOT", "Time per Output Token (excl. 1st token)"},
    {"itl", "ITL", "Inter-token Latency"},
    {"e2el", "E2EL", "End-to-end Latency"},
};

double time_per_token_s(const ServeSample& sample) {
  const auto further = static_cast<double>(std::max<int64_t>(1, sample.output_tokens - 1));
  return (sample.end_s - sample.first_token_s) / further;
}

// Values of a metric in seconds, sorted.
std::vector<double> values_of(const std::string& metric, const std::vector<ServeSample>& samples) {
  std::vector<double> values;
  for (const ServeSample& sample : samples) {
    if (sample.outcome != ServeSample::Outcome::kSuccess) {
      continue;
    }
    if (metric == "ttft") {
      values.push_back(sample.first_token_s - sample.sent_s);
    } else if (metric == "e2el") {
      values.push_back(sample.end_s - sample.sent_s);
    } else if (metric == "itl") {
      values.insert(values.end(), sample.gaps_s.begin(), sample.gaps_s.end());
    } else if (sample.output_tokens > 1) {
      values.push_back(time_per_token_s(sample));
    }
  }
  std::sort(values.begin(), values.end());
  return values;
}

std::string plain(double number) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%g", number);
  return text.data();
}

std::string percentile_key(double percent, const std::string& metric) {
  return "p" + plain(percent) + "_" + metric + "_ms";
}

void add_distribution(Json& row, const std::string& metric, const std::vector<double>& values,
                      const std::vector<double>& percentiles) {
  double mean = 0;
  for (const double value : values) mean += value / static_cast<double>(values.size());
  double variance = 0;
  for (const double value : values) variance += (value - mean) * (value - mean) / static_cast<double>(values.size());
  const auto set = [&](const std::string& key, double seconds) {
    row.set(key, values.empty() ? Json() : Json(seconds / kMillisecond));
  };
  set("mean_" + metric + "_ms", mean);
  set("median_" + metric + "_ms", values.empty() ? 0 : percentile(values, 50));
  set("std_" + metric + "_ms", std::sqrt(variance));
  for (const double percent : percentiles) {
    set(percentile_key(percent, metric), values.empty() ? 0 : percentile(values, percent));
  }
}

bool is_good(const ServeSample& sample, const std::map<std::string, double>& goodput) {
  const auto within = [&](const char* metric, double seconds) {
    const auto limit = goodput.find(metric);
    return limit == goodput.end() || seconds <= limit->second * kMillisecond;
  };
  return within("ttft", sample.first_token_s - sample.sent_s) && within("tpot", time_per_token_s(sample)) &&
         within("e2el", sample.end_s - sample.sent_s);
}

// Most answers that ran at a time; one that ends as another begins does not run beside it.
int64_t peak_concurrency(const std::vector<ServeSample>& samples) {
  std::vector<std::pair<double, int64_t>> changes;
  for (const ServeSample& sample : samples) {
    if (sample.outcome == ServeSample::Outcome::kSuccess) {
      changes.emplace_back(sample.sent_s, 1);
      changes.emplace_back(sample.end_s, -1);
    }
  }
  std::sort(changes.begin(), changes.end());
  int64_t running = 0;
  int64_t peak = 0;
  for (const auto& [time, change] : changes) {
    running += change;
    peak = std::max(peak, running);
  }
  return peak;
}

// Most pieces of text that came within one second, of those that begin with the first request.
int64_t peak_output(const std::vector<ServeSample>& samples) {
  double start = HUGE_VAL;
  for (const ServeSample& sample : samples) {
    if (sample.outcome == ServeSample::Outcome::kSuccess) start = std::min(start, sample.sent_s);
  }
  std::map<int64_t, int64_t> pieces;
  for (const ServeSample& sample : samples) {
    if (sample.outcome != ServeSample::Outcome::kSuccess || sample.output_tokens == 0) {
      continue;
    }
    double time = sample.first_token_s - start;
    ++pieces[static_cast<int64_t>(time)];
    for (const double gap : sample.gaps_s) {
      time += gap;
      ++pieces[static_cast<int64_t>(time)];
    }
  }
  int64_t peak = 0;
  for (const auto& [second, count] : pieces) peak = std::max(peak, count);
  return peak;
}

std::string centred(const std::string& title, char fill) {
  const std::size_t space = kWidth - std::min<std::size_t>(kWidth, title.size());
  return std::string(space / 2, fill) + title + std::string(space - space / 2, fill) + "\n";
}

std::string line(const std::string& name, const Json* value) {
  std::array<char, 96> text{};
  if (value == nullptr || value->is_null()) {
    std::snprintf(text.data(), text.size(), "%-40s %-10s\n", name.c_str(), "-");
  } else if (value->is_int()) {
    std::snprintf(text.data(), text.size(), "%-40s %-10lld\n", name.c_str(), static_cast<long long>(value->as_int()));
  } else {
    std::snprintf(text.data(), text.size(), "%-40s %-10.2f\n", name.c_str(), value->as_double());
  }
  return text.data();
}

}  // namespace

std::map<std::string, double> parse_goodput(const std::vector<std::string>& words) {
  std::map<std::string, double> goodput;
  for (const std::string& word : words) {
    const std::size_t colon = std::min(word.find(':'), word.size());
    const std::string metric = word.substr(0, colon);
    double limit = 0;
    const char* end = word.data() + word.size();
    const auto read = std::from_chars(word.data() + std::min(colon + 1, word.size()), end, limit);
    const bool known = metric == "ttft" || metric == "tpot" || metric == "e2el";
    if (!known || read.ec != std::errc() || read.ptr != end || !(limit > 0)) {
      throw Error(ErrorKind::kUsage, "--goodput " + word + " is no METRIC:MILLISECONDS",
                  "For example: --goodput ttft:200 tpot:50 e2el:5000");
    }
    goodput[metric] = limit;
  }
  return goodput;
}

std::vector<std::string> parse_metrics(const std::string& text) {
  std::vector<std::string> metrics;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string name = text.substr(begin, end - begin);
    if (std::none_of(std::begin(kMetrics), std::end(kMetrics), [&](const Metric& m) { return m.key == name; })) {
      throw Error(ErrorKind::kUsage, "there is no metric \"" + name + "\"",
                  "Use --percentile-metrics with ttft, tpot, itl and e2el, separated by commas.");
    }
    metrics.push_back(name);
    begin = end + 1;
  }
  return metrics;
}

double percentile(const std::vector<double>& sorted, double percent) {
  const double place = percent / 100 * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - static_cast<double>(below));
}

Json serve_row(const std::vector<ServeSample>& samples, double duration_s, const ServeReport& report) {
  int64_t completed = 0;
  int64_t failed = 0;
  int64_t input = 0;
  int64_t output = 0;
  int64_t good = 0;
  Json first_error;
  for (const ServeSample& sample : samples) {
    if (sample.outcome == ServeSample::Outcome::kSuccess) {
      ++completed;
      input += sample.prompt_tokens;
      output += sample.output_tokens;
      good += is_good(sample, report.goodput) ? 1 : 0;
    } else if (sample.outcome == ServeSample::Outcome::kFailure && ++failed == 1) {
      first_error = sample.error;
    }
  }
  const auto per_second = [&](int64_t count) { return static_cast<double>(count) / std::max(duration_s, 1e-9); };
  Json row;
  row.set("completed", completed);
  row.set("failed", failed);
  row.set("first_error", std::move(first_error));
  row.set("duration", duration_s);
  row.set("total_input_tokens", input);
  row.set("total_output_tokens", output);
  row.set("request_throughput", per_second(completed));
  row.set("request_goodput", report.goodput.empty() ? Json() : Json(per_second(good)));
  row.set("output_throughput", per_second(output));
  row.set("total_token_throughput", per_second(input + output));
  row.set("max_output_tokens_per_s", static_cast<double>(peak_output(samples)));
  row.set("max_concurrent_requests", static_cast<double>(peak_concurrency(samples)));
  for (const Metric& metric : kMetrics) {
    add_distribution(row, metric.key, values_of(metric.key, samples), report.percentiles);
  }
  return row;
}

std::string serve_block(const Json& row, const ServeReport& report) {
  std::string text = centred(" Serving Benchmark Result ", '=');
  const auto add = [&](const std::string& name, const std::string& key) { text += line(name, row.find(key)); };
  const auto add_if_set = [&](const std::string& name, const std::string& key) {
    if (const Json* value = row.find(key); value != nullptr && value->is_number()) add(name, key);
  };
  add("Successful requests:", "completed");
  add("Failed requests:", "failed");
  add_if_set("Maximum request concurrency:", "max_concurrency");
  add_if_set("Request rate configured (RPS):", "request_rate");
  add("Benchmark duration (s):", "duration");
  add("Total input tokens:", "total_input_tokens");
  add("Total generated tokens:", "total_output_tokens");
  add("Request throughput (req/s):", "request_throughput");
  add_if_set("Request goodput (req/s):", "request_goodput");
  add("Output token throughput (tok/s):", "output_throughput");
  add("Peak output token throughput (tok/s):", "max_output_tokens_per_s");
  add("Peak concurrent requests:", "max_concurrent_requests");
  add("Total token throughput (tok/s):", "total_token_throughput");
  for (const std::string& name : report.metrics) {
    const Metric& metric =
        *std::find_if(std::begin(kMetrics), std::end(kMetrics), [&](const Metric& m) { return m.key == name; });
    const std::string unit = std::string(metric.short_name) + " (ms):";
    text += centred(metric.title, '-');
    add("Mean " + unit, "mean_" + name + "_ms");
    add("Median " + unit, "median_" + name + "_ms");
    for (const double percent : report.percentiles) {
      add("P" + plain(percent) + " " + unit, percentile_key(percent, name));
    }
  }
  return text + std::string(kWidth, '=') + "\n";
}

}  // namespace longship
