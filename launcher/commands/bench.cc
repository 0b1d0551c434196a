#include "launcher/commands/bench.h"

#include <CLI/CLI.hpp>

#include "launcher/commands/commands.h"

namespace longship {

void add_bench_command(CLI::App& app, std::function<int()>& action) {
  CLI::App* command = app.add_subcommand("bench", "Measure speeds beside what the machine allows");
  command->require_subcommand(1);
  add_bench_run(*command, action);
  add_bench_comm(*command, action);
  add_bench_scale(*command, action);
  add_bench_serve(*command, action);
}

}  // namespace longship
