#include <CLI/CLI.hpp>
#include <fstream>

#include "comm/transport.h"
#include "launcher/bench/machine.h"
#include "launcher/bench/scale_bench.h"
#include "launcher/commands/bench.h"
#include "launcher/commands/bench_tests.h"
#include "launcher/run_job.h"
#include "launcher/text_output.h"

namespace longship {

namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  longship bench scale MODEL --ranks 1,2,4                        tensor parallelism on this host\n"
    "  longship bench scale MODEL --ranks 1,2 --mode both -t 1         beside pipeline parallelism\n"
    "  longship bench scale MODEL --ranks 1,2,4 --svg speedup.svg      with a plot\n"
    "Bound: what the memory bandwidth and arithmetic measured in the same run allow, with the communication as "
    "measured.\n";

struct BenchScaleFlags {
  BenchTestFlags tests;
  std::vector<int> ranks = {1, 2};
  std::string mode = "tp";
  std::string svg;
};

Json::Array measure(const BenchScaleFlags& flags, const ScalePoint& point) {
  EngineFlags engine = flags.tests.engine;
  engine.mesh = point.mode == "tp" ? MeshRequest{.tp = point.ranks, .pp = 1} : MeshRequest{.tp = 1, .pp = point.ranks};
  Json::Array rows;
  const auto progress = [&](const std::string& what) {
    show_bench_progress(point.mode + " " + std::to_string(point.ranks) + ", " + what);
  };
  const PrepareFrontEnd prepare = [&]() -> FrontEnd {
    return [&](Engine& job) {
      rows = run_benchmarks(
          job, flags.tests.options(), [](const auto&) {}, progress);
      return 0;
    };
  };
  run_job(engine, prepare, [](int) { return false; });
  return rows;
}

void write_svg(const std::string& path, const std::string& svg) {
  std::ofstream file(path);
  file << svg;
  file.close();
  if (!file) {
    throw Error(ErrorKind::kUsage, "the plot " + path + " cannot be written", "Choose another file for --svg.");
  }
}

int bench_scale(BenchScaleFlags flags) {
  if (launched_as_rank()) {
    throw Error(ErrorKind::kUsage, "bench scale starts jobs of several sizes itself",
                "Run it without mpirun or srun; measure one size under them by longship bench run.");
  }
  if (flags.tests.engine.mesh.tp || flags.tests.engine.mesh.pp) {
    throw Error(ErrorKind::kUsage, "bench scale chooses -tp and -pp itself", "Use --ranks and --mode.");
  }
  flags.tests.resolve();
  const std::vector<ScalePoint> points = scale_points(flags.mode, flags.ranks);
  std::vector<Json::Array> results;
  for (const ScalePoint& point : points) {
    results.push_back(measure(flags, point));
  }
  show_bench_progress("");
  const Json::Array rows = scale_rows(points, results);
  if (!flags.svg.empty()) {
    write_svg(flags.svg, scale_svg(rows, "Strong scaling of " +
                                             std::filesystem::path(flags.tests.engine.model).filename().string()));
  }
  Json machine = describe_machine();
  machine.set("model", flags.tests.engine.model);
  write_output(format_results(rows, machine, scale_columns(), table_format(flags.tests.format)));
  return 0;
}

}  // namespace

void add_bench_scale(CLI::App& bench, std::function<int()>& action) {
  auto flags = std::make_shared<BenchScaleFlags>();
  CLI::App* command = bench.add_subcommand("scale", "Speed-up of a model over growing meshes")->footer(kExamples);
  command->add_option("--ranks", flags->ranks, "Rank counts")
      ->type_name("N,...")
      ->delimiter(',')
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  command
      ->add_option("--mode", flags->mode, "Grow by tensor parallelism (tp), pipeline parallelism (pp), or measure both")
      ->check(CLI::IsMember({"tp", "pp", "both"}))
      ->capture_default_str();
  command->add_option("--svg", flags->svg, "Write a plot of the speed-ups to FILE")->type_name("FILE");
  add_bench_test_flags(*command, flags->tests);
  command->callback([flags, &action] { action = [flags] { return bench_scale(*flags); }; });
}

}  // namespace longship
