#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <iostream>
#include <iterator>

#include "comm/transport.h"
#include "launcher/commands/commands.h"
#include "launcher/generate/chat.h"
#include "launcher/job/run_job.h"
#include "launcher/options/add_flags.h"
#include "launcher/options/apply_settings.h"
#include "launcher/options/default_model.h"
#include "launcher/output/plan_report.h"
#include "launcher/output/trace_file.h"

namespace longship {

namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  longship run MODEL -p \"Tell me about ships\"\n"
    "  longship run MODEL -tp 2 -pp 2 -p \"...\"                     starts four ranks\n"
    "  mpirun -n 4 longship run MODEL -tp 2 -pp 2 -p \"...\"         takes the ranks of mpirun\n"
    "  longship run MODEL                                          chats, on a terminal\n";

struct RunFlags {
  EngineFlags engine;
  DryRunFlags dry_run;
  SamplingFlags sampling;
  std::optional<std::string> prompt;
  std::string system;
  bool raw = false;
  bool interactive = false;
  std::string lora;
  std::string trace;
};

bool wants_chat(const RunFlags& flags) {
  return flags.interactive || (!flags.prompt && !launched_as_rank() && isatty(STDIN_FILENO) == 1);
}

std::string read_standard_input() {
  return {std::istreambuf_iterator<char>(std::cin), {}};
}

FrontEnd prepare(const RunFlags& flags, CancelSwitch& cancel) {
  const bool chat = wants_chat(flags);
  auto task = std::make_shared<TextTask>();
  task->model = load_model_text(flags.engine.model, flags.engine.options.overrides, !flags.raw);
  task->sampling = flags.sampling;
  task->system = flags.system;
  task->raw = flags.raw;
  task->adapter = flags.lora.empty() ? 0 : 1;
  task->cancel = &cancel;
  if (!chat) {
    task->prompt = flags.prompt ? *flags.prompt : read_standard_input();
    if (task->prompt.empty()) {
      throw Error(ErrorKind::kUsage, "the prompt is empty", "Give some text by -p or on the standard input.");
    }
  }
  FrontEnd front_end = [task, chat](Engine& engine) {
    return chat ? run_chat(*task, std::cin, engine) : run_prompt(*task, engine);
  };
  return flags.trace.empty() ? front_end : with_trace(front_end, std::make_shared<TraceFile>(flags.trace));
}

int run_command(RunFlags flags) {
  if (flags.engine.model.empty()) {
    flags.engine.model = default_model();
  }
  if (!flags.lora.empty()) {
    flags.engine.options.adapters.push_back({"lora", flags.lora});
  }
  if (flags.dry_run.wanted) {
    return dry_run(flags.engine, flags.dry_run.json);
  }
  if (!flags.trace.empty()) {
    flags.engine.options.recording = Recording::kOperations;
  }
  CancelSwitch cancel;
  const bool chat = wants_chat(flags);
  return run_job(
      flags.engine, [&] { return prepare(flags, cancel); },
      [&](int signal) { return signal == SIGINT && chat && cancel.trigger(); });
}

}  // namespace

void add_run_command(CLI::App& app, std::function<int()>& action) {
  auto flags = std::make_shared<RunFlags>();
  CLI::App* command = app.add_subcommand("run", "Answer a prompt, or chat")->footer(kExamples);
  command->add_option("-p,--prompt", flags->prompt, "The prompt (default: a chat on a terminal, else standard input)")
      ->type_name("TEXT");
  command->add_option("--system", flags->system, "Instructions before the chat")->type_name("TEXT");
  command->add_flag("--raw", flags->raw, "Continue the prompt as it stands, without chat template");
  command->add_option("--lora", flags->lora, "LoRA adapter of the model, a folder as PEFT saves it")->type_name("PATH");
  command->add_flag("-i,--interactive", flags->interactive, "Chat although under mpirun or not on a terminal");
  add_config_flag(*command);
  add_dry_run_flags(*command, flags->dry_run);
  add_trace_flag(*command, flags->trace);
  add_engine_flags(*command, flags->engine);
  add_sampling_flags(*command, flags->sampling);
  command->callback([flags, &action] { action = [flags] { return run_command(*flags); }; });
}

}  // namespace longship
