#pragma once

#include <string>
#include <string_view>

#include "launcher/options/engine_options.h"

namespace longship {

/// The value of --speculative-config, JSON as vLLM takes it: {"method": "ngram", "num_speculative_tokens": 5,
/// "prompt_lookup_max": 4, "prompt_lookup_min": 2}, or {"method": "draft_model", "model": PATH,
/// "num_speculative_tokens": 3}, in which "model" is enough to say the method. Errors: kUsage.
Speculation parse_speculative_config(std::string_view text);
/// Text that parses to these options, from any folder.
std::string speculative_config_text(const Speculation& options);

}  // namespace longship
