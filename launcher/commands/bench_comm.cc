#include <CLI/CLI.hpp>

#include "launcher/bench/comm_bench.h"
#include "launcher/bench/machine.h"
#include "launcher/commands/bench.h"
#include "launcher/commands/bench_tests.h"
#include "launcher/job/mpirun.h"
#include "launcher/job/with_mpi.h"
#include "launcher/options/add_flags.h"
#include "launcher/output/text_output.h"
#include "launcher/output/trace_file.h"

namespace longship {

namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  longship bench comm --ranks 2                      two ranks of this host, every operation\n"
    "  mpirun -n 4 longship bench comm --op all_reduce    the ranks of a job\n"
    "  mpirun -n 2 longship bench comm -b 8K -e 16K       the sizes of decoding\n"
    "Transports: shm (memory of one host), hosts (shm on each host, messages between), mpi (this engine's messages),\n"
    "mpi_native (MPI's own operation).\n";

struct BenchCommFlags {
  CommBenchOptions options{.ops = comm_ops()};
  std::string op = "all";
  int ranks = 2;
  std::string format = "md";
  std::string trace;

  void resolve() {
    if (op != "all") {
      options.ops = {op};
    }
    if (options.least_bytes > options.most_bytes) {
      throw Error(ErrorKind::kUsage, "the smallest size is above the largest", "Give -b less than or equal to -e.");
    }
    options.record = !trace.empty();
  }

  std::vector<std::string> arguments() const {
    std::vector<std::string> words = {"bench", "comm",
                                      "--op",  op,
                                      "-b",    std::to_string(options.least_bytes),
                                      "-e",    std::to_string(options.most_bytes),
                                      "-f",    std::to_string(options.factor),
                                      "-r",    std::to_string(options.repetitions),
                                      "-o",    format};
    if (!trace.empty()) {
      words.insert(words.end(), {"--trace", trace});
    }
    return words;
  }
};

Json describe_job(const Transport& transport) {
  Json machine = describe_machine();
  machine.set("ranks", transport.size());
  machine.set("hosts", static_cast<int64_t>(transport.ranks_per_host().size()));
  return machine;
}

// All ranks together: the leader's trace, if one is wanted.
std::unique_ptr<TraceFile> open_trace(Transport& transport, const std::string& path) {
  std::unique_ptr<TraceFile> trace;
  std::optional<Error> failure;
  try {
    if (transport.leads() && !path.empty()) trace = std::make_unique<TraceFile>(path);
  } catch (const Error& error) {
    failure = error;
  }
  transport.control().agree(failure ? &*failure : nullptr, "trace");
  return trace;
}

int bench_comm(BenchCommFlags flags) {
  flags.resolve();
  if (!launched_as_rank()) {
    become_mpirun(flags.ranks, flags.arguments());
  }
  return with_mpi({}, [&](Transport& transport) {
    const bool speaks = transport.leads();
    const std::unique_ptr<TraceFile> trace = open_trace(transport, flags.trace);
    const auto progress = [&](const std::string& what) {
      if (speaks) show_bench_progress(what);
    };
    const CommBenchResult result = run_comm_benchmarks(transport, flags.options, progress);
    progress("");
    if (trace) {
      trace->add(result.reports);
      trace->finish();
    }
    if (speaks) {
      write_output(format_results(result.rows, describe_job(transport), comm_columns(), table_format(flags.format)));
    }
    return 0;
  });
}

void add_size(CLI::App& command, const char* name, int64_t& bytes, const char* help) {
  command.add_option(name, bytes, help)
      ->type_name("SIZE")
      ->transform(CLI::AsSizeValue(false))
      ->check(CLI::Range(int64_t{4}, int64_t{1} << 32U))
      ->capture_default_str();
}

}  // namespace

void add_bench_comm(CLI::App& bench, std::function<int()>& action) {
  auto flags = std::make_shared<BenchCommFlags>();
  CLI::App* command =
      bench.add_subcommand("comm", "Speed of the collectives between ranks, beside MPI's own")->footer(kExamples);
  std::vector<std::string> names = comm_ops();
  names.insert(names.end(), {kAddNormOp, "all"});
  command
      ->add_option("--op", flags->op,
                   "all_reduce, all_gather, reduce_scatter, sendrecv, or all of them; all_reduce_add_norm: with the "
                   "residual and RMSNorm of a model, beside all_reduce")
      ->type_name("OP")
      ->check(CLI::IsMember(names))
      ->capture_default_str();
  add_size(*command, "-b,--min-bytes", flags->options.least_bytes, "Smallest size");
  add_size(*command, "-e,--max-bytes", flags->options.most_bytes, "Largest size, e.g. 64M");
  command->add_option("-f,--step-factor", flags->options.factor, "From one size to the next")
      ->type_name("N")
      ->check(CLI::Range(int64_t{2}, int64_t{1} << 20U))
      ->capture_default_str();
  command->add_option("--ranks", flags->ranks, "Ranks to start where no launcher has")
      ->type_name("N")
      ->check(CLI::Range(2, 4096))
      ->capture_default_str();
  add_bench_output_flags(*command, flags->options.repetitions, flags->format);
  add_trace_flag(*command, flags->trace);
  command->callback([flags, &action] { action = [flags] { return bench_comm(*flags); }; });
}

}  // namespace longship
