#include "launcher/bench/serve_load.h"

#include <cmath>
#include <fstream>
#include <random>

#include "core/error.h"
#include "core/json.h"
#include "core/rng.h"

namespace longship {

namespace {

// What numbers are drawn for: each has a sequence of its own.
enum class Draw : uint32_t { kTokens, kInputLength, kOutputLength, kArrival };

// A generator for the distributions of <random>.
class CounterRandom {
 public:
  using result_type = uint32_t;

  CounterRandom(uint64_t seed, Draw draw) : seed_(seed), draw_(draw) {}

  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return UINT32_MAX; }
  result_type operator()() {
    constexpr double kValues = 0x1.0p32;
    return static_cast<result_type>(Philox::uniform(seed_, static_cast<uint32_t>(draw_), index_++) * kValues);
  }
  /// Of [least, most].
  int64_t integer(int64_t least, int64_t most) {
    const double share = Philox::uniform(seed_, static_cast<uint32_t>(draw_), index_++);
    return least + static_cast<int64_t>(share * static_cast<double>(most - least + 1));
  }

 private:
  uint64_t seed_;
  Draw draw_;
  uint64_t index_ = 0;
};

int64_t draw_length(int64_t length, double ratio, CounterRandom& random) {
  const auto mean = static_cast<double>(length);
  const auto least = static_cast<int64_t>(std::floor(mean * (1 - ratio)));
  return std::max<int64_t>(1, random.integer(least, static_cast<int64_t>(std::ceil(mean * (1 + ratio)))));
}

Error line_error(const std::filesystem::path& file, int64_t line, const std::string& rule) {
  return {ErrorKind::kUsage, file.native() + ", line " + std::to_string(line) + ": " + rule,
          R"(Give --dataset-path lines such as {"prompt": "Why do ships float?", "output_tokens": 128}.)"};
}

}  // namespace

std::vector<LoadRequest> random_load(const RandomLoad& load, std::span<const int32_t> ids) {
  LONGSHIP_CHECK(!ids.empty(), "there are tokens to draw from");
  CounterRandom tokens(load.seed, Draw::kTokens);
  CounterRandom input_lengths(load.seed, Draw::kInputLength);
  CounterRandom output_lengths(load.seed, Draw::kOutputLength);
  const auto append = [&](int64_t count, std::vector<int32_t>& prompt) {
    for (int64_t i = 0; i < count; ++i) {
      prompt.push_back(ids[static_cast<std::size_t>(tokens.integer(0, static_cast<int64_t>(ids.size()) - 1))]);
    }
  };
  std::vector<int32_t> prefix;
  append(load.prefix_tokens, prefix);
  std::vector<LoadRequest> requests;
  for (int64_t i = 0; i < load.requests; ++i) {
    LoadRequest request{.ids = prefix};
    append(draw_length(load.input_tokens, load.range_ratio, input_lengths), request.ids);
    request.output_tokens = draw_length(load.output_tokens, load.range_ratio, output_lengths);
    requests.push_back(std::move(request));
  }
  return requests;
}

std::vector<LoadRequest> read_load(const std::filesystem::path& file, int64_t count, int64_t output_tokens,
                                   bool again) {
  std::ifstream lines(file);
  if (!lines) {
    throw Error(ErrorKind::kUsage, "the data set " + file.native() + " cannot be read",
                "Choose another --dataset-path.");
  }
  std::vector<LoadRequest> requests;
  int64_t number = 0;
  for (std::string line; std::cmp_less(requests.size(), count) && std::getline(lines, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) {
      continue;
    }
    const auto parsed = parse_json(line);
    if (const auto* error = std::get_if<JsonError>(&parsed)) {
      throw line_error(file, number, "offset " + std::to_string(error->offset) + ": " + error->rule);
    }
    const Json& object = std::get<Json>(parsed);
    const Json* prompt = object.find("prompt");
    const Json* tokens = object.find("output_tokens");
    if (prompt == nullptr || !prompt->is_string()) {
      throw line_error(file, number, "\"prompt\" must be a string");
    }
    if (tokens != nullptr && (!tokens->is_int() || tokens->as_int() < 1)) {
      throw line_error(file, number, "\"output_tokens\" must be a number of tokens");
    }
    requests.push_back(
        {.text = prompt->as_string(), .output_tokens = tokens == nullptr ? output_tokens : tokens->as_int()});
  }
  if (requests.empty()) {
    throw Error(ErrorKind::kUsage, "the data set " + file.native() + " has no prompts",
                "Choose another --dataset-path.");
  }
  const std::size_t all = requests.size();
  while (again && std::cmp_less(requests.size(), count)) {
    requests.push_back(requests[requests.size() - all]);
  }
  return requests;
}

std::vector<double> arrival_seconds(std::size_t count, double rate, double burstiness, uint64_t seed) {
  std::vector<double> times(count, 0.0);
  if (std::isinf(rate)) {
    return times;
  }
  CounterRandom random(seed, Draw::kArrival);
  std::gamma_distribution<double> gap(burstiness, 1 / (rate * burstiness));
  for (std::size_t i = 1; i < count; ++i) {
    times[i] = times[i - 1] + gap(random);
  }
  return times;
}

}  // namespace longship
