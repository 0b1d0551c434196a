#include "engine/sample/sampler.h"

#include <algorithm>

#include "core/exp.h"
#include "core/rng.h"
#include "engine/sample/row_edits.h"

namespace longship {

namespace {

bool greedy(const SampledRow& row) {
  return !(row.temperature > 0);
}

// The choice is among so few first candidates that a summary has them all.
bool few(const SampledRow& row) {
  return row.top_k > 0 && row.top_k <= kMostBest;
}

// Walks over the candidates from the most probable on.
class Draw {
 public:
  Draw(const SampledRow& row, const RowSummary& summary) : row_(row), summary_(summary) {}

  // The place of the chosen candidate; nothing if it is not among the known ones.
  std::optional<std::size_t> choose() {
    weigh();
    std::optional<double> mass = total();
    if (mass && row_.top_p < 1) {
      mass = cut_top_p(row_.top_p * *mass);
    }
    if (!mass) {
      return std::nullopt;
    }
    double rest = Philox::uniform(row_.seed, row_.choice, row_.index) * *mass;
    for (std::size_t i = 0; i < weights_.size(); ++i) {
      rest -= weights_[i];
      if (rest < 0) {
        return i;
      }
    }
    return ended_ ? std::optional(weights_.size() - 1) : std::nullopt;
  }

 private:
  // Proportional to the probabilities, of what top-k and min-p leave; the first one is always left.
  void weigh() {
    const double largest = summary_.best.front().logit;
    const double least = row_.min_p > 0 ? row_.min_p : 0;
    const auto most = row_.top_k > 0 ? static_cast<std::size_t>(row_.top_k) : SIZE_MAX;
    ended_ = summary_.complete || most <= summary_.best.size();
    for (const Candidate& candidate : summary_.best) {
      const double logit = candidate.logit;
      const double weight = logit == largest ? 1 : exp_of_negative((logit - largest) / row_.temperature);
      if (weights_.size() == most || (!weights_.empty() && (weight < least || weight == 0))) {
        ended_ = true;
        return;
      }
      weights_.push_back(weight);
    }
  }

  // Of all candidates that are left. Which way it is added up depends on the request alone.
  std::optional<double> total() const {
    if (row_.top_k <= 0 && !(row_.min_p > 0)) {
      return add_blocks(summary_.sums, row_.temperature).sum;
    }
    double sum = 0;
    for (const double weight : weights_) {
      sum += weight;
    }
    return ended_ ? std::optional(sum) : std::nullopt;
  }

  // Leaves the shortest run of first candidates that reaches `wanted`.
  std::optional<double> cut_top_p(double wanted) {
    double sum = 0;
    for (std::size_t i = 0; i < weights_.size(); ++i) {
      sum += weights_[i];
      if (sum >= wanted) {
        weights_.resize(i + 1);
        ended_ = true;
      }
    }
    return ended_ ? std::optional(sum) : std::nullopt;
  }

  const SampledRow& row_;
  const RowSummary& summary_;
  std::vector<double> weights_;
  bool ended_ = false;  // no candidate follows the known ones
};

}  // namespace

SummaryNeeds needs(const SampledRow& row) {
  SummaryNeeds needs;
  if (greedy(row)) {
    needs.best = 1;
  } else {
    needs.best = few(row) ? row.top_k : kMostBest;
    needs.sums = row.top_k <= 0 && !(row.min_p > 0);
  }
  needs.top = std::max<int64_t>(0, row.logprobs);
  needs.total = row.logprobs >= 0;
  needs.whole = (!greedy(row) && row.top_k > kMostBest) || needs.top > kMostBest;
  return needs;
}

bool may_fall_short(const SampledRow& row) {
  return !greedy(row) && !few(row) && !needs(row).whole;
}

bool can_be_drawn(const SampledRow& row) {
  return !row.edited() && row.logprobs < 0 && !needs(row).whole;
}

TokenDraw token_draw(const SampledRow& row, int64_t index) {
  return {.temperature = row.temperature,
          .top_p = row.top_p,
          .min_p = row.min_p,
          .seed = row.seed,
          .index = row.index,
          .choice = row.choice,
          .top_k = greedy(row) ? 0 : static_cast<int32_t>(std::max<int64_t>(0, row.top_k)),
          .row = static_cast<int32_t>(index)};
}

RowSummary summarise(const SampledRow& row, std::span<const float> raw, std::span<const float> edited, int64_t first) {
  const SummaryNeeds wanted = needs(row);
  const auto blocks = static_cast<std::size_t>(blocks_of(std::ssize(raw)));
  RowSummary summary;
  summary.best = best_candidates(edited, raw, first, wanted.best);
  summary.complete = std::ssize(summary.best) < wanted.best;
  if (wanted.sums) {
    summary.sums.resize(blocks);
    sum_blocks(edited, row.temperature, summary.sums);
  }
  summary.top = best_candidates(raw, raw, first, wanted.top);
  if (wanted.total) {
    summary.total.resize(blocks);
    sum_blocks(raw, 1, summary.total);
  }
  return summary;
}

std::optional<RowChoice> choose(const SampledRow& row, const RowSummary& summary) {
  RowChoice choice;
  std::optional<std::size_t> place;
  if (!summary.best.empty()) {
    place = greedy(row) ? 0 : Draw(row, summary).choose();
    if (!place) {
      return std::nullopt;
    }
    choice.token = summary.best[*place].token;
  }
  if (row.logprobs < 0 || !place) {
    return choice;
  }
  const double total = log_sum_exp(summary.total);
  const auto logprob = [total](float raw) { return static_cast<float>(static_cast<double>(raw) - total); };
  choice.logprob = logprob(summary.best[*place].raw);
  for (const Candidate& candidate : summary.top) {
    choice.top.push_back({candidate.token, logprob(candidate.raw)});
  }
  return choice;
}

RowChoice choose(const SampledRow& row, std::span<const float> logits) {
  std::vector<float> copy;
  std::span<const float> edited = logits;
  if (row.edited()) {
    copy.assign(logits.begin(), logits.end());
    apply_edits(row, 0, copy);
    edited = copy;
  }
  RowSummary summary = summarise(row, logits, edited, 0);
  std::optional<RowChoice> choice = choose(row, summary);
  constexpr int64_t kMore = 8;
  for (int64_t count = kMore * kMostBest; !choice; count *= kMore) {
    summary.best = best_candidates(edited, logits, 0, count);
    summary.complete = std::ssize(summary.best) < count;
    choice = choose(row, summary);
  }
  return *choice;
}

}  // namespace longship
