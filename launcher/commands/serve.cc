#include <CLI/CLI.hpp>
#include <atomic>
#include <csignal>

#include "comm/transport.h"
#include "core/error.h"
#include "launcher/commands/commands.h"
#include "launcher/job/run_job.h"
#include "launcher/options/adapter_option.h"
#include "launcher/options/add_flags.h"
#include "launcher/options/apply_settings.h"
#include "launcher/options/default_model.h"
#include "launcher/options/model_name.h"
#include "launcher/options/request_flags.h"
#include "launcher/output/log.h"
#include "launcher/output/plan_report.h"
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
  RequestFlags requests;
  ServeOptions serve;
  bool no_auth = false;
  std::string log_format = "text";
};

// The option parser has split the list that vLLM takes, ["https://a", "https://b"], at its commas.
void remove_quotes(std::vector<std::string>& values) {
  for (std::string& value : values) {
    std::erase_if(value, [](char c) { return c == '"' || c == ' '; });
  }
}

void check_access(ServeFlags& flags) {
  ServeOptions& serve = flags.serve;
  std::erase(serve.access.keys, "");
  remove_quotes(serve.access.origins);
  if (serve.access.keys.empty() && serve.access.key_file.empty() && !is_loopback(serve.host) && !flags.no_auth) {
    throw Error(ErrorKind::kUsage, "--host " + serve.host + " lets other machines in, and there is no API key",
                "Give --api-key, or --insecure-no-auth if that is meant.");
  }
  if (serve.certificate_file.empty() && !serve.key_file.empty()) {
    throw Error(ErrorKind::kUsage, "--ssl-keyfile needs the certificate of the key", "Give --ssl-certfile too.");
  }
  if (serve.key_file.empty()) {
    serve.key_file = serve.certificate_file;
  }
}

int run_command(ServeFlags flags) {
  set_log_format(flags.log_format == "json" ? LogFormat::kJson : LogFormat::kText);
  if (flags.engine.model.empty()) {
    flags.engine.model = default_model();
  }
  EngineOptions& engine = flags.engine.options;
  engine.fill_kv_cache = true;
  if (flags.dry_run.wanted) {
    return dry_run(flags.engine, flags.dry_run.json);
  }
  if (!flags.serve.trace.empty()) {
    engine.recording = Recording::kOperations;
  }
  check_access(flags);
  flags.serve.title = model_name(flags.engine.model);
  flags.serve.api.version = LONGSHIP_VERSION;
  flags.serve.api.served_names = flags.requests.names_of(flags.engine.model);
  flags.serve.api.seed = flags.requests.seed;
  flags.serve.api.adapters = engine.adapters;
  check_adapter_names(engine.adapters, flags.serve.api.served_names);
  std::atomic<std::shared_ptr<ServeFrontEnd>> present;  // signals come to a thread of their own
  const PrepareFrontEnd prepare = [&]() -> FrontEnd {
    auto model = std::make_shared<const ModelText>(flags.requests.load_text(flags.engine));
    const auto server = std::make_shared<ServeFrontEnd>(flags.serve, std::move(model));
    present = server;
    return [server](Engine& ranks) { return server->run(ranks); };
  };
  const OnSignal on_signal = [&](int signal) {
    const std::shared_ptr<ServeFrontEnd> server = present;
    if (server == nullptr) {
      return false;
    }
    if (signal == SIGHUP && server->reload()) {
      return true;
    }
    if (launched_as_rank()) {
      if (signal == SIGUSR1 && server->drain()) {
        return true;
      }
      // The launcher is about to kill every rank.
      server->abandon("the job is being ended");
      return false;
    }
    return signal != SIGHUP && server->drain();
  };
  constexpr std::chrono::seconds kToWrite(5);
  return run_job(flags.engine, prepare, on_signal, AfterLoss::kStartAgain, flags.serve.drain_time + kToWrite);
}

