#include "launcher/commands/bench_tests.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "engine/backend/kv_page.h"
#include "launcher/options/add_flags.h"
#include "launcher/options/apply_settings.h"
#include "launcher/options/default_model.h"

namespace longship {

namespace {

std::vector<RunTest> tests_of(const BenchTestFlags& flags) {
  std::vector<RunTest> tests;
  for (const int64_t streams : flags.streams) {
    for (const int64_t depth : flags.depths) {
      for (const int64_t prompt : flags.prompts) {
        if (prompt > 0) tests.push_back({.prompt = prompt, .depth = depth, .streams = streams});
      }
      for (const int64_t generate : flags.generations) {
        if (generate > 0) tests.push_back({.generate = generate, .depth = depth, .streams = streams});
      }
    }
  }
  if (tests.empty()) {
    throw Error(ErrorKind::kUsage, "there is nothing to measure",
                "Give a prompt length by -p, or a number of tokens by -n.");
  }
  return tests;
}

int64_t whole_pages(int64_t tokens) {
  return (tokens + kPageTokens - 1) / kPageTokens * kPageTokens;
}

// The most that a test has in the cache: a sequence, and all of its sequences.
struct Room {
  int64_t sequence_tokens = 0;
  int64_t tokens = 0;
};

Room room_for(const std::vector<RunTest>& tests) {
  Room room;
  for (const RunTest& test : tests) {
    const int64_t tokens = whole_pages(test.context_tokens());
    room.sequence_tokens = std::max(room.sequence_tokens, tokens);
    room.tokens = std::max(room.tokens, test.streams * tokens);
  }
  return room;
}

}  // namespace

void BenchTestFlags::resolve() {
  if (engine.model.empty()) {
    engine.model = default_model();
  }
  const Room room = room_for(tests_of(*this));
  if (engine.options.max_model_len == 0) {
    engine.options.max_model_len = room.sequence_tokens;
  }
  engine.options.usual_kv_tokens = std::max(engine.options.usual_kv_tokens, room.tokens);
  engine.options.max_num_seqs = std::max(engine.options.max_num_seqs, *std::ranges::max_element(streams));
  engine.options.recording = Recording::kSteps;
}

RunBenchOptions BenchTestFlags::options() const {
  return {.tests = tests_of(*this), .repetitions = repetitions};
}

void add_bench_output_flags(CLI::App& command, int& repetitions, std::string& format) {
  command.add_option("-r,--repetitions", repetitions, "Timed runs of each test")
      ->type_name("N")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  command.add_option("-o,--output", format, "Output: md, csv or json")
      ->check(CLI::IsMember({"md", "csv", "json"}))
      ->capture_default_str();
}

void add_bench_test_flags(CLI::App& command, BenchTestFlags& flags) {
  const auto tokens = CLI::Range(int64_t{0}, int64_t{1} << 24U);
  command.add_option("-p,--n-prompt", flags.prompts, "Lengths of prompts; 0: none")
      ->type_name("N,...")
      ->delimiter(',')
      ->check(tokens)
      ->capture_default_str();
  command.add_option("-n,--n-gen", flags.generations, "Tokens to generate; 0: none")
      ->type_name("N,...")
      ->delimiter(',')
      ->check(tokens)
      ->capture_default_str();
  command.add_option("-d,--n-depth", flags.depths, "Tokens in the key/value cache before")
      ->type_name("N,...")
      ->delimiter(',')
      ->check(tokens)
      ->capture_default_str();
  add_bench_output_flags(command, flags.repetitions, flags.format);
  add_config_flag(command);
  add_engine_flags(command, flags.engine);
  add_synthetic_flags(command, flags.engine);
}

void add_streams_flag(CLI::App& command, BenchTestFlags& flags) {
  command.add_option("--npl,--n-parallel", flags.streams, "Sequences that run together, each with such a prompt")
      ->type_name("N,...")
      ->delimiter(',')
      ->check(CLI::Range(int64_t{1}, int64_t{4096}))
      ->capture_default_str();
}

void show_bench_progress(const std::string& what) {
  if (isatty(STDERR_FILENO) == 1) {
    std::fprintf(stderr, "\r\033[K%s", what.c_str());
  }
}

}  // namespace longship
