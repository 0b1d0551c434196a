#include <CLI/CLI.hpp>

#include "launcher/bench/machine.h"
#include "launcher/commands/bench.h"
#include "launcher/commands/bench_tests.h"
#include "launcher/job/run_job.h"
#include "launcher/options/add_flags.h"
#include "launcher/output/text_output.h"
#include "launcher/output/trace_file.h"

namespace longship {

namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  longship bench run MODEL                         pp512 and tg128\n"
    "  longship bench run MODEL -p 0 -n 64 -d 0,8192    decoding, at two depths of context\n"
    "  longship bench run MODEL -tp 2 -t 1 -o json      two ranks of one thread\n"
    "  longship bench run MODEL -p 0 -npl 1,16          decoding one stream, and 16 together\n";

struct BenchRunFlags {
  BenchTestFlags tests;
  std::string trace;
};

int print_rows(Engine& engine, const BenchTestFlags& flags, const ReportSink& sink) {
  Json::Array rows;
  for (RunResult& result : run_benchmarks(engine, flags.options(), sink, show_bench_progress)) {
    rows.push_back(std::move(result.row));
  }
  show_bench_progress("");
  Json machine = describe_machine();
  machine.set("ranks", engine.info().tp * engine.info().pp);
  machine.set("model", flags.engine.model);
  write_output(format_results(rows, machine, run_columns(), table_format(flags.format)));
  return 0;
}

FrontEnd make_front_end(const BenchRunFlags& flags) {
  if (flags.trace.empty()) {
    return [flags](Engine& engine) { return print_rows(engine, flags.tests, [](const auto&) {}); };
  }
  auto trace = std::make_shared<TraceFile>(flags.trace);
  return [flags, trace](Engine& engine) {
    const int exit_code =
        print_rows(engine, flags.tests, [&](const std::vector<RankReport>& reports) { trace->add(reports); });
    trace->finish();
    return exit_code;
  };
}

int bench_run(BenchRunFlags flags) {
  flags.tests.resolve();
  if (!flags.trace.empty()) {
    flags.tests.engine.options.recording = Recording::kOperations;
  }
  return run_job(
      flags.tests.engine, [&] { return make_front_end(flags); }, [](int) { return false; });
}

}  // namespace

void add_bench_run(CLI::App& bench, std::function<int()>& action) {
  auto flags = std::make_shared<BenchRunFlags>();
  CLI::App* command =
      bench.add_subcommand("run", "Prompt and generation speed of a model on a mesh")->footer(kExamples);
  add_trace_flag(*command, flags->trace);
  add_bench_test_flags(*command, flags->tests);
  add_streams_flag(*command, flags->tests);
  command->callback([flags, &action] { action = [flags] { return bench_run(*flags); }; });
}

}  // namespace longship
