#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>

#include "launcher/bench/machine.h"
#include "launcher/bench/scale_bench.h"
#include "launcher/commands/bench.h"
#include "launcher/commands/bench_tests.h"
#include "launcher/job/rank_environment.h"
#include "launcher/job/run_job.h"
#include "launcher/options/add_flags.h"
#include "launcher/output/text_output.h"
#include "launcher/output/trace_file.h"

namespace longship {

namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  longship bench scale MODEL --ranks 1,2,4                        tensor parallelism on this host\n"
    "  longship bench scale MODEL --ranks 1,2 --mode both -t 1         beside pipeline parallelism\n"
    "  longship bench scale MODEL --ranks 1,2,4 --svg speedup.svg      with a plot\n"
    "  mpirun -n 4 longship bench scale MODEL --ranks 1,2,4            the first ranks of a job, on any hosts\n"
    "Bound: what the memory bandwidth, arithmetic and links measured in the same run allow. Predicted: the speed on "
    "the\n"
    "fewest ranks, carried over to this mesh by the same measurements; the mesh with the highest is advised.\n";

struct BenchScaleFlags {
  BenchTestFlags tests;
  std::vector<int> ranks = {1, 2};
  std::string mode = "tp";
  int rounds = 3;
  std::string svg;
  std::string trace;
};

// The meshes of all points, measured in turn, so that a machine that changes its speed does so for all of them. The
// repetitions are spread over the rounds.
class Rounds {
 public:
  Rounds(const std::vector<ScalePoint>& points, int rounds, int repetitions)
      : rounds_(std::min(rounds, repetitions)), repetitions_(repetitions) {
    for (const ScalePoint& point : points) {
      const MeshShape mesh = mesh_of(point);
      const auto same = std::ranges::find(meshes_, mesh);
      mesh_of_point_.push_back(static_cast<std::size_t>(same - meshes_.begin()));
      if (same == meshes_.end()) meshes_.push_back(mesh);
    }
    results_.resize(meshes_.size());
  }

  std::vector<MeshShape> visits() const {
    std::vector<MeshShape> visits;
    for (int round = 0; round < rounds_; ++round) {
      visits.insert(visits.end(), meshes_.begin(), meshes_.end());
    }
    return visits;
  }

  // Into `trace` as well, if there is one.
  void measure(std::size_t visit, const BenchTestFlags& tests, Engine& engine, TraceFile* trace) {
    const auto round = static_cast<int>(visit / meshes_.size());
    const MeshShape& mesh = meshes_[visit % meshes_.size()];
    const std::string name = "-tp " + std::to_string(mesh.tp) + " -pp " + std::to_string(mesh.pp);
    const std::string where =
        "round " + std::to_string(round + 1) + " of " + std::to_string(rounds_) + ", " + name + ", ";
    if (trace != nullptr) trace->begin_job(name);
    const ReportSink sink = [&](const std::vector<RankReport>& reports) {
      if (trace != nullptr) trace->add(reports);
    };
    RunBenchOptions options = tests.options();
    options.repetitions = repetitions_ * (round + 1) / rounds_ - repetitions_ * round / rounds_;
    results_[visit % meshes_.size()].push_back(
        run_benchmarks(engine, options, sink, [&](const std::string& what) { show_bench_progress(where + what); }));
  }

  // Of each point.
  std::vector<RoundResults> results() const {
    std::vector<RoundResults> results;
    for (const std::size_t mesh : mesh_of_point_) {
      results.push_back(results_[mesh]);
    }
    return results;
  }

 private:
  static MeshShape mesh_of(const ScalePoint& point) {
    return point.mode == "tp" ? MeshShape{.tp = point.ranks, .pp = 1} : MeshShape{.tp = 1, .pp = point.ranks};
  }

  int rounds_;
  int repetitions_;
  std::vector<MeshShape> meshes_;
  std::vector<std::size_t> mesh_of_point_;
  std::vector<RoundResults> results_;  // of each mesh
};

void write_svg(const std::string& path, const std::string& svg, std::ios::openmode mode = std::ios::out) {
  std::ofstream file(path, mode);
  file << svg;
  file.close();
  if (!file) {
    throw Error(ErrorKind::kUsage, "the plot " + path + " cannot be written", "Choose another file for --svg.");
  }
}

// The files that only the leader writes, before anything is measured for them.
std::unique_ptr<TraceFile> open_files(const BenchScaleFlags& flags) {
  if (environment_rank() != 0) {
    return nullptr;
  }
  if (!flags.svg.empty()) {
    write_svg(flags.svg, "", std::ios::app);  // whatever stands there stays until the end
  }
  return flags.trace.empty() ? nullptr : std::make_unique<TraceFile>(flags.trace);
}

int print_scale(const BenchScaleFlags& flags, const Json::Array& rows) {
  show_bench_progress("");
  if (!flags.svg.empty()) {
    write_svg(flags.svg, scale_svg(rows, "Strong scaling of " +
                                             std::filesystem::path(flags.tests.engine.model).filename().string()));
  }
  Json machine = describe_machine();
  machine.set("model", flags.tests.engine.model);
  const TableFormat format = table_format(flags.tests.format);
  const Json advice = scale_advice(rows);
  Json more;
  more.set("advice", advice);
  write_output(format_results(rows, machine, scale_columns(), format, more) +
               (format == TableFormat::kMarkdown ? "\n" + advice_line(advice) : ""));
  return 0;
}

int bench_scale(BenchScaleFlags flags) {
  if (flags.tests.engine.mesh.tp || flags.tests.engine.mesh.pp) {
    throw Error(ErrorKind::kUsage, "bench scale chooses -tp and -pp itself", "Use --ranks and --mode.");
  }
  flags.tests.resolve();
  if (!flags.trace.empty()) {
    flags.tests.engine.options.recording = Recording::kOperations;
  }
  const std::unique_ptr<TraceFile> trace = open_files(flags);
  const std::vector<ScalePoint> points = scale_points(flags.mode, flags.ranks);
  Rounds rounds(points, flags.rounds, flags.tests.repetitions);
  return run_meshes(
      flags.tests.engine, rounds.visits(),
      [&](std::size_t visit, Engine& engine) { rounds.measure(visit, flags.tests, engine, trace.get()); },
      [&] {
        if (trace) trace->finish();
        return print_scale(flags, scale_rows(points, rounds.results()));
      });
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
  command
      ->add_option("--rounds", flags->rounds,
                   "Load and measure the meshes in turn so many times, the repetitions spread over them")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--svg", flags->svg, "Write a plot of the speed-ups to FILE")->type_name("FILE");
  add_trace_flag(*command, flags->trace);
  add_bench_test_flags(*command, flags->tests);
  command->callback([flags, &action] { action = [flags] { return bench_scale(*flags); }; });
}

}  // namespace longship
