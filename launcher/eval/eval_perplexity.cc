#include "launcher/eval/eval_perplexity.h"

#include <cmath>
#include <unordered_map>

#include "core/error.h"
#include "launcher/eval/prompt_score.h"

namespace longship {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kOneWait(1);

std::vector<std::vector<int32_t>> make_chunks(const PerplexityTask& task) {
  const std::vector<int32_t> ids = task.tokenizer->encode(task.text);
  const std::vector<int32_t> prefix = task.tokenizer->encode("");
  const auto size = static_cast<std::size_t>(task.context);
  std::vector<std::vector<int32_t>> chunks;
  for (std::size_t begin = 0; begin + size <= ids.size(); begin += size) {
    const auto first = ids.begin() + static_cast<std::ptrdiff_t>(begin);
    chunks.emplace_back(first, first + task.context);
    if (!prefix.empty()) {
      chunks.back().front() = prefix.front();
    }
  }
  if (chunks.empty()) {
    throw Error(ErrorKind::kUsage,
                "the text has " + std::to_string(ids.size()) + " tokens, fewer than one chunk of " +
                    std::to_string(task.context),
                "Use a longer text, or a smaller --ctx.");
  }
  return chunks;
}

// Sums in the order of the chunks, so that the result does not depend on which is finished first.
Perplexity summarise(const std::vector<PromptScore>& scores) {
  Perplexity result;
  double sum = 0;
  double squares = 0;
  for (const PromptScore& score : scores) {
    sum += score.sum();
    squares += score.sum_of_squares();
    result.scored += score.scored();
  }
  const auto count = static_cast<double>(result.scored);
  const double mean = sum / count;
  const double variance = squares / count - mean * mean;
  result.value = std::exp(mean);
  result.error = result.scored > 1 && variance > 0 ? result.value * std::sqrt(variance / (count - 1)) : 0;
  result.chunks = static_cast<int64_t>(scores.size());
  return result;
}

}  // namespace

Perplexity measure_perplexity(const PerplexityTask& task, Engine& engine) {
  const std::vector<std::vector<int32_t>> chunks = make_chunks(task);
  std::vector<PromptScore> scores;
  std::unordered_map<RequestId, std::size_t> running;
  while (scores.size() < chunks.size() || !running.empty()) {
    while (scores.size() < chunks.size() && static_cast<int64_t>(running.size()) < task.max_in_flight) {
      GenerationRequest request;
      request.prompt = chunks[scores.size()];
      request.max_tokens = 0;
      request.prompt_logits = true;
      scores.emplace_back(request.prompt, task.context / 2 + 1, engine.info().vocab);
      running.emplace(engine.submit(std::move(request)), scores.size() - 1);
    }
    const std::optional<EngineEvent> event = engine.next_event(Clock::now() + kOneWait);
    if (!event) {
      continue;
    }
    if (event->kind == EngineEvent::Kind::kLogits) {
      scores[running.at(event->request)].add(event->first_position, event->logits);
    } else if (event->kind == EngineEvent::Kind::kFinished) {
      if (event->reason >= FinishReason::kError) {
        throw Error(ErrorKind::kUsage, event->error, "Use a smaller --ctx, or a larger --max-model-len.");
      }
      running.erase(event->request);
    }
  }
  return summarise(scores);
}

}  // namespace longship
