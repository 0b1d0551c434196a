#include "engine/sample/sampler.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/rng.h"

namespace longship {

namespace {

bool has_penalties(const SamplingParams& params) {
  return params.repetition_penalty != 1.0 || params.presence_penalty != 0.0 || params.frequency_penalty != 0.0;
}

void penalise(std::vector<float>& logits, std::span<const int32_t> prompt, std::span<const int32_t> output,
              const SamplingParams& params) {
  std::unordered_map<int32_t, int> counts;
  for (const int32_t token : output) {
    ++counts[token];
  }
  std::unordered_set<int32_t> seen(prompt.begin(), prompt.end());
  for (const auto& [token, count] : counts) {
    seen.insert(token);
  }
  for (const int32_t token : seen) {
    float& logit = logits[static_cast<std::size_t>(token)];
    const auto penalty = static_cast<float>(params.repetition_penalty);
    logit = logit > 0 ? logit / penalty : logit * penalty;
  }
  for (const auto& [token, count] : counts) {
    logits[static_cast<std::size_t>(token)] -=
        static_cast<float>(params.frequency_penalty * count + params.presence_penalty);
  }
}

struct Candidate {
  int32_t token;
  double weight;  ///< Proportional to the probability.
};

// Candidates by falling probability, ties by rising id, after min-p and top-k.
std::vector<Candidate> candidates(std::span<const float> logits, const SamplingParams& params) {
  const double largest = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
  const double least = params.min_p > 0 ? params.min_p : 0.0;
  std::vector<Candidate> result;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double weight = std::exp((static_cast<double>(logits[i]) - largest) / params.temperature);
    if (weight >= least && weight > 0) {
      result.push_back({static_cast<int32_t>(i), weight});
    }
  }
  const auto before = [](const Candidate& a, const Candidate& b) {
    return a.weight != b.weight ? a.weight > b.weight : a.token < b.token;
  };
  const auto keep = static_cast<std::size_t>(params.top_k);
  if (params.top_k > 0 && keep < result.size()) {
    std::nth_element(result.begin(), result.begin() + params.top_k, result.end(), before);
    result.resize(keep);
  }
  std::sort(result.begin(), result.end(), before);
  return result;
}

// The shortest run of candidates whose probability reaches top_p.
void cut_top_p(std::vector<Candidate>& sorted, double top_p) {
  double total = 0;
  for (const Candidate& candidate : sorted) {
    total += candidate.weight;
  }
  double sum = 0;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    sum += sorted[i].weight;
    if (sum >= top_p * total) {
      sorted.resize(i + 1);
      return;
    }
  }
}

}  // namespace

int32_t argmax(std::span<const float> values) {
  return static_cast<int32_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

int32_t sample(std::span<const float> logits, std::span<const int32_t> prompt, std::span<const int32_t> output,
               const SamplingParams& params) {
  std::vector<float> penalised;
  if (has_penalties(params)) {
    penalised.assign(logits.begin(), logits.end());
    penalise(penalised, prompt, output, params);
    logits = penalised;
  }
  if (params.temperature <= 0) {
    return argmax(logits);
  }
  std::vector<Candidate> sorted = candidates(logits, params);
  if (sorted.empty()) {
    return argmax(logits);
  }
  if (params.top_p < 1) {
    cut_top_p(sorted, params.top_p);
  }
  double total = 0;
  for (const Candidate& candidate : sorted) {
    total += candidate.weight;
  }
  double rest = Philox::uniform(params.seed, 0, output.size()) * total;
  for (const Candidate& candidate : sorted) {
    rest -= candidate.weight;
    if (rest < 0) {
      return candidate.token;
    }
  }
  return sorted.back().token;
}

}  // namespace longship
