#include "launcher/server/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <ctime>
#include <optional>
#include <regex>
#include <set>
#include <sstream>

namespace longship {
namespace {

using Labels = std::map<std::string, std::string>;

struct Sample {
  std::string name;
  Labels labels;
  double value = 0;
};

// A reader of the text format (Prometheus exposition format 0.0.4) that accepts nothing else: every sample stands
// below the HELP and TYPE of its family, families are not mixed, histograms are complete and add up.
class Exposition {
 public:
  explicit Exposition(const std::string& text) {
    EXPECT_TRUE(text.ends_with("\n"));
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      line.starts_with("#") ? read_comment(line) : read_sample(line);
    }
    for (const auto& [family, type] : types_) {
      if (type == "histogram") check_histogram(family);
    }
  }

  std::string type(const std::string& family) const {
    const auto found = types_.find(family);
    return found == types_.end() ? "" : found->second;
  }
  std::optional<double> value(const std::string& name, const Labels& labels) const {
    for (const Sample& sample : samples_) {
      if (sample.name == name && sample.labels == labels) return sample.value;
    }
    return std::nullopt;
  }

 private:
  void read_comment(const std::string& line) {
    static const std::regex kComment("# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)");
    std::smatch match;
    ASSERT_TRUE(std::regex_match(line, match, kComment)) << line;
    if (match[1] == "HELP") {
      EXPECT_TRUE(helps_.insert(match[2]).second) << line;
      return;
    }
    EXPECT_TRUE(helps_.contains(match[2])) << line;
    EXPECT_TRUE(types_.emplace(match[2], match[3]).second) << line;
    EXPECT_TRUE(match[3] == "counter" || match[3] == "gauge" || match[3] == "histogram") << line;
    family_ = match[2];
  }

  void read_sample(const std::string& line) {
    static const std::regex kSample(
        R"re(([a-zA-Z_:][a-zA-Z0-9_:]*)\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\]|\\[\\"n])*",?)*)\} (\S+))re");
    static const std::regex kLabel(R"re(([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\[\\"n])*)")re");
    std::smatch match;
    ASSERT_TRUE(std::regex_match(line, match, kSample)) << line;
    Sample sample{.name = match[1], .labels = {}, .value = 0};
    const std::string labels = match[2];
    for (std::sregex_iterator label(labels.begin(), labels.end(), kLabel), end; label != end; ++label) {
      EXPECT_TRUE(sample.labels.emplace((*label)[1], (*label)[2]).second) << line;
    }
    char* end = nullptr;
    const std::string number = match[3];
    sample.value = std::strtod(number.c_str(), &end);
    EXPECT_EQ(*end, '\0') << line;
    const std::string rest = sample.name.starts_with(family_) ? sample.name.substr(family_.size()) : "?";
    const bool of_histogram = rest == "_bucket" || rest == "_sum" || rest == "_count";
    EXPECT_TRUE(types_[family_] == "histogram" ? of_histogram : rest.empty()) << line;
    for (const Sample& other : samples_) {
      EXPECT_FALSE(other.name == sample.name && other.labels == sample.labels) << "twice: " << line;
    }
    samples_.push_back(sample);
  }

  void check_histogram(const std::string& family) const {
    double before = 0;
    double bound = -1;
    for (const Sample& sample : samples_) {
      if (sample.name != family + "_bucket") continue;
      const double next = std::strtod(sample.labels.at("le").c_str(), nullptr);
      EXPECT_GT(next, bound) << family;
      EXPECT_GE(sample.value, before) << family;
      bound = next;
      before = sample.value;
    }
    EXPECT_TRUE(std::isinf(bound)) << family << " has no bucket +Inf";
    for (const Sample& sample : samples_) {
      if (sample.name == family + "_count") {
        EXPECT_EQ(sample.value, before) << family;
      }
    }
  }

  std::set<std::string> helps_;
  std::map<std::string, std::string> types_;
  std::string family_;
  std::vector<Sample> samples_;
};

