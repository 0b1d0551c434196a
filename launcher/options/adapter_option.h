#pragma once

#include <span>
#include <string>
#include <vector>

#include "launcher/options/engine_options.h"

namespace longship {

/// A value of --lora-modules: NAME=PATH, or {"name": NAME, "path": PATH} as vLLM takes it too. Errors: kUsage.
AdapterOption parse_adapter(const std::string& text);

/// Errors: kUsage unless every adapter has a name of its own, which is none of `models`.
void check_adapter_names(std::span<const AdapterOption> adapters, std::span<const std::string> models);

}  // namespace longship
