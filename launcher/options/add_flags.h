#pragma once

#include <vector>

#include "launcher/options/engine_flags.h"
#include "launcher/options/sampling_flags.h"

namespace CLI {
class App;
}

namespace longship {

// What these fill outlives the parsing.

/// Adds MODEL, -tp, -pp and what else the engine understands.
void add_engine_flags(CLI::App& command, EngineFlags& flags);

/// What --dry-run and --json say.
struct DryRunFlags {
  bool wanted = false;
  bool json = false;
};

/// Adds --dry-run and --json, for commands that run an engine.
void add_dry_run_flags(CLI::App& command, DryRunFlags& flags);

/// Adds --trace FILE.
void add_trace_flag(CLI::App& command, std::string& trace);

/// Adds --synthetic and --synthetic-type, for commands that need no tokenizer.
void add_synthetic_flags(CLI::App& command, EngineFlags& flags);

/// Adds --lora-modules, for commands whose requests can ask for an adapter.
void add_adapter_flag(CLI::App& command, std::vector<AdapterOption>& adapters);

/// Adds --override-kv: part of add_engine_flags(), and of other commands that open a GGUF file.
void add_override_flag(CLI::App& command, std::vector<MetadataOverride>& overrides);

/// Adds --temperature, --top-k, ..., --seed, --stop, -n.
void add_sampling_flags(CLI::App& command, SamplingFlags& flags);

}  // namespace longship
