#include <CLI/CLI.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "comm/transport.h"
#include "core/error.h"
#include "launcher/add_flags.h"
#include "launcher/apply_settings.h"
#include "launcher/commands/commands.h"
#include "launcher/default_model.h"
#include "launcher/plan_report.h"
#include "launcher/run_job.h"
#include "launcher/server/serve.h"

namespace longship {

namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  longship serve MODEL -tp 2 -pp 2                             starts four ranks\n"
    "  mpirun -n 4 longship serve MODEL -tp 2 -pp 2                 takes the ranks of mpirun\n"
    "  longship serve MODEL --host 0.0.0.0 --api-key-file keys      for other machines\n";

struct ServeFlags {
  EngineFlags engine;
  DryRunFlags dry_run;
  ServeOptions serve;
  std::string key_file;
  bool no_auth = false;
  int64_t drain_s = 30;
};

bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

void read_keys(ServeFlags& flags) {
  if (!flags.key_file.empty()) {
    std::ifstream file(flags.key_file);
    if (!file) {
      throw Error(ErrorKind::kUsage, "the key file " + flags.key_file + " cannot be read",
                  "Give --api-key-file a file of one key a line.");
    }
    for (std::string key; std::getline(file, key);) {
      if (!key.empty()) {
        flags.serve.api.api_keys.push_back(key);
      }
    }
  }
  std::erase(flags.serve.api.api_keys, "");
  if (flags.serve.api.api_keys.empty() && !is_loopback(flags.serve.host) && !flags.no_auth) {
    throw Error(ErrorKind::kUsage, "--host " + flags.serve.host + " lets other machines in, and there is no API key",
                "Give --api-key, or --insecure-no-auth if that is meant.");
  }
}

std::string model_name(const std::string& model) {
  const std::filesystem::path path = std::filesystem::path(model).lexically_normal();
  return (path.has_filename() ? path : path.parent_path()).filename().native();
}

int run_command(ServeFlags flags) {
  if (flags.engine.model.empty()) {
    flags.engine.model = default_model();
  }
  EngineOptions& engine = flags.engine.options;
  if (engine.kv_cache_bytes == 0 && engine.kv_cache_fraction == 0) {
    constexpr double kUsualPart = 0.4;  // of the memory that is free
    engine.kv_cache_fraction = kUsualPart;
  }
  if (flags.dry_run.wanted) {
    return dry_run(flags.engine, flags.dry_run.json);
  }
  read_keys(flags);
  flags.serve.drain_time = std::chrono::seconds(flags.drain_s);
  flags.serve.title = model_name(flags.engine.model);
  flags.serve.api.version = LONGSHIP_VERSION;
  if (flags.serve.api.served_names.empty()) {
    flags.serve.api.served_names.push_back(flags.serve.title);
  }
  std::shared_ptr<ServeFrontEnd> server;
  const PrepareFrontEnd prepare = [&]() -> FrontEnd {
    auto model = std::make_shared<const ModelText>(load_model_text(flags.engine.model, engine.overrides, true));
    server = std::make_shared<ServeFrontEnd>(flags.serve, std::move(model));
    return [&server](Engine& ranks) { return server->run(ranks); };
  };
  const OnSignal on_signal = [&](int signal) {
    if (server != nullptr && launched_as_rank()) {  // the launcher is about to kill every rank
      server->abandon("the job is being ended");
      return false;
    }
    return signal != SIGHUP && server != nullptr && server->drain();
  };
  return run_job(flags.engine, prepare, on_signal, AfterLoss::kStartAgain);
}

void add_access_flags(CLI::App& command, ServeFlags& flags) {
  const char* group = "Access";
  command.add_option("--api-key", flags.serve.api.api_keys, "Ask clients for this key (repeatable)")
      ->type_name("KEY")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->group(group);
  command.add_option("--api-key-file", flags.key_file, "The same, one key a line")->type_name("FILE")->group(group);
  command.add_flag("--insecure-no-auth", flags.no_auth, "Let other machines in without a key")->group(group);
}

}  // namespace

void add_serve_command(CLI::App& app, std::function<int()>& action) {
  auto flags = std::make_shared<ServeFlags>();
  CLI::App* command = app.add_subcommand("serve", "Serve the OpenAI API over HTTP")->footer(kExamples);
  const char* group = "Server";
  command->add_option("--host", flags->serve.host, "Address to listen on")->capture_default_str()->group(group);
  command->add_option("--port", flags->serve.port, "Port; 0 takes a free one")->capture_default_str()->group(group);
  command
      ->add_option("--served-model-name,--alias", flags->serve.api.served_names,
                   "Name of the model in the API (repeatable; default: that of its file)")
      ->type_name("NAME")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->group(group);
  command->add_option("--max-queue", flags->serve.api.most_requests, "Requests accepted at a time; more get 429")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20U))
      ->capture_default_str()
      ->group(group);
  command->add_option("--max-body", flags->serve.limits.body_bytes, "Most bytes of a request; more get 413")
      ->transform(CLI::AsSizeValue(false))
      ->capture_default_str()
      ->group(group);
  command->add_option("--drain-timeout", flags->drain_s, "Seconds for open requests after SIGTERM or SIGINT")
      ->check(CLI::Range(int64_t{0}, int64_t{86400}))
      ->capture_default_str()
      ->group(group);
  add_config_flag(*command);
  add_dry_run_flags(*command, flags->dry_run);
  add_access_flags(*command, *flags);
  add_engine_flags(*command, flags->engine);
  command->callback([flags, &action] { action = [flags] { return run_command(*flags); }; });
}

}  // namespace longship
