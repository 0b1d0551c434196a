// The ranks that longship starts are told every option that its user gave.
#include "launcher/options/engine_flags.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>

#include "launcher/options/add_flags.h"

namespace longship {
namespace {

using Words = std::vector<std::string>;

// What ranks are told if these words stand on the command line.
Words told(Words words) {
  CLI::App command;
  EngineFlags flags;
  add_engine_flags(command, flags);
  add_adapter_flag(command, flags.options.adapters);
  std::reverse(words.begin(), words.end());
  command.parse(words);
  return engine_arguments(flags);
}

// A long name of each option but that for help.
std::vector<std::string> option_names() {
  CLI::App command;
  EngineFlags flags;
  add_engine_flags(command, flags);
  add_adapter_flag(command, flags.options.adapters);
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    const auto& longs = option->get_lnames();
    if (option != command.get_help_ptr()) names.push_back("--" + longs.at(longs.size() > 1 ? 1 : 0));
  }
  return names;
}

TEST(EngineFlags, EveryOptionReachesTheRanksAsItWasGiven) {
  const std::map<std::string, Words> values = {
      {"--model", {"ship.gguf"}},
      {"--tensor-parallel-size", {"2"}},
      {"--pipeline-parallel-size", {"3"}},
      {"--threads", {"5"}},
      {"--device", {"cuda"}},
      {"--deterministic", {}},
      {"--backend", {"reference"}},
      {"--comm", {"mpi"}},
      {"--comm-dtype", {"q8"}},
      {"--exact", {}},
      {"--kv-cache-dtype", {"bf16"}},
      {"--pack-cache", {}},
      {"--pack-cache-dir", {"/packed"}},
      {"--ctx-size", {"77"}},
      {"--kv-cache-memory", {"8GiB"}},
      {"--gpu-memory-utilization", {"0.25"}},
      {"--max-num-seqs", {"3"}},
      {"--batch-size", {"99"}},
      {"--no-enable-prefix-caching", {}},
      {"--speculative-config", {R"({"method":"ngram","num_speculative_tokens":5,"prompt_lookup_max":4})"}},
      {"--fill-kv-cache", {}},
      {"--least-model-len", {"6"}},
      {"--usual-kv-tokens", {"7"}},
      {"--kv-pages", {"8"}},
      {"--prompt-logits", {}},
      {"--recording", {"2"}},
      {"--override-kv", {"llama.context_length=9"}},
      {"--lora-modules", {"sql=/adapters/sql"}},
  };
  const Words nothing = told({});
  for (const std::string& name : option_names()) {
    const auto value = values.find(name);
    ASSERT_NE(value, values.end()) << name << " is new: give a value here, and tell it to ranks in engine_arguments()";
    Words words = {name};
    words.insert(words.end(), value->second.begin(), value->second.end());
    const Words once = told(words);
    EXPECT_NE(once, nothing) << "ranks are not told of " << name;
    EXPECT_EQ(told(once), once) << name;
  }
  EXPECT_EQ(option_names().size(), values.size());
}

}  // namespace
}  // namespace longship
