// Time of a mask over a made-up vocabulary of 128 k tokens.
//
//   longship_bench_grammar [--benchmark_filter=REGEX]
//
// Cold: the first text of a grammar that was just compiled. Warm: the same text once more. Both per token of the text;
// `worst_us` is the slowest single token, each by its quickest run.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "engine/sample/grammar/grammar_spec.h"
#include "engine/sample/grammar/token_masks.h"

namespace longship {
namespace {

constexpr std::size_t kVocab = 131'072;

// Bytes, digits, punctuation as JSON has it, and words of letters with and without a space before them, a tenth of them
// beyond ASCII.
std::vector<std::string> made_up_tokens() {
  std::mt19937 random(1);
  std::set<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte) tokens.insert(std::string(1, static_cast<char>(byte)));
  for (int number = 0; number < 1000; ++number) tokens.insert(std::to_string(number));
  const std::string marks = "\"{}[]:,.'\\ \n\t-_/()";
  for (int i = 0; i < 4000; ++i) {
    std::string token;
    for (unsigned length = 2 + random() % 4; length > 0; --length) token += marks[random() % marks.size()];
    tokens.insert(token);
  }
  const std::vector<std::string> letters = {"é", "ü", "ж", "語", "ا", "한"};
  while (tokens.size() < kVocab) {
    std::string token = random() % 2 == 0 ? " " : "";
    const bool ascii = random() % 10 != 0;
    for (unsigned length = 2 + random() % 8; length > 0; --length) {
      token += ascii ? std::string(1, static_cast<char>('a' + random() % 26)) : letters[random() % letters.size()];
    }
    tokens.insert(token);
  }
  std::vector<std::string> all(tokens.begin(), tokens.end());
  std::shuffle(all.begin(), all.end(), random);
  return all;
}

const std::shared_ptr<const TokenTrie>& trie() {
  static const auto kTrie = std::make_shared<const TokenTrie>(made_up_tokens());
  return kTrie;
}

struct Sample {
  const char* name;
  GrammarSpec spec;
  std::string text;
};

const std::vector<Sample>& samples() {
  using Kind = GrammarSpec::Kind;
  const std::string person =
      R"({"name": "Harald the tall", "age": 43, "ships": [{"length": 23.5, "crew": "forty rowers"},)"
      R"( {"length": 18.25, "crew": "some friends"}], "motto": "westward, always westward"})";
  static const std::vector<Sample> kSamples = {
      {"json_object", {Kind::kJsonObject, ""}, person},
      {"json_schema",
       {Kind::kJsonSchema,
        R"({"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0,"maximum":120},
            "ships":{"type":"array","items":{"type":"object","properties":{"length":{"type":"number"},
            "crew":{"type":"string"}},"required":["length","crew"]}},"motto":{"type":"string"}},
            "required":["name","age","ships","motto"]})"},
       person},
      {"json_schema_lengths",
       {Kind::kJsonSchema, R"({"type":"object","properties":{"name":{"type":"string","maxLength":40}}})"},
       R"({"name": "Harald the tall, of the north"})"},
      {"json_schema_last_characters",
       {Kind::kJsonSchema, R"({"type":"object","properties":{"name":{"type":"string","maxLength":40}}})"},
       R"({"name": "Harald the tall, of the north and west, "})"},
      {"json_schema_last_items",
       {Kind::kJsonSchema,
        R"({"type":"array","minItems":3,"maxItems":6,"items":{"type":"string","minLength":3,"maxLength":12}})"},
       R"(["oars", "sails", "ropes", "a dragon", "the bow", "forty rowers"])"},
      {"json_schema_pattern_length",
       {Kind::kJsonSchema, R"({"type":"string","pattern":"^[a-z]([-a-z ]*[a-z])?$","maxLength":40})"},
       R"("harald the tall of the north and west is")"},
      {"regex", {Kind::kRegex, "[a-z ]{1,200}(, [a-z ]{1,200})*\\."}, "oars and sails, ropes and a dragon at the bow."},
      {"gbnf",
       {Kind::kGbnf, "root ::= line+\nline ::= word (\" \" word)* \"\\n\"\nword ::= [A-Za-z]+"},
       "the ship sails\nover the sea\n"},
  };
  return kSamples;
}

// The longest token that begins the text, as a tokenizer would take it, more or less.
int32_t longest_token(const TokenSet& allowed, std::string_view text) {
  int32_t best = -1;
  for (int32_t id = 0; id < allowed.size(); ++id) {
    const std::string& bytes = trie()->bytes_of(id);
    const bool longer = best < 0 || bytes.size() > trie()->bytes_of(best).size();
    if (allowed.has(id) && longer && text.starts_with(bytes)) best = id;
  }
  return best;
}

// The states of a text, one before each of its tokens.
std::vector<GrammarState> states_of(const Sample& sample, const std::shared_ptr<const Automaton>& automaton) {
  TokenMasks masks(automaton, trie());
  std::vector<GrammarState> states{automaton->start()};
  std::string_view rest = sample.text;
  while (!rest.empty()) {
    const int32_t token = longest_token(masks.allowed(states.back()), rest);
    states.push_back(automaton->advance(states.back(), trie()->bytes_of(token)));
    rest.remove_prefix(trie()->bytes_of(token).size());
  }
  states.pop_back();
  return states;
}

void mask(benchmark::State& bench, const Sample& sample, bool warm) {
  const auto automaton = compile_grammar(sample.spec);
  const std::vector<GrammarState> states = states_of(sample, automaton);
  auto masks = std::make_unique<TokenMasks>(automaton, trie());
  std::vector<double> quickest_us;
  const auto run = [&] {
    for (std::size_t i = 0; i < states.size(); ++i) {
      const auto start = std::chrono::steady_clock::now();
      benchmark::DoNotOptimize(masks->allowed(states[i]));
      const std::chrono::duration<double, std::micro> us = std::chrono::steady_clock::now() - start;
      quickest_us[i] = std::min(quickest_us[i], us.count());
    }
  };
  const std::vector<double> none(states.size(), std::numeric_limits<double>::max());
  quickest_us = none;
  run();
  quickest_us = none;
  for (auto _ : bench) {
    if (!warm) {
      bench.PauseTiming();
      masks = std::make_unique<TokenMasks>(automaton, trie());
      bench.ResumeTiming();
    }
    run();
  }
  const auto tokens = static_cast<double>(states.size());
  bench.counters["tokens"] = tokens;
  bench.counters["s_per_token"] =
      benchmark::Counter(tokens, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
  bench.counters["worst_us"] = *std::max_element(quickest_us.begin(), quickest_us.end());
}

void compile(benchmark::State& bench, const Sample& sample) {
  for (auto _ : bench) {
    benchmark::DoNotOptimize(compile_grammar(sample.spec));
  }
}

}  // namespace
}  // namespace longship

int main(int argc, char** argv) {
  using longship::samples;
  for (const auto& sample : samples()) {
    const std::string name = sample.name;
    benchmark::RegisterBenchmark(("compile/" + name).c_str(), longship::compile, sample);
    benchmark::RegisterBenchmark(("mask_cold/" + name).c_str(), longship::mask, sample, false);
    benchmark::RegisterBenchmark(("mask_warm/" + name).c_str(), longship::mask, sample, true);
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
