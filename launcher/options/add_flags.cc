#include "launcher/options/add_flags.h"

#include <CLI/CLI.hpp>
#include <fstream>
#include <iterator>

#include "core/error.h"
#include "launcher/options/adapter_option.h"
#include "launcher/options/default_model.h"
#include "launcher/options/speculative_config.h"

namespace longship {

namespace {

// Limits that keep every product of sizes far from overflow.
constexpr int64_t kMostTokens = int64_t{1} << 24;
constexpr int64_t kMostSequences = 4096;
constexpr int kMostThreads = 1024;

MetadataOverride parse_override(const std::string& text) {
  const auto equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw Error(ErrorKind::kUsage, "--override-kv " + text + " has no KEY=VALUE",
                "For example: --override-kv llama.rope.freq_base=10000");
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

void add_mesh_flags(CLI::App& command, EngineFlags& flags) {
  command.add_option("--tp,--tensor-parallel-size,--tp-size", flags.mesh.tp, "Ranks that share each layer")
      ->type_name("N")
      ->group("Mesh");
  command
      .add_option("--pp,--pipeline-parallel-size,--pp-size", flags.mesh.pp, "Stages that the layers are spread over")
      ->type_name("N")
      ->group("Mesh");
  command
      .add_option("-t,--threads", flags.threads,
                  "Compute threads of each rank (default: allowed cores / ranks of the host)")
      ->type_name("N")
      ->check(CLI::Range(1, kMostThreads))
      ->group("Mesh");
}

void add_size_flags(CLI::App& command, EngineOptions& options) {
  command
      .add_option("-c,--max-model-len,--ctx-size", options.max_model_len,
                  "Most tokens of a sequence (default: the model's, or what fits into the memory)")
      ->type_name("TOKENS")
      ->check(CLI::Range(int64_t{1}, kMostTokens))
      ->group("Engine");
  command
      .add_option("--kv-cache-memory", options.kv_cache_bytes, "Memory of each rank for keys and values, such as 8GiB")
      ->transform(CLI::AsSizeValue(false))
      ->type_name("SIZE")
      ->group("Engine");
  command
      .add_option(
          "--kv-cache-fraction,--gpu-memory-utilization", options.kv_cache_fraction,
          "The same, as the part X of the host's free memory that its ranks share (serve: 0.4; else room for one "
          "sequence); on GPUs the part of their memory that all may take (0.9)")
      ->type_name("X")
      ->check(CLI::Range(0.0, 1.0))
      ->group("Engine");
  command.add_option("--np,--max-num-seqs,--parallel", options.max_num_seqs, "Sequences in one batch")
      ->type_name("N")
      ->check(CLI::Range(int64_t{1}, kMostSequences))
      ->capture_default_str()
      ->group("Engine");
  command
      .add_option("-b,--max-num-batched-tokens,--batch-size", options.max_batched_tokens,
                  "Tokens of one step: the size of a prefill chunk (512; on GPUs 2048)")
      ->type_name("TOKENS")
      ->check(CLI::Range(int64_t{1}, kMostTokens))
      ->group("Engine");
  command
      .add_flag("--enable-prefix-caching,!--no-enable-prefix-caching", options.prefix_cache,
                "Requests that begin with the same tokens share their keys and values (default: on)")
      ->group("Engine");
  command
      .add_option_function<std::string>(
          "--speculative-config",
          [&options](const std::string& config) { options.speculation = parse_speculative_config(config); },
          "Guess next tokens, from what stood before or by a smaller model, and check them together: the same tokens "
          "in fewer steps (default: off)")
      ->type_name("JSON")
      ->group("Engine");
  command.add_flag("--fill-kv-cache", options.fill_kv_cache)->group("");
  command.add_option("--least-model-len", options.least_model_len)->group("");
  command.add_option("--usual-kv-tokens", options.usual_kv_tokens)->group("");
  command.add_option("--kv-pages", options.kv_pages)->group("");
  command.add_flag("--prompt-logits", options.prompt_logits)->group("");
  command.add_option("--recording", options.recording)->check(CLI::Range(0, 2))->group("");
}

void add_pack_cache_flags(CLI::App& command, EngineOptions& options) {
  command
      .add_flag_callback(
          "--pack-cache",
          [&options] {
            if (options.pack_cache.empty()) options.pack_cache = longship_cache() / "packed";
          },
          "Keep the weights as they lie in memory on disk: the next start maps them")
      ->group("Engine");
  command
      .add_option_function<std::string>(
          "--pack-cache-dir", [&options](const std::string& folder) { options.pack_cache = folder; },
          "The same, in this folder (default: " + (longship_cache() / "packed").native() + ")")
      ->type_name("DIR")
      ->group("Engine");
}

CLI::Option* add_real(CLI::App& command, const char* names, double& value, const char* help, double least,
                      double most) {
  return command.add_option(names, value, help)
      ->type_name("X")
      ->check(CLI::Range(least, most))
      ->capture_default_str()
      ->group("Sampling");
}

}  // namespace

void add_override_flag(CLI::App& command, std::vector<MetadataOverride>& overrides) {
  command
      .add_option_function<std::vector<std::string>>(
          "--override-kv",
          [&overrides](const std::vector<std::string>& values) {
            for (const std::string& value : values) {
              overrides.push_back(parse_override(value));
            }
          },
          "Replace a metadata value of a GGUF file (repeatable)")
      ->type_name("KEY=VALUE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->group("Engine");
}

void add_adapter_flag(CLI::App& command, std::vector<AdapterOption>& adapters) {
  command
      .add_option_function<std::vector<std::string>>(
          "--lora-modules",
          [&adapters](const std::vector<std::string>& values) {
            for (const std::string& value : values) {
              adapters.push_back(parse_adapter(value));
            }
          },
          "LoRA adapters of the model, folders as PEFT saves them: requests ask for one by its name as their model")
      ->type_name("NAME=PATH")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->group("Engine");
}

void add_synthetic_flags(CLI::App& command, EngineFlags& flags) {
  command
      .add_option_function<std::string>(
          "--synthetic",
          [&flags](const std::string& config) {
            flags.model = config;
            flags.options.synthetic = flags.options.synthetic.value_or(DType::kBF16);
          },
          "A config.json instead of a model: its weights are generated")
      ->type_name("CONFIG")
      ->excludes("--model")
      ->group("Engine");
  command
      .add_option_function<std::string>(
          "--synthetic-type",
          [&flags](const std::string& type) {
            const std::optional<DType> dtype = dtype_from_name(type);
            if (!dtype || *dtype == DType::kI32 || *dtype == DType::kU8) {
              throw Error(ErrorKind::kUsage, "there is no weight type \"" + type + "\"",
                          "For example: --synthetic-type BF16, Q8_0 or Q4_K.");
            }
            flags.options.synthetic = dtype;
          },
          "Type of the generated matrices (default: BF16)")
      ->type_name("TYPE")
      ->group("Engine");
}

void add_dry_run_flags(CLI::App& command, DryRunFlags& flags) {
  CLI::Option* dry_run =
      command.add_flag("--dry-run", flags.wanted, "Print the memory of every rank of this job, and start none");
  command.add_flag("--json", flags.json, "With --dry-run: print JSON")->needs(dry_run);
}

void add_trace_flag(CLI::App& command, std::string& trace) {
  command
      .add_option("--trace", trace,
                  "Write steps, operations and communication of every rank to FILE (open it in Perfetto)")
      ->type_name("FILE");
}

void add_engine_flags(CLI::App& command, EngineFlags& flags) {
  command
      .add_option_function<std::string>(
          "-m,--model,MODEL",
          [&flags](const std::string& model) {
            if (!flags.options.synthetic) flags.model = model;  // of a settings file or the environment
          },
          "Model folder (Hugging Face) or GGUF file")
      ->type_name("PATH");
  add_mesh_flags(command, flags);
  EngineOptions& options = flags.options;
  options.device = "auto";
  command
      .add_option("--device", options.device,
                  "Where ranks compute: cuda (one GPU a rank of a host, in turn), cpu, or auto: cuda where all can")
      ->check(CLI::IsMember({"auto", "cpu", "cuda", "cuda-emulated"}))
      ->capture_default_str()
      ->group("Engine");
  command
      .add_flag("--deterministic", options.deterministic,
                "On GPUs: the same bits for every batch and layout (CPUs always give them)")
      ->group("Engine");
  command.add_option("--backend", options.backend, "Kernels on CPUs: cpu, or reference (plain and slow, the oracle)")
      ->check(CLI::IsMember({"cpu", "reference"}))
      ->capture_default_str()
      ->group("Engine");
  command
      .add_option(
          "--comm", options.comm,
          "Between ranks: shm (memory of one host), mpi, on GPUs also nccl and ipc (GPUs of one host); auto: the best "
          "that can be")
      ->check(CLI::IsMember({"auto", "shm", "mpi", "nccl", "ipc"}))
      ->capture_default_str()
      ->group("Engine");
  command
      .add_option("--comm-dtype", options.comm_dtype,
                  "How sums travel between hosts: f32, or bf16 or q8, which move less and change results")
      ->check(CLI::IsMember({"f32", "bf16", "q8"}))
      ->capture_default_str()
      ->group("Engine");
  command
      .add_flag(
          "--exact", options.exact,
          "Dequantised weights, f32 activations, and f32 keys and values unless --kv-cache-dtype is given; on GPUs no "
          "tensor cores, and --deterministic")
      ->group("Engine");
  command
      .add_option("--kv-cache-dtype", options.kv_cache_dtype,
                  "Type of keys and values: auto (f16), f32, f16, bf16 or q8_0")
      ->check(CLI::IsMember({"auto", "f32", "f16", "bf16", "q8_0"}))
      ->capture_default_str()
      ->group("Engine");
  add_pack_cache_flags(command, options);
  add_size_flags(command, options);
  add_override_flag(command, options.overrides);
}

namespace {

// Refused here what is wrong with it, before any rank starts.
void set_grammar(SamplingFlags& flags, GrammarSpec::Kind kind, std::string text) {
  if (flags.grammar.kind != GrammarSpec::Kind::kNone) {
    throw Error(ErrorKind::kUsage, "there are two grammars", "Give one grammar or JSON schema.");
  }
  flags.grammar = {kind, std::move(text)};
  compile_grammar(flags.grammar);
}

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    throw Error(ErrorKind::kUsage, path + " cannot be read", "Give the path of a readable file.");
  }
  return {std::istreambuf_iterator<char>(file), {}};
}

void add_grammar_flags(CLI::App& command, SamplingFlags& flags) {
  struct Flag {
    const char* names;
    const char* help;
    const char* type;
    GrammarSpec::Kind kind;
    bool is_file;
  };
  using Kind = GrammarSpec::Kind;
  for (const Flag& flag :
       {Flag{"--grammar", "The answer is a text of this grammar (GBNF)", "TEXT", Kind::kGbnf, false},
        Flag{"--grammar-file", "The same, from a file", "FILE", Kind::kGbnf, true},
        Flag{"-j,--json-schema", "The answer is JSON of this schema; {}: any", "TEXT", Kind::kJsonSchema, false},
        Flag{"--json-schema-file", "The same, from a file", "FILE", Kind::kJsonSchema, true}}) {
    command
        .add_option_function<std::string>(
            flag.names,
            [&flags, flag](const std::string& value) {
              set_grammar(flags, flag.kind, flag.is_file ? read_text(value) : value);
            },
            flag.help)
        ->type_name(flag.type)
        ->group("Sampling");
  }
}

}  // namespace

void add_sampling_flags(CLI::App& command, SamplingFlags& flags) {
  add_grammar_flags(command, flags);
  SamplingParams& params = flags.params;
  constexpr double kMost = 1e6;
  add_real(command, "--temperature,--temp", params.temperature, "Randomness; 0 is greedy", 0, kMost);
  command.add_option("--top-k", params.top_k, "Choose among the K most probable tokens; 0: all")
      ->type_name("K")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 31U))
      ->capture_default_str()
      ->group("Sampling");
  add_real(command, "--top-p", params.top_p, "Choose among the most probable tokens that sum to X", 0, 1);
  add_real(command, "--min-p", params.min_p, "Leave out tokens less probable than X times the most probable", 0, 1);
  add_real(command, "--repetition-penalty,--repeat-penalty", params.repetition_penalty,
           "Divide the logits of tokens that were there; 1: off", 1e-3, kMost);
  add_real(command, "--presence-penalty", params.presence_penalty, "Taken off the logits of generated tokens", -kMost,
           kMost);
  add_real(command, "--frequency-penalty", params.frequency_penalty, "The same, for each time that they were generated",
           -kMost, kMost);
  command.add_option("--seed,-s", flags.seed, "Same seed, same text on any mesh (default: random)")
      ->type_name("N")
      ->group("Sampling");
  command.add_flag("--greedy", flags.greedy, "Always the most probable token")->group("Sampling");
  command.add_option("--stop", flags.stops, "End the text before this string (repeatable)")
      ->type_name("TEXT")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->group("Sampling");
  command
      .add_option("-n,--max-tokens,--predict,--n-predict", flags.max_tokens,
                  "Most tokens of an answer (default: until it ends or the context is full)")
      ->type_name("N")
      ->check(CLI::Range(int64_t{-1}, int64_t{1} << 24U))
      ->group("Sampling");
}

}  // namespace longship