TEST(Metrics, AreWellFormedWithTheNamesOfVllm) {
  Metrics metrics;
  metrics.time_to_first_token_s.observe(0.3);
  metrics.inter_token_latency_s.observe(0.02);
  metrics.observe(
      {.queued_s = 0.05, .first_token_s = 0.3, .last_token_s = 1.3, .end_s = 1.4, .prompt_tokens = 7, .tokens = 11});
  ++metrics.finished["stop"];
  metrics.longest_answer_tokens.observe(12);
  metrics.asked_answers.observe(3);
  metrics.asked_tokens.observe(40);
  metrics.cache = {.tokens = 6400, .page_tokens = 64, .max_model_len = 4096};
  EngineCounters counters;
  counters.running = 2;
  counters.waiting = 3;
  counters.prompt_tokens = 70;
  counters.generated_tokens = 110;
  const EngineStats stats{.pages = 1000, .pages_used = 250};
  const Exposition text(metrics.text(counters, stats, {}, 0, "ship \"one\"\\\n"));
  const Labels model = {{"model_name", R"(ship \"one\"\\\n)"}};
  const std::pair<const char*, double> values[] = {{"num_requests_running", 2},
                                                   {"num_requests_waiting", 3},
                                                   {"kv_cache_usage_perc", 0.25},
                                                   {"prompt_tokens_total", 70},
                                                   {"generation_tokens_total", 110},
                                                   {"time_to_first_token_seconds_count", 1},
                                                   {"inter_token_latency_seconds_count", 1},
                                                   {"time_per_output_token_seconds_count", 1},
                                                   {"request_time_per_output_token_seconds_sum", 0.1},
                                                   {"e2e_request_latency_seconds_sum", 1.4},
                                                   {"request_queue_time_seconds_sum", 0.05},
                                                   {"request_prefill_time_seconds_sum", 0.25},
                                                   {"request_inference_time_seconds_sum", 1.25},
                                                   {"request_decode_time_seconds_sum", 1.0},
                                                   {"request_prompt_tokens_sum", 7},
                                                   {"request_generation_tokens_sum", 11},
                                                   {"request_max_num_generation_tokens_sum", 12},
                                                   {"request_params_n_sum", 3},
                                                   {"request_params_max_tokens_sum", 40}};
  for (const char* prefix : {"vllm:", "longship:"}) {
    for (const auto& [name, value] : values) {
      const std::optional<double> found = text.value(prefix + std::string(name), model);
      ASSERT_TRUE(found) << prefix << name;
      EXPECT_NEAR(*found, value, 1e-9) << prefix << name;
    }
    Labels stopped = model;
    stopped["finished_reason"] = "stop";
    EXPECT_EQ(text.value(prefix + std::string("request_success_total"), stopped), 1);
    Labels cache = model;
    cache.insert({{"block_size", "64"},
                  {"num_gpu_blocks", "100"},
                  {"kv_cache_size_tokens", "6400"},
                  {"kv_cache_max_concurrency", "1.5625"}});
    EXPECT_EQ(text.value(prefix + std::string("cache_config_info"), cache), 1);
  }
  EXPECT_EQ(text.type("vllm:num_requests_running"), "gauge");
  EXPECT_EQ(text.type("vllm:generation_tokens_total"), "counter");
  EXPECT_EQ(text.type("vllm:time_to_first_token_seconds"), "histogram");
}

TEST(Metrics, StepsAreCountedByTheirTokens) {
  EngineStats stats;
  for (const int64_t tokens : {1, 1, 2, 8, 9, 16384, 16385}) stats.steps.add(tokens);
  const Exposition text(Metrics().text({}, stats, {}, 0, "m"));
  for (const std::string prefix : {"vllm:", "longship:"}) {
    const std::string name = prefix + "iteration_tokens_total";
    EXPECT_EQ(text.type(name), "histogram");
    const std::pair<const char*, double> buckets[] = {{"1", 2},    {"8", 4},    {"16", 5},    {"32", 5},   {"64", 5},
                                                      {"128", 5},  {"256", 5},  {"512", 5},   {"1024", 5}, {"2048", 5},
                                                      {"4096", 5}, {"8192", 5}, {"16384", 6}, {"+Inf", 7}};
    for (const auto& [bound, steps] : buckets) {
      EXPECT_EQ(text.value(name + "_bucket", {{"model_name", "m"}, {"le", bound}}), steps) << bound;
    }
    EXPECT_EQ(text.value(name + "_sum", {{"model_name", "m"}}), 1 + 1 + 2 + 8 + 9 + 16384 + 16385);
    EXPECT_EQ(text.value(name + "_count", {{"model_name", "m"}}), 7);
  }
}

