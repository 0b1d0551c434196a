// `longship batch` as its users and their job schedulers see it.
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <thread>

#include "core/json.h"
#include "tests/e2e/program.h"

namespace longship {
namespace {

using Clock = std::chrono::steady_clock;

const std::string kModel = fixture("gguf-models/llama-Q8_0.gguf");
constexpr int kIncomplete = 75;

class Batch : public testing::Test {
 protected:
  Batch() : folder_(std::filesystem::path(testing::TempDir()) / ("batch_" + std::to_string(getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~Batch() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return folder_ / name; }

  // `tokens` each, chats and completions in turn; with_error: one that is refused.
  void write_input(int lines, int tokens, bool with_error = false) const {
    std::ofstream input(path("in"));
    for (int i = 0; i < lines; ++i) {
      const std::string limits = R"(,"max_tokens":)" + std::to_string(tokens) + R"(,"ignore_eos":true,"seed":)" +
                                 std::to_string(with_error && i == 3 ? 0 : i) +
                                 (with_error && i == 3 ? R"(,"top_p":7})" : "}");
      const bool chat = i % 2 == 0;
      input << R"({"custom_id":"request )" << i << R"(","method":"POST","url":")"
            << (chat ? "/v1/chat/completions" : "/v1/completions") << R"(","body":{)"
            << (chat ? R"("messages":[{"role":"user","content":"Ship )" : R"("prompt":"Ship )") << i
            << (chat ? R"("}])" : "\"") << limits << "}\n";
    }
  }

