#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "launcher/add_flags.h"
#include "launcher/bench/machine.h"
#include "launcher/bench/run_bench.h"
#include "launcher/commands/bench.h"
#include "launcher/default_model.h"
#include "launcher/run_job.h"
#include "launcher/text_output.h"
#include "launcher/trace_file.h"

namespace longship {

namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  longship bench run MODEL                         pp512 and tg128\n"
    "  longship bench run MODEL -p 0 -n 64 -d 0,8192    decoding, at two depths of context\n"
    "  longship bench run MODEL -tp 2 -t 1 -o json      two ranks of one thread\n";

struct BenchRunFlags {
  EngineFlags engine;
  std::vector<int64_t> prompts = {512};
  std::vector<int64_t> generations = {128};
  std::vector<int64_t> depths = {0};
  int repetitions = 5;
  std::string format = "md";
  std::string trace;
};

std::vector<RunTest> tests_of(const BenchRunFlags& flags) {
  std::vector<RunTest> tests;
  for (const int64_t depth : flags.depths) {
    for (const int64_t prompt : flags.prompts) {
      if (prompt > 0) tests.push_back({.prompt = prompt, .depth = depth});
    }
    for (const int64_t generate : flags.generations) {
      if (generate > 0) tests.push_back({.generate = generate, .depth = depth});
    }
  }
  if (tests.empty()) {
    throw Error(ErrorKind::kUsage, "there is nothing to measure",
                "Give a prompt length by -p, or a number of tokens by -n.");
  }
  return tests;
}

int64_t longest(const std::vector<RunTest>& tests) {
  int64_t most = 0;
  for (const RunTest& test : tests) {
    most = std::max(most, test.context_tokens());
  }
  return most;
}

void show_progress(const std::string& what) {
  if (isatty(STDERR_FILENO) == 1) {
    std::fprintf(stderr, "\r\033[K%s", what.c_str());
  }
}

int print_rows(Engine& engine, const RunBenchOptions& options, const BenchRunFlags& flags, const ReportSink& sink) {
  const Json::Array rows = run_benchmarks(engine, options, sink, show_progress);
  show_progress("");
  Json machine = describe_machine();
  machine.set("ranks", engine.info().tp * engine.info().pp);
  machine.set("model", flags.engine.model);
  write_output(format_results(rows, machine, run_columns(), table_format(flags.format)));
  return 0;
}

FrontEnd make_front_end(const BenchRunFlags& flags) {
  const RunBenchOptions options{.tests = tests_of(flags),
                                .repetitions = flags.repetitions,
                                .chunk_tokens = flags.engine.options.max_batched_tokens};
  if (flags.trace.empty()) {
    return [flags, options](Engine& engine) { return print_rows(engine, options, flags, [](const auto&) {}); };
  }
  auto trace = std::make_shared<TraceFile>(flags.trace);
  return [flags, options, trace](Engine& engine) {
    const int exit_code =
        print_rows(engine, options, flags, [&](const std::vector<RankReport>& reports) { trace->add(reports); });
    trace->finish();
    return exit_code;
  };
}

int bench_run(BenchRunFlags flags) {
  if (flags.engine.model.empty()) {
    flags.engine.model = default_model();
  }
  EngineOptions& options = flags.engine.options;
  options.recording = flags.trace.empty() ? Recording::kSteps : Recording::kOperations;
  if (options.max_model_len == 0) {
    options.max_model_len = longest(tests_of(flags));
  }
  return run_job(
      flags.engine, [&] { return make_front_end(flags); }, [] { return false; });
}

}  // namespace

void add_bench_run(CLI::App& bench, std::function<int()>& action) {
  auto flags = std::make_shared<BenchRunFlags>();
  CLI::App* command =
      bench.add_subcommand("run", "Prompt and generation speed of a model on a mesh")->footer(kExamples);
  const auto tokens = CLI::Range(int64_t{0}, int64_t{1} << 24U);
  command->add_option("-p,--n-prompt", flags->prompts, "Lengths of prompts; 0: none")
      ->type_name("N,...")
      ->delimiter(',')
      ->check(tokens)
      ->capture_default_str();
  command->add_option("-n,--n-gen", flags->generations, "Tokens to generate; 0: none")
      ->type_name("N,...")
      ->delimiter(',')
      ->check(tokens)
      ->capture_default_str();
  command->add_option("-d,--n-depth", flags->depths, "Tokens in the key/value cache before")
      ->type_name("N,...")
      ->delimiter(',')
      ->check(tokens)
      ->capture_default_str();
  command->add_option("-r,--repetitions", flags->repetitions, "Timed runs of each test")
      ->type_name("N")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  command->add_option("-o,--output", flags->format, "Output: md, csv or json")
      ->check(CLI::IsMember({"md", "csv", "json"}))
      ->capture_default_str();
  add_trace_flag(*command, flags->trace);
  add_engine_flags(*command, flags->engine);
  command->callback([flags, &action] { action = [flags] { return bench_run(*flags); }; });
}

}  // namespace longship
