#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "launcher/generate/model_text.h"
#include "launcher/options/engine_flags.h"

namespace CLI {
class App;
}

namespace longship {

/// How commands that answer API requests take them.
struct RequestFlags {
  std::vector<std::string> served_names;  ///< Models that requests may name.
  std::string tool_parser = "auto";
  std::string reasoning_parser = "auto";
  std::string chat_template;     ///< Of its own; empty: the model's.
  std::optional<uint64_t> seed;  ///< Of requests that name none; else random.

  /// Those given, or the name of the model's file.
  std::vector<std::string> names_of(const std::string& model) const;
  /// The texts of the engine's model as these flags want them. Errors: kUsage, kModelFile.
  ModelText load_text(const EngineFlags& engine) const;
};

/// Adds --served-model-name, --tool-call-parser, --reasoning-parser, --chat-template and --seed. `flags` outlives the
/// parsing.
void add_request_flags(CLI::App& command, RequestFlags& flags);

}  // namespace longship
