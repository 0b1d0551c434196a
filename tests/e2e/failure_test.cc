// What users see when something goes wrong: one sentence of cause, one of remedy, one exit code, once.
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/e2e/program.h"
#include "tests/e2e/server.h"

namespace longship {
namespace {

using Clock = std::chrono::steady_clock;

const std::string kModel = fixture("models/llama");
// Its keys and values of 16 Mi tokens take 48 GiB.
const std::string kWide = fixture("models/llama-rope-yarn");

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

struct Mistake {
  std::vector<std::string> words;
  int exit_code;
  std::string cause;
};

void PrintTo(const Mistake& mistake, std::ostream* out) {
  *out << testing::PrintToString(mistake.words);
}

class Mistakes : public testing::TestWithParam<Mistake> {};

TEST_P(Mistakes, AreSaidOnce) {
  const Outcome outcome = run(GetParam().words);
  EXPECT_EQ(outcome.exit_code, GetParam().exit_code) << outcome.err;
  EXPECT_EQ(count(outcome.err, "error:"), 1U) << outcome.err;
  EXPECT_NE(outcome.err.find("longship: error: "), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find(GetParam().cause), std::string::npos) << outcome.err;
  EXPECT_TRUE(outcome.out.empty()) << outcome.out;
}

INSTANTIATE_TEST_SUITE_P(
    Alone, Mistakes,
    testing::Values(
        Mistake{longship({"run", kModel, "--nonsense"}), 2, "--nonsense"},
        Mistake{longship({"run", kModel, "--lore=a: b"}), 2, "no option or argument --lore=a: b\nSee "},
        Mistake{longship({"bench", "run", kModel, "--foo"}), 2, "--foo\nSee longship bench run --help."},
        Mistake{longship({"frobnicate"}), 2, "no command frobnicate"},
        Mistake{longship({"bench", "fight"}), 2, "no command bench fight"},
        Mistake{longship({"--frobnicate"}), 2, "no option --frobnicate"},
        Mistake{longship({"bench"}), 2, "bench needs a command\nSee longship bench --help."},
        Mistake{longship({}), 2, "no command was given"},
        Mistake{longship({"run", kModel, "-tp", "2x", "-p", "x"}), 2, "error: -tp cannot be \"2x\""},
        Mistake{longship({"run", kModel, "-tp", "2", "-tp", "3"}), 2, "error: -tp stands there more than once"},
        Mistake{longship({"run", kModel, "-p"}), 2, "error: --prompt needs a value"},
        Mistake{longship({"serve", kModel, "--port", "99999"}), 2, "--port"},
        Mistake{longship({"run", kModel, "-ngl", "99", "-p", "x"}), 2, "-ngl"},
        Mistake{longship({"run", kModel, "-tp", "0", "-p", "x"}), 2, "-tp 0"},
        Mistake{longship({"run", kModel, "-tp", "x", "-p", "x"}), 2, "x"},
        Mistake{longship({"run", kModel, "-p", ""}), 2, "prompt"},
        Mistake{longship({"run", kModel, "-p", "", "-tp", "2"}), 2, "prompt"},
        Mistake{longship({"run", kModel, "-pp", "99", "-p", "x"}), 2, "layers"},
        Mistake{longship({"run", "/nonexistent/model", "-p", "x"}), 3, "/nonexistent/model"},
        Mistake{longship({"run", "Qwen/Qwen3-8B", "-p", "x"}), 3, "models are not downloaded"},
        Mistake{longship({"run", fixture("models"), "-p", "x"}), 3, "has no config.json\nGive the path"},
        Mistake{longship({"run", std::string(300, 'a'), "-p", "x"}), 3, "File name too long\nGive the path"},
        Mistake{longship({"inspect", std::string(300, 'a')}), 3, "File name too long\nGive the path"},
        Mistake{longship({"tokenize", std::string(300, 'a'), "-p", "x"}), 2, "File name too long\nGive a"},
        Mistake{longship({"tokenize", kModel, "--decode", "-p", "x"}), 2, "--decode requires --jsonl\nSee "},
        Mistake{longship({"tokenize", kModel, "--jsonl", "-p", "x"}), 2, "--jsonl excludes --prompt\nSee "},
        Mistake{longship({"run", "/nonexistent/model", "-tp", "2", "-p", "x"}), 3, "/nonexistent/model"},
        Mistake{longship({"run", fixture("gguf-models/mixtral-Q4_0.gguf"), "-tp", "2", "-p", "x"}), 3,
                "mixtures of experts are not supported\nChoose another"},
        Mistake{longship({"run", kWide, "-p", "x", "-n", "1", "--exact", "-c", "16777216"}), 4, "MiB"},
        Mistake{longship({"run", kWide, "-p", "x", "-n", "1", "--exact", "-c", "16777216", "-tp", "2"}), 4, "MiB"},
        Mistake{longship({"eval", kModel}), 2, "--jsonl"}, Mistake{longship({"rank", kModel}), 2, "rank"}));

INSTANTIATE_TEST_SUITE_P(
    UnderMpirun, Mistakes,
    testing::Values(Mistake{mpirun(4, {"run", kModel, "-tp", "3", "-p", "x"}), 2, "-tp 3 does not divide the 4 ranks"},
                    Mistake{mpirun(3, {"run", kModel, "-tp", "2", "-pp", "2", "-p", "x"}), 2, "needs 4 ranks"},
                    Mistake{mpirun(3, {"run", kModel, "--nonsense"}), 2, "--nonsense"},
                    Mistake{mpirun(3, {"run", "/nonexistent/model", "-p", "x"}), 3, "/nonexistent/model"},
                    Mistake{mpirun(2, {"run", kWide, "-p", "x", "-n", "1", "--exact", "-c", "16777216"}), 4, "MiB"}));

TEST(Launcher, WithoutMpirunSaysWhatToInstall) {
  const Outcome outcome = run(longship({"run", kModel, "-tp", "2", "-p", "x"}), "", {{"PATH", "/nonexistent"}});
  EXPECT_EQ(outcome.exit_code, 5);
  EXPECT_NE(outcome.err.find("openmpi-bin"), std::string::npos) << outcome.err;
}

TEST(Launcher, WithoutAModelSaysHowToGetOne) {
  const Outcome outcome = run(longship({"run", "-p", "x"}), "", {{"XDG_CACHE_HOME", "/nonexistent"}});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_NE(outcome.err.find("scripts/fetch-model"), std::string::npos) << outcome.err;
}

// Without it the template would render other texts than the model was trained on.
TEST(Launcher, ABrokenFileOfSpecialTokensIsNamed) {
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "broken-tokens";
  std::filesystem::create_directories(folder);
  using Options = std::filesystem::copy_options;
  std::filesystem::copy(kModel, folder, Options::recursive | Options::overwrite_existing);
  std::ofstream(folder / "chat_template.jinja") << "{{ bos_token }}{{ messages[0].content }}";
  std::ofstream(folder / "tokenizer_config.json") << "{\"bos_token\": ";
  const Outcome outcome = run(longship({"run", folder, "-p", "x", "-n", "1"}));
  EXPECT_EQ(outcome.exit_code, 3) << outcome.err;
  EXPECT_NE(outcome.err.find("tokenizer_config.json: offset "), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("\nDownload the files again"), std::string::npos) << outcome.err;
}

// A reply that goes on until it is ended.
std::vector<std::string> endless() {
  return longship({"run", kModel, "--raw", "--greedy", "-p", "The ship", "-c", "1000000", "-tp", "2", "-pp", "2"});
}

class KilledRank : public testing::TestWithParam<std::size_t> {};

TEST_P(KilledRank, EndsTheJobWithItsName) {
  Program program(endless());
  const std::vector<pid_t> ranks = ranks_of(program.pid(), 4);
  ASSERT_EQ(ranks.size(), 4U);
  ASSERT_TRUE(program.wait_for_output(40));
  const auto killed = Clock::now();
  kill(ranks[GetParam()], SIGKILL);
  const Outcome outcome = program.wait();
  EXPECT_LT(Clock::now() - killed, std::chrono::seconds(4));
  EXPECT_EQ(outcome.exit_code, 5);
  EXPECT_EQ(count(outcome.err, "error:"), 1U) << outcome.err;
  const std::string name =
      "rank " + std::to_string(GetParam()) + " (process " + std::to_string(ranks[GetParam()]) + ")";
  EXPECT_NE(outcome.err.find(name), std::string::npos) << outcome.err;
  EXPECT_TRUE(leftovers().empty()) << testing::PrintToString(leftovers());
}

INSTANTIATE_TEST_SUITE_P(LeaderAndFollowers, KilledRank, testing::Values(0, 1, 3));

// Signal, and whether the job is still starting when it comes.
class Interrupt : public testing::TestWithParam<std::tuple<int, bool>> {};

TEST_P(Interrupt, EndsEveryRankAtOnceAndLeavesNothing) {
  const auto [signal, starting] = GetParam();
  Program program(endless());
  const std::vector<pid_t> ranks = ranks_of(program.pid(), 4);
  ASSERT_EQ(ranks.size(), 4U);
  if (!starting) {
    ASSERT_TRUE(program.wait_for_output(40));
  }
  const auto sent = Clock::now();
  kill(program.pid(), signal);
  const Outcome outcome = program.wait();
  EXPECT_EQ(outcome.exit_code, 128 + signal);
  EXPECT_LT(Clock::now() - sent, std::chrono::seconds(3));
  for (const pid_t rank : ranks) {
    EXPECT_FALSE(is_running(rank));
  }
  EXPECT_TRUE(leftovers().empty()) << testing::PrintToString(leftovers());
}

INSTANTIATE_TEST_SUITE_P(Signals, Interrupt,
                         testing::Values(std::tuple(SIGINT, false), std::tuple(SIGINT, true),
                                         std::tuple(SIGTERM, false)));

// Two seconds after the process that started the ranks was killed.
void expect_nothing_left() {
  const auto deadline = Clock::now() + std::chrono::seconds(2);
  while (!leftovers().empty() && Clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_TRUE(leftovers().empty()) << testing::PrintToString(leftovers());
}

TEST(Interrupts, AStoppedRankDoesNotHoldUpTheEnd) {
  Program program(endless());
  const std::vector<pid_t> ranks = ranks_of(program.pid(), 4);
  ASSERT_EQ(ranks.size(), 4U);
  ASSERT_TRUE(program.wait_for_output(40));
  kill(ranks[2], SIGSTOP);
  kill(program.pid(), SIGINT);
  EXPECT_EQ(program.wait(std::chrono::seconds(5)).exit_code, 130);
  EXPECT_FALSE(is_running(ranks[2]));
  EXPECT_TRUE(leftovers().empty()) << testing::PrintToString(leftovers());
}

TEST(Interrupts, RanksEndWithTheProcessThatStartedThem) {
  Program program(endless());
  const std::vector<pid_t> ranks = ranks_of(program.pid(), 4);
  ASSERT_EQ(ranks.size(), 4U);
  ASSERT_TRUE(program.wait_for_output(40));
  kill(program.pid(), SIGKILL);
  program.wait();
  EXPECT_TRUE(end_within(ranks, std::chrono::seconds(4)));
  expect_nothing_left();
}

TEST(Interrupts, NothingIsLeftOfAServerThatIsKilled) {
  for (const std::size_t ranks : {1, 2}) {
    Server server({"-tp", std::to_string(ranks)});
    ASSERT_EQ(ranks_of(server.program().pid(), ranks).size(), ranks);
    kill(server.program().pid(), SIGKILL);
    server.program().wait();
    expect_nothing_left();
  }
}

}  // namespace
}  // namespace longship