TEST(Metrics, AdaptersAreNamedByWhatTheirRequestsDo) {
  Metrics metrics;
  EXPECT_EQ(Exposition(metrics.text({}, {}, {}, 0, "m")).type("vllm:lora_requests_info"), "");
  metrics.adapters = {"captain", "cook", "\"pilot\""};
  EngineCounters counters;
  counters.adapters_waiting = {{1, 2}, {2, 0}, {3, 1}};
  counters.adapters_running = {{2, 1}};
  Labels labels = {{"model_name", "m"},
                   {"max_lora", "3"},
                   {"waiting_lora_adapters", R"(captain,\"pilot\")"},
                   {"running_lora_adapters", "cook"}};
  const Exposition busy(metrics.text(counters, {}, {}, 0, "m"));
  for (const std::string prefix : {"vllm:", "longship:"}) {
    EXPECT_EQ(busy.type(prefix + "lora_requests_info"), "gauge");
    const std::optional<double> time = busy.value(prefix + "lora_requests_info", labels);
    ASSERT_TRUE(time) << prefix;
    EXPECT_NEAR(*time, static_cast<double>(std::time(nullptr)), 60);
  }
  labels["waiting_lora_adapters"] = labels["running_lora_adapters"] = "";
  EXPECT_TRUE(Exposition(metrics.text({}, {}, {}, 0, "m")).value("vllm:lora_requests_info", labels));
}

TEST(Metrics, RanksSayWhereTheirTimeGoes) {
  RankRate rank;
  rank.activity.rank = 3;
  rank.activity.host = "node1";
  rank.activity.steps.ns = 5000000000;
  rank.activity.collectives.ns = 2000000000;
  rank.activity.moving_ns = 500000000;
  rank.activity.sends.ns = 250000000;
  rank.activity.receives.ns = 1000000000;
  const Exposition text(Metrics().text({}, {}, {rank}, 2, "m"));
  const Labels labels = {{"model_name", "m"}, {"rank", "3"}, {"host", "node1"}};
  EXPECT_EQ(text.value("longship:rank_step_seconds_total", labels), 5);
  EXPECT_EQ(text.value("longship:rank_comm_seconds_total", labels), 0.75);
  EXPECT_EQ(text.value("longship:rank_wait_seconds_total", labels), 2.5);
  EXPECT_EQ(text.value("longship:recoveries_total", {{"model_name", "m"}}), 2);
}

TEST(Metrics, AnAnswerOfOneTokenHasNoTimePerToken) {
  Metrics metrics;
  metrics.observe({.first_token_s = 0.3, .last_token_s = 0.3, .end_s = 0.3, .prompt_tokens = 7, .tokens = 1});
  metrics.observe({.first_token_s = 0, .last_token_s = 0, .end_s = 0.1, .prompt_tokens = 7, .tokens = 0});
  const Exposition text(metrics.text({}, {}, {}, 0, "m"));
  const Labels model = {{"model_name", "m"}};
  EXPECT_EQ(text.value("vllm:request_time_per_output_token_seconds_count", model), 0);
  for (const char* part : {"queue", "prefill", "decode", "inference"}) {
    EXPECT_EQ(text.value(std::string("vllm:request_") + part + "_time_seconds_count", model), 1) << part;
  }
  EXPECT_EQ(text.value("vllm:e2e_request_latency_seconds_count", model), 2);
}

TEST(Metrics, BucketsAreThoseOfVllmAndFinerOnes) {
  const Exposition text(Metrics().text({}, {}, {}, 0, "m"));
  const auto has = [&](const std::string& name, const char* bound) {
    return text.value("vllm:" + name + "_bucket", {{"model_name", "m"}, {"le", bound}}).has_value();
  };
  for (const char* bound :
       {"0.001", "0.005", "0.01", "0.02", "0.04", "0.06", "0.08", "0.1", "0.25", "0.5",  "0.75", "1",
        "2.5",   "5",     "7.5",  "10",   "20",   "40",   "80",   "160", "640",  "2560", "+Inf"}) {
    EXPECT_TRUE(has("time_to_first_token_seconds", bound)) << bound;
  }
  for (const char* bound : {"0.01", "0.025", "0.05", "0.075", "0.1", "0.15", "0.2", "0.3", "0.4", "0.5",
                            "0.75", "1",     "2.5",  "5",     "7.5", "10",   "20",  "40",  "80",  "+Inf"}) {
    EXPECT_TRUE(has("inter_token_latency_seconds", bound)) << bound;
    EXPECT_TRUE(has("time_per_output_token_seconds", bound)) << bound;
  }
  for (const char* bound : {"0.3", "0.5", "0.8", "1",  "1.5", "2",   "2.5", "5",   "10",   "15",   "20",
                            "30",  "40",  "50",  "60", "120", "240", "480", "960", "1920", "7680", "+Inf"}) {
    EXPECT_TRUE(has("e2e_request_latency_seconds", bound)) << bound;
    EXPECT_TRUE(has("request_decode_time_seconds", bound)) << bound;
  }
}

}  // namespace
}  // namespace longship
