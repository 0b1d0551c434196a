#pragma once

#include <string>
#include <string_view>

#include "engine/schedule/prompt_lookup.h"

namespace longship {

/// The value of --speculative-config, JSON as vLLM takes it: {"method": "ngram", "num_speculative_tokens": 5,
/// "prompt_lookup_max": 4, "prompt_lookup_min": 2}. Errors: kUsage.
PromptLookup parse_speculative_config(std::string_view text);
/// Text that parses to these options.
std::string speculative_config_text(const PromptLookup& options);

}  // namespace longship
