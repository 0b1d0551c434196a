#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>

#include "core/error.h"
#include "launcher/commands/commands.h"
#include "launcher/eval/eval_jsonl.h"
#include "launcher/eval/eval_perplexity.h"
#include "launcher/generate/model_text.h"
#include "launcher/job/run_job.h"
#include "launcher/options/add_flags.h"
#include "launcher/options/apply_settings.h"
#include "launcher/output/text_output.h"

namespace longship {

namespace {

constexpr const char* kExamples =
    "Lines of IN: {\"ids\": [1, 2, 3], \"greedy\": 8} or {\"text\": \"...\"}; line k gives line k of the output:\n"
    "{\"nll\": sum of -ln p over positions 1..n-1, \"tokens\": n, \"greedy\": [8 ids]} or {\"error\": \"...\"}.\n";

// Sequences of the input may be longer than a small model was trained for, where its positions have no end.
constexpr int64_t kLeastModelLen = 4096;
constexpr int64_t kLeastContext = 8;
constexpr int64_t kMostContext = int64_t{1} << 24;

struct EvalFlags {
  EngineFlags engine;
  std::string jsonl;
  std::string logits;
  std::string text;
  int64_t context = 512;
};

void check(const EvalFlags& flags) {
  const char* const example =
      "For example: longship eval MODEL --jsonl IN, or longship eval MODEL --text FILE --ctx 512";
  if (flags.engine.model.empty()) {
    throw Error(ErrorKind::kUsage, "eval needs a model", example);
  }
  if (flags.jsonl.empty() == flags.text.empty()) {
    throw Error(ErrorKind::kUsage, "eval needs either --jsonl or --text", example);
  }
  if (!flags.logits.empty() && flags.jsonl.empty()) {
    throw Error(ErrorKind::kUsage, "--logits needs --jsonl", example);
  }
}

std::shared_ptr<std::istream> open_input(const std::string& path) {
  if (path == "-") {
    return {&std::cin, [](std::istream*) {}};
  }
  auto file = std::make_shared<std::ifstream>(path);
  if (!*file) {
    throw Error(ErrorKind::kUsage, "cannot read " + path, "Check the path.");
  }
  return file;
}

// Lines of ids need no tokenizer, so a model without one can be evaluated all the same.
void load_tokenizer(const EvalFlags& flags, EvalJsonlTask& task) {
  open_checkpoint(flags.engine.model, flags.engine.options.overrides);
  try {
    task.tokenizer = Tokenizer::load(flags.engine.model, flags.engine.options.overrides);
  } catch (const Error& error) {
    task.no_tokenizer = error.cause();
  }
}

FrontEnd prepare_jsonl(const EvalFlags& flags) {
  auto task = std::make_shared<EvalJsonlTask>();
  load_tokenizer(flags, *task);
  task->input = open_input(flags.jsonl);
  task->logits = flags.logits;
  task->max_in_flight = flags.engine.options.max_num_seqs;
  return [task](Engine& engine) { return run_eval_jsonl(*task, engine); };
}

FrontEnd prepare_perplexity(const EvalFlags& flags) {
  auto task = std::make_shared<PerplexityTask>();
  task->tokenizer = load_model_text(flags.engine.model, flags.engine.options.overrides, false).tokenizer;
  const std::shared_ptr<std::istream> input = open_input(flags.text);
  task->text = {std::istreambuf_iterator<char>(*input), {}};
  task->context = flags.context;
  task->max_in_flight = flags.engine.options.max_num_seqs;
  return [task](Engine& engine) {
    const Perplexity perplexity = measure_perplexity(*task, engine);
    std::printf("perplexity %.4f +- %.4f (%lld tokens scored, %lld chunks of %lld)\n", perplexity.value,
                perplexity.error, static_cast<long long>(perplexity.scored), static_cast<long long>(perplexity.chunks),
                static_cast<long long>(task->context));
    write_output("");
    return 0;
  };
}

int eval_command(EvalFlags flags) {
  check(flags);
  const bool jsonl = !flags.jsonl.empty();
  flags.engine.options.prompt_logits = true;
  flags.engine.options.least_model_len = jsonl ? kLeastModelLen : flags.context;
  return run_job(
      flags.engine, [&] { return jsonl ? prepare_jsonl(flags) : prepare_perplexity(flags); },
      [](int) { return false; });
}

}  // namespace

void add_eval_command(CLI::App& app, std::function<int()>& action) {
  auto flags = std::make_shared<EvalFlags>();
  CLI::App* command = app.add_subcommand("eval", "Log-likelihoods, logits and perplexity")->footer(kExamples);
  command->add_option("--jsonl", flags->jsonl, "Evaluate the lines of a file, or of standard input (-)")
      ->type_name("IN");
  command->add_option("--logits", flags->logits, "Also write the logits of line k as logits_k [tokens, vocabulary]")
      ->type_name("OUT.safetensors");
  command->add_option("--text", flags->text, "Print the perplexity of a text and its standard error")
      ->type_name("FILE");
  command->add_option("--ctx", flags->context, "Tokens of a chunk of --text; the second half of each is scored")
      ->type_name("N")
      ->check(CLI::Range(kLeastContext, kMostContext))
      ->capture_default_str();
  add_config_flag(*command);
  add_engine_flags(*command, flags->engine);
  command->callback([flags, &action] { action = [flags] { return eval_command(*flags); }; });
}

}  // namespace longship
