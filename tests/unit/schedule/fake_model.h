#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/schedule/scheduler.h"
#include "engine/schedule/step_executor.h"
#include "tests/unit/sample/sample.h"

namespace longship::fake {

inline uint64_t mix(uint64_t a, uint64_t b) {
  uint64_t x = a * 0x9E3779B97F4A7C15 ^ b;
  x = (x ^ x >> 31) * 0xBF58476D1CE4E5B9;
  return x ^ x >> 29;
}

/// What a sequence has seen. As in a deep model, the value that a position leaves in the cache depends on all before
/// it, and the logits of a position read every value up to it.
struct History {
  uint64_t state = 1;
  int32_t last = 0;

  uint64_t value(int32_t token) const { return mix(state, static_cast<uint64_t>(token)); }
  void read(uint64_t cached_value) { state = mix(state, cached_value); }
  void extend(int32_t token) {
    read(value(token));
    last = token;
  }
};

/// Of a sequence with this adapter.
inline History beginning_with(int32_t adapter) {
  return {.state = 1 + static_cast<uint64_t>(adapter)};
}

/// Mostly the same token follows a token, so that texts repeat themselves as real ones do.
inline std::vector<float> logits(const History& history, int64_t vocab, uint64_t salt = 0) {
  std::vector<float> row;
  for (int64_t token = 0; token < vocab; ++token) {
    row.push_back(static_cast<float>(mix(history.state + salt, static_cast<uint64_t>(token)) >> 40U) * 0x1p-21F);
  }
  if (mix(history.state, 0) % 4 != 0) {
    row[static_cast<std::size_t>((7 * history.last + 3) % vocab)] += 8;
  }
  return row;
}

/// A model over paged memory. What it says of a sequence is right only if every earlier position was run on the
/// pages of the plan and nothing has overwritten it.
class Model : public StepExecutor {
 public:
  /// Models of another `salt` say mostly the same.
  Model(int64_t vocab, int64_t pages, int64_t page_tokens, uint64_t salt = 0)
      : vocab_(vocab),
        page_tokens_(page_tokens),
        salt_(salt),
        cache_(static_cast<std::size_t>(pages * page_tokens), kGarbage) {}

  StepResult execute(const StepPlan& plan) override {
    StepResult result{.step = plan.step, .rows = Tensor::allocate(DType::kF32, {plan.whole_rows(), vocab_})};
    float* out = result.rows.data<float>();
    const int32_t* token = plan.tokens.data();
    for (const PlanSlice& slice : plan.slices) {
      History history = beginning_with(slice.adapter);
      for (int64_t position = 0; position < slice.begin; ++position) {
        history.read(cell(slice, position));
      }
      for (int64_t row = 0; row < slice.rows; ++row) {
        cell(slice, slice.begin + row) = history.value(*token);
        history.extend(*token++);
        const std::vector<float> values = logits(history, vocab_, salt_);
        if (slice.whole_rows && row >= slice.rows - slice.logit_rows) {
          out = std::copy(values.begin(), values.end(), out);
        }
        const int64_t sampled = row - (slice.rows - std::ssize(slice.sampled));
        if (sampled >= 0) {
          result.choices.push_back(choose(slice.sampled[static_cast<std::size_t>(sampled)], values));
        }
      }
    }
    return result;
  }

 private:
  static constexpr uint64_t kGarbage = 0xDEADBEEF;

  uint64_t& cell(const PlanSlice& slice, int64_t position) {
    const int32_t page = slice.pages.at(static_cast<std::size_t>(position / page_tokens_));
    return cache_.at(static_cast<std::size_t>(page * page_tokens_ + position % page_tokens_));
  }

  int64_t vocab_;
  int64_t page_tokens_;
  uint64_t salt_;
  std::vector<uint64_t> cache_;
};

/// What a request gives when it runs alone, with no cache at all.
struct Answer {
  std::vector<int32_t> tokens;
  FinishReason reason = FinishReason::kLength;
};

inline Answer answer_alone(const GenerationRequest& request, const SchedulerLimits& limits) {
  const int64_t room = std::min(limits.max_model_len, limits.kv_pages * limits.page_tokens);
  const int64_t most = std::min(request.max_tokens, room - static_cast<int64_t>(request.prompt.size()));
  History history = beginning_with(request.adapter);
  for (const int32_t token : request.prompt) {
    history.extend(token);
  }
  Answer answer;
  while (static_cast<int64_t>(answer.tokens.size()) < most) {
    const int32_t token = sample(logits(history, limits.vocab), request.prompt, answer.tokens, request.sampling);
    const auto& stops = request.stop_ids;
    if (std::find(stops.begin(), stops.end(), token) != stops.end()) {
      answer.reason = FinishReason::kStop;
      break;
    }
    answer.tokens.push_back(token);
    history.extend(token);
  }
  return answer;
}

}  // namespace longship::fake
