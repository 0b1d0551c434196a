#include <CLI/CLI.hpp>
#include <array>
#include <atomic>
#include <cmath>
#include <csignal>
#include <ctime>
#include <fstream>
#include <iostream>

#include "comm/transport.h"
#include "core/error.h"
#include "launcher/bench/load_run.h"
#include "launcher/bench/load_text.h"
#include "launcher/bench/machine.h"
#include "launcher/bench/own_server.h"
#include "launcher/bench/serve_load.h"
#include "launcher/bench/serve_stats.h"
#include "launcher/bench/table.h"
#include "launcher/commands/bench.h"
#include "launcher/generate/model_text.h"
#include "launcher/job/interrupts.h"
#include "launcher/options/add_flags.h"
#include "launcher/options/apply_settings.h"
#include "launcher/output/progress_bar.h"
#include "launcher/output/text_output.h"

namespace longship {

namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  longship bench serve MODEL -tp 2 --max-concurrency 16           starts a server for the run\n"
    "  longship bench serve --port 8000 --request-rate 4 --ignore-eos  loads a server that runs\n"
    "  longship bench serve --base-url http://node7:8000 --dataset-name custom --dataset-path prompts.jsonl\n";

struct BenchServeFlags {
  EngineFlags engine;
  std::string base_url;
  std::string host = "127.0.0.1";
  uint16_t port = 8000;
  bool running_server = false;  ///< One of the three before was given, or no model.
  std::string endpoint = "/v1/completions";
  std::string api_key;
  std::string tokenizer;
  std::string dataset = "random";
  std::string dataset_path;
  RandomLoad load;
  bool count_given = false;  ///< --num-prompts was.
  double request_rate = INFINITY;
  double burstiness = 1;
  std::optional<std::size_t> max_concurrency;
  LoadBody body;
  std::vector<std::string> goodput;
  std::string percentile_metrics = "ttft,tpot,itl,e2el";
  ServeReport report;
  bool save_result = false;
  std::string result_file;
  std::string trace;
  std::string format = "text";
};

bool is_chat(const std::string& endpoint) {
  return endpoint.ends_with("/chat/completions");
}

// The one model of the server, where none was named.
std::string served_model(const ApiServer& server) {
  const ApiReply reply = ask_server(server, "/v1/models");
  constexpr int kOk = 200;
  const auto parsed = parse_json(reply.body, {.unique_keys = false});
  const Json* json = std::get_if<Json>(&parsed);
  const Json* data = json == nullptr ? nullptr : json->find("data");
  const Json* first =
      data != nullptr && data->is_array() && !data->as_array().empty() ? &data->as_array().front() : nullptr;
  const Json* id = first == nullptr ? nullptr : first->find("id");
  if (reply.status != kOk || id == nullptr || !id->is_string()) {
    throw Error(ErrorKind::kUsage,
                "the server at " + server.url + " does not say which model it has (/v1/models: HTTP " +
                    std::to_string(reply.status) + ")",
                "Give --model NAME, and --api-key if it asks for one.");
  }
  return id->as_string();
}

std::vector<LoadRequest> make_load(const BenchServeFlags& flags, const LoadText& text) {
  if (flags.dataset == "custom") {
    return read_load(flags.dataset_path, flags.load.requests, flags.load.output_tokens, flags.count_given);
  }
  return random_load(flags.load, usual_tokens(text));
}

// What was measured, in front of the results.
Json described_row(const BenchServeFlags& flags, const std::string& model, const Json& results) {
  Json row;
  row.set("date", static_cast<int64_t>(std::time(nullptr)));
  row.set("endpoint", flags.endpoint);
  row.set("model_id", model);
  row.set("num_prompts", flags.load.requests);
  row.set("request_rate", std::isinf(flags.request_rate) ? Json("inf") : Json(flags.request_rate));
  row.set("burstiness", flags.burstiness);
  row.set("max_concurrency", flags.max_concurrency ? Json(static_cast<int64_t>(*flags.max_concurrency)) : Json());
  for (const auto& [key, value] : results.as_object()) {
    row.set(key, value);
  }
  return row;
}

void save(const std::string& path, const Json& row) {
  std::ofstream file(path);
  file << dump_json(row, 2) << "\n";
  file.close();
  if (!file) {
    throw Error(ErrorKind::kUsage, "the results cannot be written to " + path, "Choose another --result-filename.");
  }
}

std::string result_file(const BenchServeFlags& flags) {
  std::array<char, 32> time{};
  const std::time_t now = std::time(nullptr);
  std::strftime(time.data(), time.size(), "%Y%m%d-%H%M%S", std::localtime(&now));
  return flags.result_file.empty() ? std::string("bench-serve-") + time.data() + ".json" : flags.result_file;
}

// Runs the load; a first SIGINT, SIGTERM or SIGHUP ends it early.
class BenchServe {
 public:
  explicit BenchServe(const BenchServeFlags& flags)
      : flags_(flags), interrupts_([this](int) { return stop(); }, [] {}) {}

