#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/backend/token_draw.h"
#include "engine/sample/row_summary.h"
#include "engine/schedule/sampled_row.h"
#include "engine/schedule/step_result.h"

namespace longship {

/// Most candidates of a summary: they hold most of the probability of a text's next token.
inline constexpr int64_t kMostBest = kMostCandidates;

/// What a choice needs to know of a row.
struct SummaryNeeds {
  int64_t best = 0;    ///< So many first candidates ...
  bool sums = false;   ///< ... and sums over all, behind the edits, at the row's temperature.
  int64_t top = 0;     ///< So many most probable tokens before the edits ...
  bool total = false;  ///< ... and sums over all at temperature 1.
  bool whole = false;  ///< No summary can do: the whole row.
};
SummaryNeeds needs(const SampledRow& row);
/// Whether a summary that has what is needed may yet turn out not to suffice.
bool may_fall_short(const SampledRow& row);
/// Whether a device can make the choice, or find that the first candidates do not suffice.
bool can_be_drawn(const SampledRow& row);
/// What it is told, for row `index` of its logits.
TokenDraw token_draw(const SampledRow& row, int64_t index);

/// What is known of a row of logits, of as many tokens as a vocabulary has or of a part of it.
struct RowSummary {
  std::vector<Candidate> best;  ///< In order.
  bool complete = false;        ///< No other token can be chosen.
  std::vector<BlockSum> sums;
  std::vector<Candidate> top;
  std::vector<BlockSum> total;
};
/// `raw` are the model's logits of the tokens from `first` on, the first token of a block, `edited` these behind the
/// row's edits.
RowSummary summarise(const SampledRow& row, std::span<const float> raw, std::span<const float> edited, int64_t first);

/// Chooses a token, or says that the summary does not suffice.
///
/// Order, as in vLLM: biases; repetition, frequency and presence penalties; temperature; min-p; top-k; top-p. Ties go
/// to the lowest id. A temperature that is not above 0 takes the largest logit. Otherwise probabilities are added up
/// from the most probable token on until they pass the number drawn: so the choice is the same whether all of a row or
/// only its beginning is known. No token is chosen if all are forbidden, or no logit is a number.
std::optional<RowChoice> choose(const SampledRow& row, const RowSummary& summary);
/// The same choice from the whole row of the model's logits.
RowChoice choose(const SampledRow& row, std::span<const float> logits);

}  // namespace longship
