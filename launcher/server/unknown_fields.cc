#include "launcher/server/unknown_fields.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "launcher/log.h"

namespace longship {

namespace {

// What some route reads, or what says nothing of the answer.
constexpr auto kKnown = std::to_array<std::string_view>({
    "model",
    "messages",
    "prompt",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "repetition_penalty",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "allowed_token_ids",
    "bad_words",
    "seed",
    "priority",
    "max_tokens",
    "max_completion_tokens",
    "min_tokens",
    "logprobs",
    "top_logprobs",
    "prompt_logprobs",
    "return_tokens_as_token_ids",
    "return_token_ids",
    "stop",
    "stop_token_ids",
    "include_stop_str_in_output",
    "skip_special_tokens",
    "ignore_eos",
    "n",
    "best_of",
    "stream",
    "stream_options",
    "echo",
    "add_special_tokens",
    "truncate_prompt_tokens",
    "truncation_side",
    "add_generation_prompt",
    "continue_final_message",
    "chat_template_kwargs",
    "reasoning_effort",
    "response_format",
    "structured_outputs",
    "guided_json",
    "json_schema",
    "guided_regex",
    "guided_choice",
    "guided_grammar",
    "grammar",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "functions",
    "function_call",
    "suffix",
    "user",
    "metadata",
    "service_tier",
    "store",
    "safety_identifier",
    "prompt_cache_key",
    "tokens",
    "content",
    "add_special",
    "parse_special",
    "with_pieces",
    "return_token_strs",
});

}  // namespace

void UnknownFields::warn_of(const Json& body) {
  constexpr std::size_t kMost = 100;
  const std::lock_guard lock(mutex_);
  for (const auto& [key, value] : body.as_object()) {
    const bool known = std::find(kKnown.begin(), kKnown.end(), key) != kKnown.end();
    const std::string shown = key.substr(0, 80);
    if (!known && seen_.size() < kMost && seen_.insert(shown).second) {
      log_line(LogLevel::kWarning, "requests have a field that is ignored: " + dump_json(shown));
    }
  }
}

}  // namespace longship
