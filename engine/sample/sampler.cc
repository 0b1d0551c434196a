#include "engine/sample/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
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

constexpr float kNever = -std::numeric_limits<float>::infinity();

void keep_only(std::vector<float>& logits, std::span<const int32_t> allowed) {
  std::vector<float> kept(logits.size(), kNever);
  for (const int32_t token : allowed) {
    kept[static_cast<std::size_t>(token)] = logits[static_cast<std::size_t>(token)];
  }
  logits = std::move(kept);
}

void ban(std::vector<float>& logits, int32_t token) {
  if (token >= 0 && token < std::ssize(logits)) {
    logits[static_cast<std::size_t>(token)] = kNever;
  }
}

void ban_bad_words(std::vector<float>& logits, std::span<const int32_t> output, const SamplingParams& params) {
  for (const std::vector<int32_t>& word : params.bad_words) {
    const std::span<const int32_t> before(word.data(), word.size() - 1);
    const bool begun =
        output.size() >= before.size() && std::equal(before.begin(), before.end(), output.end() - std::ssize(before));
    if (begun) {
      ban(logits, word.back());
    }
  }
}

void ban_others(std::vector<float>& logits, const TokenSet& allowed) {
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (!allowed.has(static_cast<int64_t>(i))) {
      logits[i] = kNever;
    }
  }
}

bool has_edits(const SamplingParams& params) {
  return has_penalties(params) || !params.logit_bias.empty() || !params.allowed_ids.empty() ||
         !params.bad_words.empty();
}

struct Candidate {
  int32_t token;
  double weight;  ///< Proportional to the probability.
};

bool before(const Candidate& a, const Candidate& b) {
  return a.weight != b.weight ? a.weight > b.weight : a.token < b.token;
}

double total_weight(const std::vector<Candidate>& candidates) {
  double total = 0;
  for (const Candidate& candidate : candidates) {
    total += candidate.weight;
  }
  return total;
}

// What min-p leaves, by rising id.
std::vector<Candidate> candidates_of(std::span<const float> logits, const SamplingParams& params) {
  const double largest = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
  const double least = params.min_p > 0 ? params.min_p : 0.0;
  std::vector<Candidate> result;
  result.reserve(logits.size());
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double weight = std::exp((static_cast<double>(logits[i]) - largest) / params.temperature);
    if (weight >= least && weight > 0) {
      result.push_back({static_cast<int32_t>(i), weight});
    }
  }
  return result;
}

// The top_k first ones, in order.
void cut_top_k(std::vector<Candidate>& candidates, int64_t top_k) {
  if (top_k <= 0 || top_k >= std::ssize(candidates)) {
    return;
  }
  std::nth_element(candidates.begin(), candidates.begin() + top_k, candidates.end(), before);
  candidates.resize(static_cast<std::size_t>(top_k));
  std::sort(candidates.begin(), candidates.end(), before);
}

// The shortest run of first ones whose probability reaches top_p, in order. It is mostly a small part of the
// vocabulary, so that sorting all would cost more than the rest of sampling.
void cut_top_p(std::vector<Candidate>& candidates, double top_p) {
  if (!(top_p < 1)) {
    return;
  }
  constexpr std::ptrdiff_t kFirst = 256;
  const double wanted = top_p * total_weight(candidates);
  double sum = 0;
  std::ptrdiff_t sorted = 0;
  for (std::ptrdiff_t i = 0; i < std::ssize(candidates); ++i) {
    if (i == sorted) {
      const auto begin = candidates.begin() + sorted;
      sorted = std::min(std::ssize(candidates), std::max(kFirst, 8 * sorted));
      std::nth_element(begin, candidates.begin() + sorted, candidates.end(), before);
      std::sort(begin, candidates.begin() + sorted, before);
    }
    sum += candidates[static_cast<std::size_t>(i)].weight;
    if (sum >= wanted) {
      candidates.resize(static_cast<std::size_t>(i + 1));
      return;
    }
  }
}

int32_t draw(const std::vector<Candidate>& candidates, double uniform) {
  double rest = uniform * total_weight(candidates);
  for (const Candidate& candidate : candidates) {
    rest -= candidate.weight;
    if (rest < 0) {
      return candidate.token;
    }
  }
  return candidates.back().token;
}

}  // namespace

int32_t argmax(std::span<const float> values) {
  return static_cast<int32_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

int32_t sample(std::span<const float> logits, std::span<const int32_t> prompt, std::span<const int32_t> output,
               const SamplingParams& params, std::span<const int32_t> banned, const TokenSet* allowed) {
  std::vector<float> edited;
  if (has_edits(params) || !banned.empty() || allowed != nullptr) {
    edited.assign(logits.begin(), logits.end());
    for (const auto& [token, bias] : params.logit_bias) {
      edited[static_cast<std::size_t>(token)] += bias;
    }
    penalise(edited, prompt, output, params);
    if (!params.allowed_ids.empty()) {
      keep_only(edited, params.allowed_ids);
    }
    ban_bad_words(edited, output, params);
    std::for_each(banned.begin(), banned.end(), [&](int32_t token) { ban(edited, token); });
    if (allowed != nullptr) {
      ban_others(edited, *allowed);
    }
    logits = edited;
  }
  if (params.temperature <= 0) {
    return argmax(logits);
  }
  std::vector<Candidate> candidates = candidates_of(logits, params);
  if (candidates.empty()) {
    return argmax(logits);
  }
  cut_top_k(candidates, params.top_k);
  cut_top_p(candidates, params.top_p);
  return draw(candidates, Philox::uniform(params.seed, params.choice, output.size()));
}

}  // namespace longship