CLI::Option* add_list(CLI::App& command, const char* name, std::vector<std::string>& list, const char* help) {
  return command.add_option(name, list, help)->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void add_access_flags(CLI::App& command, ServeFlags& flags) {
  const char* group = "Access";
  ServeOptions& serve = flags.serve;
  AccessOptions& access = serve.access;
  add_list(command, "--api-key", access.keys, "Ask clients for this key (repeatable)")->type_name("KEY")->group(group);
  command.add_option("--api-key-file", access.key_file, "The same, one key a line; read again at SIGHUP")
      ->type_name("FILE")
      ->group(group);
  command.add_flag("--insecure-no-auth", flags.no_auth, "Let other machines in without a key")->group(group);
  command
      .add_option("--ssl-certfile,--ssl-cert-file", serve.certificate_file,
                  "Speak TLS by this certificate (PEM); read again at SIGHUP")
      ->type_name("FILE")
      ->group(group);
  command
      .add_option("--ssl-keyfile,--ssl-key-file", serve.key_file, "Its key (PEM; default: in the certificate's file)")
      ->type_name("FILE")
      ->group(group);
  add_list(command, "--allowed-origins", access.origins,
           "Let web pages of this origin in, \"*\" for all (repeatable; default: only the server's own)")
      ->type_name("ORIGIN")
      ->group(group);
  add_list(command, "--allowed-hosts", access.hosts,
           "Answer only clients that know the server by this name, \"*\" for any (repeatable; default: localhost on a "
           "loopback address, else any)")
      ->type_name("NAME")
      ->group(group);
}

void add_limit_flags(CLI::App& command, ServeFlags& flags) {
  const char* group = "Limits";
  HttpLimits& limits = flags.serve.limits;
  command.add_option("--max-queue", flags.serve.api.most_requests, "Requests accepted at a time; more get 429")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20U))
      ->capture_default_str()
      ->group(group);
  command.add_option("--max-body", limits.body_bytes, "Most bytes of a request; more get 413")
      ->transform(CLI::AsSizeValue(false))
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--max-connections", limits.connections,
                  "Connections at a time; at most 80 % of the files that the process may open")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str()
      ->group(group);
  const auto add_seconds = [&](const char* name, std::chrono::seconds& value, const char* help, int64_t least = 1) {
    command
        .add_option_function<int64_t>(
            name, [&value](const int64_t& seconds) { value = std::chrono::seconds(seconds); }, help)
        ->type_name("SECONDS")
        ->check(CLI::Range(least, int64_t{86400}))
        ->default_str(std::to_string(value.count()))
        ->group(group);
  };
  add_seconds("--header-timeout", limits.header_time, "For a header, and the start of TLS");
  add_seconds("--body-timeout", limits.body_idle_time, "Between two pieces of a body, and before it must make 1 KiB/s");
  add_seconds("--send-timeout", limits.send_idle_time, "For a client that reads nothing");
  add_seconds("--keep-alive-timeout", limits.keep_alive, "Between two requests of a connection");
  add_seconds("--drain-timeout", flags.serve.drain_time,
              "For open requests after SIGTERM or SIGINT, of a launcher SIGUSR1", 0);
}

void add_log_flags(CLI::App& command, ServeFlags& flags) {
  const char* group = "Log";
  command.add_option("--log-format", flags.log_format, "Lines of text, or of JSON")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str()
      ->group(group);
  command.add_flag("--log-requests,--enable-log-requests", flags.serve.log_requests, "Write a line for each request")
      ->group(group);
  command
      .add_flag("--log-prompts", flags.serve.log_prompts, "With the bodies of requests, which hold what users write")
      ->group(group);
}

}  // namespace

void add_serve_command(CLI::App& app, std::function<int()>& action) {
  auto flags = std::make_shared<ServeFlags>();
  CLI::App* command = app.add_subcommand("serve", "Serve the OpenAI API over HTTP")->footer(kExamples);
  const char* group = "Server";
  command->add_option("--host", flags->serve.host, "Address to listen on")->capture_default_str()->group(group);
  command->add_option("--port", flags->serve.port, "Port; 0 takes a free one")
      ->type_name("N")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str()
      ->group(group);
  add_request_flags(*command, flags->requests);
  add_config_flag(*command);
  add_dry_run_flags(*command, flags->dry_run);
  add_access_flags(*command, *flags);
  add_limit_flags(*command, *flags);
  add_trace_flag(*command, flags->serve.trace);
  add_log_flags(*command, *flags);
  add_engine_flags(*command, flags->engine);
  add_adapter_flag(*command, flags->engine.options.adapters);
  command->callback([flags, &action] { action = [flags] { return run_command(*flags); }; });
}

}  // namespace longship
