#include "engine/sample/row_edits.h"

#include <algorithm>
#include <limits>
#include <unordered_map>

namespace longship {

namespace {

std::vector<TokenEdit> token_edits(const SamplingParams& params, std::span<const int32_t> prompt,
                                   std::span<const int32_t> output) {
  std::unordered_map<int32_t, TokenEdit> edits;
  const auto edit = [&](int32_t token) -> TokenEdit& {
    return edits.try_emplace(token, TokenEdit{.token = token}).first->second;
  };
  for (const auto& [token, bias] : params.logit_bias) {
    edit(token).bias += bias;
  }
  if (params.repetition_penalty != 1.0) {
    const auto penalty = static_cast<float>(params.repetition_penalty);
    std::for_each(prompt.begin(), prompt.end(), [&](int32_t token) { edit(token).penalty = penalty; });
    std::for_each(output.begin(), output.end(), [&](int32_t token) { edit(token).penalty = penalty; });
  }
  if (params.presence_penalty != 0.0 || params.frequency_penalty != 0.0) {
    std::unordered_map<int32_t, int> counts;
    for (const int32_t token : output) {
      ++counts[token];
    }
    for (const auto& [token, count] : counts) {
      edit(token).minus = static_cast<float>(params.frequency_penalty * count + params.presence_penalty);
    }
  }
  std::vector<TokenEdit> result;
  result.reserve(edits.size());
  for (const auto& [token, one] : edits) {
    result.push_back(one);
  }
  return result;
}

// The last tokens of bad words whose others end the output.
void ban_bad_words(std::span<const int32_t> output, const SamplingParams& params, std::vector<int32_t>& banned) {
  for (const std::vector<int32_t>& word : params.bad_words) {
    const std::span<const int32_t> before(word.data(), word.size() - 1);
    const bool begun =
        output.size() >= before.size() && std::equal(before.begin(), before.end(), output.end() - std::ssize(before));
    if (begun) {
      banned.push_back(word.back());
    }
  }
}

std::optional<TokenSet> allowed_tokens(const SamplingParams& params, int64_t vocab, const TokenSet* allowed) {
  if (params.allowed_ids.empty()) {
    return allowed != nullptr ? std::optional(*allowed) : std::nullopt;
  }
  TokenSet both(vocab);
  for (const int32_t token : params.allowed_ids) {
    if (allowed == nullptr || allowed->has(token)) {
      both.add(token);
    }
  }
  return both;
}

}  // namespace

SampledRow sampled_row(const SamplingParams& params, std::span<const int32_t> prompt, std::span<const int32_t> output,
                       int64_t vocab, std::span<const int32_t> banned, const TokenSet* allowed) {
  SampledRow row{.temperature = params.temperature,
                 .top_k = params.top_k,
                 .top_p = params.top_p,
                 .min_p = params.min_p,
                 .seed = params.seed,
                 .choice = params.choice,
                 .index = output.size(),
                 .logprobs = -1,
                 .edits = token_edits(params, prompt, output),
                 .banned = {banned.begin(), banned.end()},
                 .allowed = allowed_tokens(params, vocab, allowed)};
  ban_bad_words(output, params, row.banned);
  return row;
}

void apply_edits(const SampledRow& row, int64_t first, std::span<float> logits) {
  constexpr float kNever = -std::numeric_limits<float>::infinity();
  const auto place = [&](int32_t token) -> float* {
    const int64_t i = token - first;
    return i >= 0 && i < std::ssize(logits) ? &logits[static_cast<std::size_t>(i)] : nullptr;
  };
  for (const TokenEdit& edit : row.edits) {
    if (float* logit = place(edit.token)) {
      *logit += edit.bias;
      *logit = *logit > 0 ? *logit / edit.penalty : *logit * edit.penalty;
      *logit -= edit.minus;
    }
  }
  for (const int32_t token : row.banned) {
    if (float* logit = place(token)) {
      *logit = kNever;
    }
  }
  if (row.allowed) {
    for (std::size_t i = 0; i < logits.size(); ++i) {
      if (!row.allowed->has(first + static_cast<int64_t>(i))) {
        logits[i] = kNever;
      }
    }
  }
}

}  // namespace longship