  std::vector<std::string> words(const std::string& out, std::vector<std::string> more = {}) const {
    std::vector<std::string> all = {"batch", path("in"), path(out), kModel, "-c", "4096", "--kv-cache-memory", "16MiB"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  // Choices, usage and status of each answer, by custom_id; each there once.
  std::map<std::string, std::string> answers(const std::string& name) const {
    std::map<std::string, std::string> result;
    std::ifstream lines(path(name));
    for (std::string line; std::getline(lines, line);) {
      const auto parsed = parse_json(line);
      const Json* json = std::get_if<Json>(&parsed);
      if (json == nullptr) {
        ADD_FAILURE() << "no JSON: " << line;
        continue;
      }
      const Json* response = json->find("response");
      const Json* body = response->find("body");
      std::string text = dump_json(*response->find("status_code"));
      for (const char* key : {"choices", "usage", "error"}) {
        if (const Json* part = body->find(key)) text += " " + dump_json(*part);
      }
      EXPECT_TRUE(result.emplace(json->find("custom_id")->as_string(), text).second) << "twice: " << line;
    }
    return result;
  }

  std::size_t lines(const std::string& name) const {
    std::ifstream file(path(name));
    return static_cast<std::size_t>(std::count(std::istreambuf_iterator<char>(file), {}, '\n'));
  }
  bool wait_for_lines(const std::string& name, std::size_t count) const {
    const auto deadline = Clock::now() + std::chrono::seconds(30);
    while (lines(name) < count) {
      if (Clock::now() > deadline) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
  }

  std::filesystem::path folder_;
};

TEST_F(Batch, AnswersAlikeOnEveryMesh) {
  write_input(30, 8, true);
  const Outcome alone = run(longship(words("alone")));
  EXPECT_EQ(alone.exit_code, 0) << alone.err;
  EXPECT_NE(alone.err.find("30 of 30 requests are answered"), std::string::npos) << alone.err;
  const std::map<std::string, std::string> expected = answers("alone");
  ASSERT_EQ(expected.size(), 30U);
  EXPECT_TRUE(expected.at("request 0").starts_with("200 "));
  EXPECT_TRUE(expected.at("request 3").starts_with("400 ")) << expected.at("request 3");
  EXPECT_NE(expected.at("request 3").find("\"param\": \"top_p\""), std::string::npos);

  EXPECT_EQ(run(mpirun(2, words("mpirun"))).exit_code, 0);
  EXPECT_EQ(answers("mpirun"), expected);
  EXPECT_EQ(run(longship(words("children", {"-tp", "2", "-pp", "2"}))).exit_code, 0);
  EXPECT_EQ(answers("children"), expected);
  EXPECT_TRUE(leftovers().empty()) << testing::PrintToString(leftovers());
}

TEST_F(Batch, GoesOnAfterAKill) {
  write_input(40, 60);
  ASSERT_EQ(run(longship(words("whole"))).exit_code, 0);
  for (const std::size_t count : {1U, 20U}) {
    Program killed(longship(words("out")));
    ASSERT_TRUE(wait_for_lines("out", count));
    kill(killed.pid(), SIGKILL);
    killed.wait();
    EXPECT_LT(lines("out"), 40U) << "the kill came too late to show anything";
  }
  const Outcome rest = run(longship(words("out")));
  EXPECT_EQ(rest.exit_code, 0);
  EXPECT_NE(rest.err.find("going on after"), std::string::npos) << rest.err;
  EXPECT_EQ(answers("out"), answers("whole"));
}

TEST_F(Batch, EndsWhenTheJobSchedulerSaysSo) {
  write_input(40, 60);
  ASSERT_EQ(run(longship(words("whole"))).exit_code, 0);
  for (const int signal : {SIGTERM, SIGUSR1}) {
    const std::size_t before = std::filesystem::exists(path("out")) ? lines("out") : 0;
    Program told(longship(words("out", {"-tp", "2", "--max-num-seqs", "2"})));
    ASSERT_TRUE(wait_for_lines("out", before + 1));
    kill(told.pid(), SIGCONT);
    kill(told.pid(), signal);
    const Outcome outcome = told.wait();
    EXPECT_LT(lines("out"), 40U) << "the signal came too late to show anything";
    EXPECT_EQ(outcome.exit_code, kIncomplete) << outcome.err;
    EXPECT_NE(outcome.err.find("the same command goes on"), std::string::npos) << outcome.err;
  }
  EXPECT_EQ(run(longship(words("out", {"-tp", "2"}))).exit_code, 0);
  EXPECT_EQ(answers("out"), answers("whole"));
}

TEST_F(Batch, TakesTwoSignalsOfOneTimeLimitForOne) {
  write_input(40, 60);
  Program told(longship(words("out", {"-tp", "2", "--max-num-seqs", "2"})));
  ASSERT_TRUE(wait_for_lines("out", 1));
  kill(told.pid(), SIGTERM);
  for (int i = 0; i < 500 && told.err_so_far().find("ending:") == std::string::npos; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  kill(told.pid(), SIGTERM);
  const Outcome outcome = told.wait();
  EXPECT_EQ(outcome.exit_code, kIncomplete) << outcome.err;
}

TEST_F(Batch, RanksOfALauncherWaitForItsEnd) {
  write_input(60, 60);
  Program told(mpirun(2, words("out", {"--max-num-seqs", "2"})));
  ASSERT_TRUE(wait_for_lines("out", 1));
  kill(told.pid(), SIGUSR1);  // mpirun hands it on to every rank
  const Outcome outcome = told.wait();
  EXPECT_EQ(outcome.exit_code, kIncomplete) << outcome.err;
  EXPECT_NE(outcome.err.find("of 60 requests are answered"), std::string::npos) << outcome.err;
  EXPECT_EQ(answers("out").size(), lines("out"));
  EXPECT_LT(lines("out"), 60U) << "the signal came too late to show anything";
}

TEST_F(Batch, RequestsSurviveTheLossOfRanks) {
  write_input(40, 60);
  ASSERT_EQ(run(longship(words("whole"))).exit_code, 0);
  Program batch(longship(words("out", {"-tp", "2"})));
  ASSERT_TRUE(wait_for_lines("out", 1));
  const std::vector<pid_t> ranks = ranks_of(batch.pid(), 2);
  ASSERT_EQ(ranks.size(), 2U);
  kill(ranks[1], SIGKILL);
  const Outcome outcome = batch.wait();
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("starting the ranks again"), std::string::npos) << outcome.err;
  EXPECT_EQ(answers("out"), answers("whole"));
}

TEST_F(Batch, ASeedAndATemplateOfItsOwn) {
  std::ofstream(path("template")) << "Sail!";
  std::ofstream input(path("in"));
  for (const auto& [id, more] : {std::pair("a", ""), std::pair("b", ""), std::pair("other seed", R"(,"seed":8)")}) {
    input << R"({"custom_id":")" << id << R"(","method":"POST","url":"/v1/chat/completions","body":{)"
          << R"("max_tokens":8,"ignore_eos":true,"messages":[{"role":"user","content":"of )" << id << "\"}]" << more
          << "}}\n";
  }
  input.close();
  const Outcome outcome = run(longship(words("out", {"--seed", "7", "--chat-template", path("template")})));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::map<std::string, std::string> found = answers("out");
  ASSERT_EQ(found.size(), 3U);
  EXPECT_TRUE(found.at("a").starts_with("200 ")) << found.at("a");
  EXPECT_EQ(found.at("a"), found.at("b")) << "what users say is not in the template";
  EXPECT_NE(found.at("a"), found.at("other seed"));
  EXPECT_EQ(run(longship(words("wrong", {"--chat-template", path("missing")}))).exit_code, 2);
}

TEST_F(Batch, ADryRunPlansAndAnswersNothing) {
  write_input(1, 1);
  const Outcome outcome = run(longship(words("out", {"-tp", "2", "--dry-run", "--json"})));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto plan = parse_json(outcome.out);
  ASSERT_TRUE(std::holds_alternative<Json>(plan)) << outcome.out;
  EXPECT_EQ(*std::get<Json>(plan).find("tp"), Json(2));
  EXPECT_FALSE(std::filesystem::exists(path("out")));
  EXPECT_EQ(run(longship(words("out", {"--json"}))).exit_code, 2) << "--json is of the dry run";
}

TEST_F(Batch, RefusesWhatCannotBeAnswered) {
  std::ofstream(path("in")) << "{\"custom_id\":\"a\"}\n{\"custom_id\":\"a\"}\n{\n";
  const Outcome outcome = run(longship(words("out")));
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_NE(outcome.err.find("line 2: the custom_id \"a\" is that of line 1; line 3: it is not JSON"),
            std::string::npos)
      << outcome.err;
  EXPECT_FALSE(std::filesystem::exists(path("out")));
  EXPECT_EQ(run(longship({"batch", path("nowhere"), path("out"), kModel})).exit_code, 2);
  EXPECT_EQ(run(longship({"batch", path("in")})).exit_code, 2);
}

}  // namespace
}  // namespace longship
