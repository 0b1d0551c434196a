#include <CLI/CLI.hpp>

#include "launcher/commands/commands.h"
#include "launcher/job/run_job.h"
#include "launcher/options/add_flags.h"

namespace longship {

void add_rank_command(CLI::App& app, std::function<int()>& action) {
  auto flags = std::make_shared<EngineFlags>();
  CLI::App* command = app.add_subcommand("rank", "One rank of a job that longship itself started")->group("");
  add_engine_flags(*command, *flags);
  add_synthetic_flags(*command, *flags);
  add_adapter_flag(*command, flags->options.adapters);
  command->callback([flags, &action] { action = [flags] { return run_child_rank(*flags); }; });
}

}  // namespace longship