  int run() {
    std::optional<OwnServer> own;
    if (!flags_.running_server) {
      own.emplace(server_arguments());
    }
    const ApiServer server(own ? own->url() : address(), flags_.api_key);
    LoadBody body = flags_.body;
    body.chat = is_chat(flags_.endpoint);
    body.model = own || flags_.engine.model.empty() ? served_model(server) : flags_.engine.model;
    const LoadText text =
        flags_.tokenizer.empty() ? text_of(server) : text_of(load_model_text(flags_.tokenizer, {}, false).tokenizer);
    const std::vector<LoadRequest> load = make_load(flags_, text);
    const Json row = described_row(flags_, body.model, measure(server, load_bodies(load, body, text)));
    print(row);
    return exit_code(row);
  }

 private:
  std::string address() const {
    return flags_.base_url.empty() ? "http://" + flags_.host + ":" + std::to_string(flags_.port) : flags_.base_url;
  }

  std::vector<std::string> server_arguments() const {
    constexpr int64_t kUsualQueue = 512;
    std::vector<std::string> words = engine_arguments(flags_.engine);
    words.insert(words.end(), {"--max-queue", std::to_string(std::max(kUsualQueue, flags_.load.requests))});
    if (!flags_.api_key.empty()) {
      words.insert(words.end(), {"--api-key", flags_.api_key});
    }
    if (!flags_.trace.empty()) {
      words.insert(words.end(), {"--trace", flags_.trace});
    }
    return words;
  }

  Json measure(const ApiServer& server, const std::vector<std::string>& bodies) {
    ProgressBar bar("requests", static_cast<int64_t>(bodies.size()));
    LoadRunOptions options{.endpoint = flags_.endpoint};
    options.max_concurrency = flags_.max_concurrency.value_or(SIZE_MAX);
    int64_t failed = 0;
    options.on_sample = [&](const std::vector<ServeSample>& samples) {
      failed += samples.back().outcome == ServeSample::Outcome::kFailure ? 1 : 0;
      bar.update(static_cast<int64_t>(samples.size()), failed == 0 ? "" : std::to_string(failed) + " failed");
    };
    const auto load = std::make_shared<LoadRun>(server, options);
    run_ = load;
    const std::vector<double> arrivals =
        arrival_seconds(bodies.size(), flags_.request_rate, flags_.burstiness, flags_.load.seed);
    const auto begin = std::chrono::steady_clock::now();
    const std::vector<ServeSample> samples = load->run(bodies, arrivals);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    bar.finish();
    return serve_row(samples, seconds.count(), flags_.report);
  }

  void print(const Json& row) const {
    if (flags_.format == "json") {
      write_output(format_results({row}, describe_machine(), {}, TableFormat::kJson));
    } else {
      write_output(serve_block(row, flags_.report));
    }
    if (const Json* error = row.find("first_error"); !error->is_null()) {
      std::cerr << "longship: the first failure: " + error->as_string() + "\n";
    }
    if (flags_.save_result) {
      save(result_file(flags_), row);
    }
  }

  int exit_code(const Json& row) const {
    if (interrupted_) {
      constexpr int kSignals = 128;
      return kSignals + SIGINT;
    }
    return row.find("completed")->as_int() > 0 ? 0 : static_cast<int>(ErrorKind::kInternal);
  }

  // Whether the signal is taken: it has a load to end.
  bool stop() {
    const std::shared_ptr<LoadRun> load = run_.load().lock();
    if (load == nullptr || interrupted_.exchange(true)) {
      return false;
    }
    load->stop();
    return true;
  }

