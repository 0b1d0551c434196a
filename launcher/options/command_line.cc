#include "launcher/options/command_line.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "core/error.h"

namespace longship {

namespace {

constexpr std::array<std::string_view, 4> kShortNames = {"-tp", "-pp", "-np", "-npl"};

// Options whose value may look like anything.
constexpr std::array<std::string_view, 10> kTextOptions = {
    "-p",        "--prompt",      "--system", "--stop", "--text", "--override-kv", "--chat-template",
    "--grammar", "--json-schema", "-j"};

struct ForeignOption {
  std::string_view name;
  std::string_view remedy;
};

constexpr std::string_view kOneDevice =
    "All layers of a rank are on one device, which --device chooses: leave the option out.";
constexpr std::string_view kDeviceOfRank = "The ranks of a host take its GPUs in turn: use -tp and -pp.";
constexpr std::string_view kOneReplica = "Use -tp and -pp: a job is one replica of the model.";
constexpr std::string_view kLeaveOut = "Leave the option out.";
constexpr std::string_view kAdapters =
    "Adapters of any rank are served as --lora-modules names them: leave the option out.";
constexpr std::string_view kDraftModel = R"(Use --speculative-config '{"model": PATH, "num_speculative_tokens": 3}'.)";
constexpr std::string_view kProxy = "Let a proxy before the server do that.";
constexpr std::string_view kLocalFile = "Download the model and give its path.";

constexpr ForeignOption kForeignOptions[] = {
    {"-ngl", kOneDevice},
    {"--gpu-layers", kOneDevice},
    {"--n-gpu-layers", kOneDevice},
    {"--tensor-split", kDeviceOfRank},
    {"--main-gpu", kDeviceOfRank},
    {"-dp", kOneReplica},
    {"--data-parallel-size", kOneReplica},
    {"--decode-context-parallel-size", kOneReplica},
    {"--attention-context-parallel-size", kOneReplica},
    {"--enable-expert-parallel", kOneReplica},
    {"--dtype", "Activations are f32; --kv-cache-dtype chooses the type of keys and values."},
    {"--quantization", "The type of the weights is the file's own."},
    {"-q", "The type of the weights is the file's own."},
    {"--load-format", "The format is seen from the file."},
    {"--cache-type-k", "Use --kv-cache-dtype."},
    {"--cache-type-v", "Use --kv-cache-dtype."},
    {"-ctk", "Use --kv-cache-dtype."},
    {"-ctv", "Use --kv-cache-dtype."},
    {"-fa", kLeaveOut},
    {"--flash-attn", kLeaveOut},
    {"--enforce-eager", kLeaveOut},
    {"--enable-chunked-prefill", "Prompts are always computed in chunks: leave the option out."},
    {"-cb", "Requests always join running ones: leave the option out."},
    {"--cont-batching", "Requests always join running ones: leave the option out."},
    {"--enable-auto-tool-choice", "Calls of tools are always read: leave the option out."},
    {"--block-size", "Pages have 64 tokens: leave the option out."},
    {"--tokenizer", "The tokenizer is the model's own: leave the option out."},
    {"--jinja", "Chat templates are always used: leave the option out."},
    {"--disable-log-requests", "Requests are logged with --log-requests only: leave the option out."},
    {"--otlp-traces-endpoint", "Use GET /metrics, or run --trace FILE."},
    {"--uvicorn-log-level", "Use --log-format and --log-requests."},
    {"--root-path", kProxy},
    {"--allow-credentials", "Clients send their key in a header: leave the option out."},
    {"--headless", "Start longship under mpirun or srun."},
    {"--master-addr", "Start longship under mpirun or srun."},
    {"--master-port", "Start longship under mpirun or srun."},
    {"--dist-init-addr", "Start longship under mpirun or srun."},
    {"--trust-remote-code", "It runs no code of a model: leave the option out."},
    {"--mlock", kLeaveOut},
    {"--no-mmap", kLeaveOut},
    {"-hf", kLocalFile},
    {"--hf-repo", kLocalFile},
    {"--hf-file", kLocalFile},
    {"--model-url", kLocalFile},
    {"--enable-lora", kAdapters},
    {"--max-loras", kAdapters},
    {"--max-lora-rank", kAdapters},
    {"--max-cpu-loras", kAdapters},
    {"--lora-dtype", kAdapters},
    {"--fully-sharded-loras", kAdapters},
    {"--lora-scaled", "Use --lora-modules: the scale is the adapter's own."},
    {"-md", kDraftModel},
    {"--model-draft", kDraftModel},
    {"--lora", "Use --lora-modules NAME=PATH: requests ask for the adapter by its name."},
    {"--mirostat", "Use --temperature, --top-k, --top-p and --min-p."},
    {"--typical-p", "Use --temperature, --top-k, --top-p and --min-p."},
    {"--swap-space", kLeaveOut},
    {"--cpu-offload-gb", "Use more ranks (-tp, -pp)."},
    {"--distributed-executor-backend", "Start longship under mpirun or srun, or let -tp and -pp start the ranks."},
    {"--nnodes", "Start longship under mpirun or srun."},
    {"--node-rank", "Start longship under mpirun or srun."},
    {"--rpc", "Start longship under mpirun or srun."},
};

// Options that one command has, though others have not.
struct OwnOption {
  std::string_view name;
  std::vector<std::string_view> command;
};

const OwnOption kOwnOptions[] = {{"--tokenizer", {"bench", "serve"}}, {"--lora", {"run"}}};

bool is_own(const std::vector<std::string>& arguments, std::string_view name) {
  return std::any_of(std::begin(kOwnOptions), std::end(kOwnOptions), [&](const OwnOption& own) {
    return own.name == name && arguments.size() >= own.command.size() &&
           std::equal(own.command.begin(), own.command.end(), arguments.begin());
  });
}

}  // namespace

void refuse_foreign_option(std::string_view name) {
  const auto* found = std::find_if(std::begin(kForeignOptions), std::end(kForeignOptions),
                                   [&](const ForeignOption& option) { return option.name == name; });
  if (found != std::end(kForeignOptions)) {
    throw Error(ErrorKind::kUsage, "longship has no option " + std::string(name), std::string(found->remedy));
  }
}

std::vector<std::string> normalise_arguments(std::vector<std::string> arguments) {
  bool is_text = false;
  for (std::string& argument : arguments) {
    if (is_text) {
      is_text = false;
      continue;
    }
    if (argument == "--") {
      break;
    }
    const std::string name = argument.substr(0, argument.find('='));
    if (std::find(kShortNames.begin(), kShortNames.end(), name) != kShortNames.end()) {
      argument = "-" + argument;
    }
    if (!is_own(arguments, name)) refuse_foreign_option(name);
    is_text = std::find(kTextOptions.begin(), kTextOptions.end(), argument) != kTextOptions.end();
  }
  return arguments;
}

}  // namespace longship
