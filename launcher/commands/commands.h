#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace longship {

// Each adds its subcommand to `app`. When the user chose it, parsing sets `action` to what then runs and gives the exit
// code; options live as long as `action`. Errors of actions: longship::Error.
void add_run_command(CLI::App& app, std::function<int()>& action);
void add_serve_command(CLI::App& app, std::function<int()>& action);
void add_batch_command(CLI::App& app, std::function<int()>& action);
void add_eval_command(CLI::App& app, std::function<int()>& action);
void add_bench_command(CLI::App& app, std::function<int()>& action);
void add_plan_command(CLI::App& app, std::function<int()>& action);
void add_doctor_command(CLI::App& app, std::function<int()>& action);
void add_inspect_command(CLI::App& app, std::function<int()>& action);
void add_tokenize_command(CLI::App& app, std::function<int()>& action);
void add_template_command(CLI::App& app, std::function<int()>& action);
void add_rank_command(CLI::App& app, std::function<int()>& action);
void add_sweep_command(CLI::App& app, std::function<int()>& action);

}  // namespace longship