  const BenchServeFlags& flags_;
  std::atomic<std::weak_ptr<LoadRun>> run_;
  std::atomic<bool> interrupted_ = false;
  Interrupts interrupts_;
};

int bench_serve(BenchServeFlags flags) {
  if (launched_as_rank()) {
    throw Error(ErrorKind::kUsage, "bench serve is one process", "Run it without mpirun or srun.");
  }
  if (flags.dataset == "custom" && flags.dataset_path.empty()) {
    throw Error(ErrorKind::kUsage, "--dataset-name custom needs a file", "Give --dataset-path FILE.");
  }
  if (flags.running_server && !flags.trace.empty()) {
    throw Error(ErrorKind::kUsage, "--trace is for a server that is started for the run",
                "Start the running one by longship serve --trace FILE, or leave it out.");
  }
  flags.report.metrics = parse_metrics(flags.percentile_metrics);
  flags.report.goodput = parse_goodput(flags.goodput);
  return BenchServe(flags).run();
}

void add_server_flags(CLI::App& command, BenchServeFlags& flags) {
  const char* group = "Running server";
  command.add_option("--base-url", flags.base_url, "Its address; then --model is the name of a model there")
      ->type_name("URL")
      ->group(group);
  command.add_option("--host", flags.host, "The same by its host")->capture_default_str()->group(group);
  command.add_option("--port", flags.port, "Its port")->capture_default_str()->group(group);
  command.add_option("--endpoint", flags.endpoint, "Path of completions or chat completions")
      ->capture_default_str()
      ->group(group);
  command.add_option("--api-key", flags.api_key, "Its key")->type_name("KEY")->group(group);
  command
      .add_option("--tokenizer", flags.tokenizer,
                  "Model folder or GGUF file to make prompts by, for a server without /tokenize")
      ->type_name("MODEL")
      ->group(group);
}

void add_load_flags(CLI::App& command, BenchServeFlags& flags) {
  const char* group = "Load";
  const auto tokens = CLI::Range(int64_t{1}, int64_t{1} << 24U);
  const auto number = [&](const char* name, int64_t& value, const char* help) {
    return command.add_option(name, value, help)->type_name("N")->check(tokens)->capture_default_str()->group(group);
  };
  command.add_option("--dataset-name", flags.dataset, "Prompts of random tokens, or those of a file")
      ->check(CLI::IsMember({"random", "custom"}))
      ->capture_default_str()
      ->group(group);
  command
      .add_option(
          "--dataset-path", flags.dataset_path,
          R"(Lines of {"prompt": TEXT, "output_tokens": N}, used again where they are fewer than --num-prompts)")
      ->type_name("FILE")
      ->group(group);
  number("--num-prompts", flags.load.requests, "Requests");
  number("--random-input-len", flags.load.input_tokens, "Tokens of a prompt");
  number("--random-output-len", flags.load.output_tokens, "Tokens of an answer; also of a file's line without its own");
  command
      .add_option("--random-prefix-len", flags.load.prefix_tokens, "Tokens in front of every prompt, the same for all")
      ->type_name("N")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 24U))
      ->capture_default_str()
      ->group(group);
  command.add_option("--random-range-ratio", flags.load.range_ratio, "Lengths vary between (1 - X) and (1 + X) times")
      ->type_name("X")
      ->check(CLI::Range(0.0, 0.999))
      ->capture_default_str()
      ->group(group);
  command.add_option("--request-rate", flags.request_rate, "Requests a second; inf sends all at once")
      ->type_name("X")
      ->check(CLI::Range(1e-6, HUGE_VAL))
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--burstiness", flags.burstiness,
                  "1: they arrive as a Poisson process; less: in bursts; more: evenly")
      ->type_name("X")
      ->check(CLI::Range(1e-3, 1e6))
      ->capture_default_str()
      ->group(group);
  command.add_option("--max-concurrency", flags.max_concurrency, "Most requests at a time")
      ->type_name("N")
      ->check(CLI::Range(1, 1 << 20))
      ->group(group);
  command.add_option("--seed", flags.load.seed, "Same seed, same load")->capture_default_str()->group(group);
  command.add_option("--temperature", flags.body.temperature, "Randomness of the answers")
      ->capture_default_str()
      ->group(group);
  command.add_flag("--ignore-eos", flags.body.ignore_eos, "Answers go on to their full length")->group(group);
}

void add_report_flags(CLI::App& command, BenchServeFlags& flags) {
  const char* group = "Report";
  command
      .add_option("--goodput", flags.goodput,
                  "Count as good what takes at most so many milliseconds: ttft:200 tpot:50 e2el:5000")
      ->type_name("METRIC:MS")
      ->expected(1, 3)
      ->group(group);
  command.add_option("--percentile-metrics", flags.percentile_metrics, "What is shown")
      ->capture_default_str()
      ->group(group);
  command.add_option("--metric-percentiles", flags.report.percentiles, "Percentiles of each")
      ->type_name("P,...")
      ->delimiter(',')
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str()
      ->group(group);
  command.add_flag("--save-result", flags.save_result, "Write the results as JSON to a file")->group(group);
  command.add_option("--result-filename", flags.result_file, "Its name (default: bench-serve-TIME.json)")
      ->type_name("FILE")
      ->group(group);
  add_trace_flag(command, flags.trace);
  command.get_option("--trace")->group(group);
  command.add_option("-o,--output", flags.format, "Output: text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str()
      ->group(group);
}

// Options of the engine say how a server is started, which a running one is not.
void refuse_engine_options(const CLI::App& command) {
  for (const CLI::Option* option : command.get_options()) {
    const bool engines = option->get_group() == "Engine" || option->get_group() == "Mesh";
    if (engines && option->count() > 0) {
      throw Error(ErrorKind::kUsage, option->get_name() + " is for a server that is started for the run",
                  "Leave it out, or give a model and no --base-url, --host or --port.");
    }
  }
}

}  // namespace

void add_bench_serve(CLI::App& bench, std::function<int()>& action) {
  auto flags = std::make_shared<BenchServeFlags>();
  CLI::App* command = bench.add_subcommand("serve", "Latency and throughput of a server under load")->footer(kExamples);
  add_server_flags(*command, *flags);
  add_load_flags(*command, *flags);
  add_report_flags(*command, *flags);
  add_engine_flags(*command, flags->engine);
  add_config_flag(*command);
  command->callback([flags, command, &action] {
    flags->running_server = flags->engine.model.empty() ||
                            command->count("--base-url") + command->count("--host") + command->count("--port") > 0;
    flags->count_given = command->count("--num-prompts") > 0;
    if (flags->running_server) {
      refuse_engine_options(*command);
    }
    action = [flags] { return bench_serve(*flags); };
  });
}

}  // namespace longship
