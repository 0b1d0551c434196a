#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace longship {

/// Add a subcommand of `longship bench` each; parsing it sets `action`.
void add_bench_run(CLI::App& bench, std::function<int()>& action);
void add_bench_comm(CLI::App& bench, std::function<int()>& action);
void add_bench_scale(CLI::App& bench, std::function<int()>& action);
void add_bench_serve(CLI::App& bench, std::function<int()>& action);

}  // namespace longship
