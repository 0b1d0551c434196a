// Options from the environment and from files, and what --dry-run says of them.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "core/error.h"
#include "core/json.h"
#include "tests/e2e/program.h"

namespace longship {
namespace {

namespace fs = std::filesystem;

const std::string kModel = fixture("gguf-models/llama-Q8_0.gguf");

Json plan_of(const Outcome& outcome) {
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  auto parsed = parse_json(outcome.out);
  EXPECT_TRUE(std::holds_alternative<Json>(parsed)) << outcome.out;
  return std::holds_alternative<Json>(parsed) ? std::get<Json>(std::move(parsed)) : Json();
}

int64_t number(const Json& plan, const std::string& key) {
  const Json* value = plan.find(key);
  return value != nullptr && value->is_int() ? value->as_int() : -1;
}

std::vector<std::string> dry_run(std::vector<std::string> more) {
  more.insert(more.begin(), {"serve", kModel, "--dry-run", "--json"});
  return longship(std::move(more));
}

std::string write_config(const std::string& text) {
  const fs::path path = fs::path(testing::TempDir()) / "config_test.yaml";
  std::ofstream(path) << text;
  return path;
}

TEST(Config, EveryPresetLoads) {
  int presets = 0;
  for (const auto& entry : fs::directory_iterator(LONGSHIP_CONFIGS)) {
    if (entry.path().extension() != ".yaml") continue;
    ++presets;
    const Json plan = plan_of(run(dry_run({"--config", entry.path()})));
    EXPECT_GT(number(plan, "kv_tokens"), 0) << entry.path();
    if (entry.path().stem() == "serve-2x2") {
      EXPECT_EQ(number(plan, "tp"), 2);
      EXPECT_EQ(plan.find("ranks")->as_array().size(), 4U);
    }
    const Outcome of_plan = run(longship({"plan", kModel, "--config", entry.path(), "--json"}));
    EXPECT_EQ(of_plan.exit_code, 0) << of_plan.err;  // it knows the server's options without having them
  }
  EXPECT_GE(presets, 4);
}

TEST(Config, TheServiceIsNotStartedAgainWhereThatCannotHelp) {
  std::ifstream unit(std::string(LONGSHIP_CONFIGS) + "/longship.service");
  const std::string text{std::istreambuf_iterator<char>(unit), {}};
  std::string codes;
  for (const ErrorKind kind : {ErrorKind::kUsage, ErrorKind::kModelFile, ErrorKind::kDoesNotFit, ErrorKind::kAddress}) {
    codes += " " + std::to_string(static_cast<int>(kind));
  }
  EXPECT_NE(text.find("RestartPreventExitStatus=" + codes.substr(1) + "\n"), std::string::npos) << text;
}

TEST(Config, FlagsWinOverTheEnvironmentAndThatOverTheFile) {
  const std::string file = write_config("max-model-len: 100\ntp: 2\npp: 2\n");
  const Program::Environment environment = {
      {"LONGSHIP_MAX_MODEL_LEN", "200"}, {"LONGSHIP_TP", "1"}, {"LONGSHIP_CONFIG", file}};
  EXPECT_EQ(number(plan_of(run(dry_run({"--config", file}))), "max_model_len"), 100);
  const Json plan = plan_of(run(dry_run({"-c", "300"}), "", environment));
  EXPECT_EQ(number(plan, "max_model_len"), 300);
  EXPECT_EQ(number(plan, "tp"), 1);
  EXPECT_EQ(number(plan, "pp"), 2);
  EXPECT_EQ(number(plan_of(run(dry_run({}), "", environment)), "max_model_len"), 200);
}

TEST(Config, AWrongValueIsNamedWithItsPlace) {
  const std::vector<std::pair<std::string, std::string>> files = {
      {"port: 8000\nmax-num-sqes: 3\n", "line 2: there is no option max-num-sqes"},
      {"max-num-seqs: many\n", "line 1: "},
      {"port: [1, 2]\n", "line 1: "},
      {"exact: perhaps\n", "line 1: "},
      {"swap-space: 4\n", "longship has no option --swap-space"},
      {"config: other.yaml\n", "line 1: there is no option config"},
  };
  for (const auto& [text, message] : files) {
    const Outcome outcome = run(dry_run({"--config", write_config(text)}));
    EXPECT_EQ(outcome.exit_code, 2) << text;
    EXPECT_NE(outcome.err.find(message), std::string::npos) << outcome.err;
  }
  const Outcome outcome = run(dry_run({}), "", {{"LONGSHIP_MAX_NUM_SEQS", "0"}});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_NE(outcome.err.find("environment LONGSHIP_MAX_NUM_SEQS: "), std::string::npos) << outcome.err;
}

TEST(DryRun, SaysWhatTheEngineTakes) {
  const std::vector<std::string> sizes = {"-c", "4096", "--kv-cache-memory", "8MiB", "-tp", "2"};
  const Json plan = plan_of(run(dry_run(sizes)));
  const std::string tokens = "KV cache size: " + std::to_string(number(plan, "kv_tokens")) + " tokens";
  std::vector<std::string> words = {"serve", kModel, "--port", "0"};
  words.insert(words.end(), sizes.begin(), sizes.end());
  const Program server(longship(words));
  for (int i = 0; i < 1000 && server.err_so_far().find("Ready: ") == std::string::npos; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_NE(server.err_so_far().find(tokens), std::string::npos) << tokens << " in " << server.err_so_far();
}

TEST(DryRun, PrintsOnceUnderMpirun) {
  const Outcome outcome = run(mpirun(3, {"serve", kModel, "--dry-run", "--json"}));
  EXPECT_EQ(number(plan_of(outcome), "tp"), 3);  // its output is one JSON text
  EXPECT_EQ(outcome.err, "");
}

TEST(Plan, SaysWhatWouldFit) {
  const std::vector<std::string> host = {"plan", kModel, "--host-memory", "64MiB", "--ranks-per-host", "2", "--json"};
  EXPECT_GT(number(plan_of(run(longship(host))), "max_model_len"), 0);
  std::vector<std::string> longer = host;
  longer.insert(longer.end(), {"-c", "1000000"});
  const Outcome outcome = run(longship(longer));
  EXPECT_EQ(outcome.exit_code, 4) << outcome.err;
  EXPECT_NE(outcome.err.find("fits)"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace longship
