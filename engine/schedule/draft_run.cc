#include "engine/schedule/draft_run.h"

#include <algorithm>

#include "core/error.h"
#include "engine/schedule/rows_to_sample.h"

namespace longship {

namespace {

// How the next guess is chosen; nothing if none can follow. Then the guesses that there are will do.
std::optional<SampledRow> row_of_next(Sequence& sequence, int64_t vocab) {
  const std::size_t drafts = sequence.drafts.size();
  try {
    std::vector<SampledRow> rows = rows_to_sample(sequence, vocab);
    if (sequence.drafts.size() == drafts) {
      rows.back().logprobs = -1;
      return std::move(rows.back());
    }
  } catch (const Error&) {  // of the grammar: the target's plan says so
  }
  return std::nullopt;
}

}  // namespace

bool add_draft_slice(Sequence& sequence, int64_t room, int64_t vocab, StepPlan& plan) {
  DraftRun& run = *sequence.draft_run;
  if (std::ssize(sequence.drafts) >= run.wanted.value_or(0)) {
    return false;
  }
  std::optional<SampledRow> next = row_of_next(sequence, vocab);
  if (!next) {
    run.wanted = std::ssize(sequence.drafts);
    return false;
  }
  const int64_t end = sequence.length() + std::ssize(sequence.drafts);
  PlanSlice slice{.sequence = sequence.id,
                  .epoch = sequence.epoch,
                  .begin = run.computed,
                  .rows = std::min(end - run.computed, room),
                  .pages = sequence.pages};
  for (int64_t position = slice.begin; position < slice.begin + slice.rows; ++position) {
    const int64_t draft = position - sequence.length();
    plan.tokens.push_back(draft < 0 ? sequence.tokens[static_cast<std::size_t>(position)]
                                    : sequence.drafts[static_cast<std::size_t>(draft)]);
  }
  run.computed += slice.rows;
  run.in_flight = true;
  if (run.computed == end) {
    slice.sampled.push_back(std::move(*next));
    slice.logit_rows = 1;
  }
  plan.slices.push_back(std::move(slice));
  return true;
}

void take_draft(Sequence& sequence, std::span<const RowChoice> choices) {
  DraftRun& run = *sequence.draft_run;
  run.in_flight = false;
  if (choices.empty()) {
    return;
  }
  const int32_t token = choices.front().token;
  const auto& stops = sequence.request.stop_ids;
  if (token < 0 || std::find(stops.begin(), stops.end(), token) != stops.end()) {
    run.wanted = std::ssize(sequence.drafts);
  } else {
    sequence.drafts.push_back(token);
  }
}

void end_drafts(Sequence& sequence) {
  DraftRun& run = *sequence.draft_run;
  run.wanted.reset();
  run.computed = std::min(run.computed, sequence.computed);
}

}  // namespace longship
