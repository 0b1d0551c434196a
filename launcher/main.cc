#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <new>
#include <thread>

#include "core/error.h"
#include "launcher/commands/commands.h"
#include "launcher/job/rank_environment.h"
#include "launcher/options/apply_settings.h"
#include "launcher/options/command_line.h"
#include "launcher/options/parse_error.h"
#include "launcher/output/report.h"

namespace longship {

namespace {

constexpr const char* kVersion = "longship " LONGSHIP_VERSION;
constexpr const char* kAbout =
    "Runs large language models on any tensor-parallel x pipeline-parallel mesh of MPI ranks.\n"
    "Alone it starts the ranks itself; under mpirun or srun it takes its rank from them.";

constexpr const char* kSettings =
    "Every option of a command is also an environment variable, such as LONGSHIP_MAX_MODEL_LEN=4096;\n"
    "what the command line says wins over it, and it over the file of --config.\n";

// Shows the names as they are typed: -tp, not --tp, and nothing behind that of a flag.
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_option_name(const CLI::Option* option, bool positional) const override {
    std::string name = CLI::Formatter::make_option_name(option, positional);
    for (const char* doubled : {"--tp,", "--pp,", "--np,"}) {
      if (name.starts_with(doubled)) {
        name.erase(0, 1);
      }
    }
    return name.substr(0, name.find("{false}"));
  }

  std::string make_footer(const CLI::App* command) const override {
    return CLI::Formatter::make_footer(command) + kSettings;
  }
};

void set_up(CLI::App& app, std::function<int()>& action) {
  auto formatter = std::make_shared<HelpFormatter>();
  formatter->column_width(44);
  app.formatter(formatter);
  app.set_help_flag("-h,--help", "Print this help and end");
  app.set_version_flag("--version", kVersion, "Print the version and end");
  app.require_subcommand(1);
  add_run_command(app, action);
  add_serve_command(app, action);
  add_batch_command(app, action);
  add_eval_command(app, action);
  add_bench_command(app, action);
  add_plan_command(app, action);
  add_doctor_command(app, action);
  add_inspect_command(app, action);
  add_tokenize_command(app, action);
  add_template_command(app, action);
  add_rank_command(app, action);
  add_sweep_command(app, action);
}

void parse(CLI::App& app, int argc, char** argv) {
  std::vector<std::string> arguments = normalise_arguments({argv + 1, argv + argc});
  std::reverse(arguments.begin(), arguments.end());  // the order in which CLI11 takes them
  try {
    app.parse(arguments);
  } catch (const CLI::Success&) {
    throw;
  } catch (const CLI::ParseError& error) {
    throw Error(ErrorKind::kUsage, parse_error_text(app, error), "See " + help_of_command(app) + ".");
  }
}

int run_program(int argc, char** argv) {
  CLI::App app(kAbout, "longship");
  std::function<int()> action;
  set_up(app, action);
  try {
    parse(app, argc, argv);
  } catch (const CLI::Success& success) {  // --help, --version
    return environment_rank() == 0 ? app.exit(success) : 0;
  }
  apply_settings(app);
  return action();
}

// Ranks fail alike: one of them says so for the job.
int fail(const Error& error) {
  if (environment_rank() == 0) {
    print_error(error);
  } else {
    // The launcher ends the job with the first rank that fails: the one that prints goes first.
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
  return error.exit_code();
}

int guarded_main(int argc, char** argv) {
  try {
    return run_program(argc, argv);
  } catch (const Error& error) {
    return fail(error);
  } catch (const std::bad_alloc&) {
    return fail(
        Error(ErrorKind::kDoesNotFit, "memory ran out", "Use more ranks (-tp, -pp), or a smaller --max-model-len."));
  } catch (const std::filesystem::filesystem_error& error) {  // a name too long, a folder that may not be entered
    return fail(Error(ErrorKind::kUsage, error.path1().string() + ": " + error.code().message(),
                      "Give a path that this user can read."));
  } catch (const std::exception& error) {
    return fail(Error(ErrorKind::kInternal, error.what(), "This is a mistake in longship: please report it."));
  }
}

}  // namespace

}  // namespace longship

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a closed standard output is seen where it is written
  return longship::guarded_main(argc, argv);
}
