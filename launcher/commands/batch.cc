#include <CLI/CLI.hpp>
#include <atomic>

#include "core/error.h"
#include "launcher/batch/batch_run.h"
#include "launcher/commands/commands.h"
#include "launcher/job/run_job.h"
#include "launcher/options/adapter_option.h"
#include "launcher/options/add_flags.h"
#include "launcher/options/apply_settings.h"
#include "launcher/options/default_model.h"
#include "launcher/options/request_flags.h"
#include "launcher/output/plan_report.h"

namespace longship {

namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  longship batch in.jsonl out.jsonl MODEL -tp 2            starts two ranks\n"
    "  mpirun -n 4 longship batch in.jsonl out.jsonl MODEL      takes the ranks of mpirun\n"
    "in.jsonl has lines {\"custom_id\", \"method\": \"POST\", \"url\": \"/v1/chat/completions\" or "
    "\"/v1/completions\", \"body\"}.\n"
    "The same command goes on where an earlier one ended, however that was. Exit code 75: told to end before it was "
    "done.\n";

struct BatchFlags {
  EngineFlags engine;
  DryRunFlags dry_run;
  RequestFlags requests;
  BatchOptions batch;
  int64_t drain_s = 20;
};

int run_command(BatchFlags flags) {
  if (flags.engine.model.empty()) {
    flags.engine.model = default_model();
  }
  flags.engine.options.fill_kv_cache = true;
  if (flags.dry_run.wanted) {
    return dry_run(flags.engine, flags.dry_run.json);
  }
  flags.batch.served_names = flags.requests.names_of(flags.engine.model);
  flags.batch.version = LONGSHIP_VERSION;
  flags.batch.seed = flags.requests.seed;
  flags.batch.adapters = flags.engine.options.adapters;
  check_adapter_names(flags.batch.adapters, flags.batch.served_names);
  constexpr std::size_t kPerSequence = 2;  // so that a sequence is there whenever one ends
  flags.batch.in_flight = kPerSequence * static_cast<std::size_t>(flags.engine.options.max_num_seqs);
  flags.batch.drain_time = std::chrono::seconds(flags.drain_s);
  constexpr std::chrono::seconds kToWrite(5);
  std::atomic<std::shared_ptr<BatchRun>> present;  // signals come to a thread of their own
  const PrepareFrontEnd prepare = [&]() -> FrontEnd {
    auto model = std::make_shared<const ModelText>(flags.requests.load_text(flags.engine));
    const auto batch = std::make_shared<BatchRun>(flags.batch, std::move(model));
    present = batch;
    return [batch](Engine& ranks) { return batch->run(ranks); };
  };
  const OnSignal on_signal = [&](int signal) {
    const std::shared_ptr<BatchRun> batch = present;
    return batch != nullptr && batch->stop(signal);
  };
  return run_job(flags.engine, prepare, on_signal, AfterLoss::kStartAgain, flags.batch.drain_time + kToWrite);
}

}  // namespace

void add_batch_command(CLI::App& app, std::function<int()>& action) {
  auto flags = std::make_shared<BatchFlags>();
  CLI::App* command = app.add_subcommand("batch", "Answer a file of API requests, without a server")->footer(kExamples);
  command->add_option("-i,--input-file,IN", flags->batch.input, "Requests, one a line")->type_name("FILE")->required();
  command->add_option("-o,--output-file,OUT", flags->batch.output, "Answers, added as they are complete")
      ->type_name("FILE")
      ->required();
  command
      ->add_option("--drain-timeout", flags->drain_s, "Seconds for requests that run after SIGTERM, SIGUSR1 or SIGINT")
      ->check(CLI::Range(int64_t{0}, int64_t{86400}))
      ->capture_default_str();
  add_config_flag(*command);
  add_dry_run_flags(*command, flags->dry_run);
  add_request_flags(*command, flags->requests);
  add_engine_flags(*command, flags->engine);
  add_adapter_flag(*command, flags->engine.options.adapters);
  command->callback([flags, &action] { action = [flags] { return run_command(*flags); }; });
}

}  // namespace longship
