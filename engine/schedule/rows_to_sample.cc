#include "engine/schedule/rows_to_sample.h"

#include <algorithm>

#include "core/error.h"
#include "engine/sample/row_edits.h"

namespace longship {

namespace {

// What the grammar allows behind some output.
std::optional<TokenSet> allowed_tokens(const std::optional<Guide>& guide, const GenerationRequest& request,
                                       std::span<const int32_t> banned, int64_t vocab) {
  if (!guide) {
    return std::nullopt;
  }
  TokenSet allowed = guide->allowed(request.stop_ids, vocab);
  for (const int32_t token : banned) {
    allowed.remove(token);
  }
  if (allowed.empty()) {
    throw Error(ErrorKind::kUsage, "no token of the vocabulary goes on with the grammar");
  }
  return allowed;
}

SampledRow row_behind(const GenerationRequest& request, std::span<const int32_t> output,
                      const std::optional<Guide>& guide, int64_t vocab) {
  const bool may_stop = std::ssize(output) >= request.min_tokens;
  const std::span<const int32_t> banned = may_stop ? std::span<const int32_t>() : request.stop_ids;
  const std::optional<TokenSet> allowed = allowed_tokens(guide, request, banned, vocab);
  SampledRow row = sampled_row(request.sampling, request.prompt, output, vocab, banned, allowed ? &*allowed : nullptr);
  row.logprobs = request.logprobs;
  return row;
}

}  // namespace

std::vector<SampledRow> rows_to_sample(Sequence& sequence, int64_t vocab) {
  const GenerationRequest& request = sequence.request;
  std::vector<int32_t> output(sequence.tokens.begin() + sequence.prompt_tokens(), sequence.tokens.end());
  std::optional<Guide> guide = sequence.guide;
  std::vector<SampledRow> rows = {row_behind(request, output, guide, vocab)};
  std::vector<int32_t>& drafts = sequence.drafts;
  try {
    for (const int32_t draft : drafts) {
      const bool stops = std::find(request.stop_ids.begin(), request.stop_ids.end(), draft) != request.stop_ids.end();
      if (stops || (rows.back().allowed && !rows.back().allowed->has(draft))) {
        break;
      }
      if (guide) {
        guide->accept(draft);
        if (guide->must_end()) {
          break;
        }
      }
      output.push_back(draft);
      rows.push_back(row_behind(request, output, guide, vocab));
    }
  } catch (const Error&) {  // of the grammar behind a draft, which is dropped
  }
  drafts.resize(rows.size() - 1);
  return rows;
}

}  // namespace longship
