// `longship run` and `longship eval` as their users start them.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/e2e/program.h"

namespace longship {
namespace {

const std::vector<std::string> kStory = {
    "run", fixture("gguf-models/llama-Q8_0.gguf"), "--raw", "--greedy", "-p", "The ship sails.", "-n", "24"};

std::vector<std::string> with(std::vector<std::string> words, const std::vector<std::string>& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

TEST(Run, AnswersTheSameOnEveryMeshHoweverItIsStarted) {
  const Outcome alone = run(longship(kStory));
  ASSERT_EQ(alone.exit_code, 0) << alone.err;
  ASSERT_FALSE(alone.out.empty());
  EXPECT_NE(alone.err.find("generation 24 tokens"), std::string::npos) << alone.err;
  const std::vector<std::vector<std::string>> others = {
      longship(with(kStory, {"-tp", "2", "-pp", "2"})),
      longship(with(kStory, {"-tp=3"})),
      mpirun(4, with(kStory, {"-tp", "2"})),
      mpirun(3, kStory),
      mpirun(1, kStory),
  };
  for (const auto& words : others) {
    const Outcome other = run(words);
    EXPECT_EQ(other.exit_code, 0) << other.err;
    EXPECT_EQ(other.out, alone.out) << testing::PrintToString(words);
  }
  EXPECT_TRUE(leftovers().empty()) << testing::PrintToString(leftovers());
}

TEST(Run, ASeedFixesTheTextOnEveryMesh) {
  const std::vector<std::string> sampled = {
      "run", fixture("models/qwen3"), "--raw", "--seed", "5", "--temp", "1.2", "-p", "The ship", "-n", "16"};
  const Outcome once = run(longship(sampled));
  ASSERT_EQ(once.exit_code, 0) << once.err;
  EXPECT_EQ(run(longship(with(sampled, {"-pp", "2"}))).out, once.out);
  std::vector<std::string> other_seed = sampled;
  other_seed[4] = "6";
  EXPECT_NE(run(longship(other_seed)).out, once.out);
}

TEST(Run, ReadsAPipedPrompt) {
  std::vector<std::string> words = kStory;
  words.erase(words.begin() + 4, words.begin() + 6);
  EXPECT_EQ(run(longship(words), "The ship sails.").out, run(longship(kStory)).out);
}

TEST(Run, StopsBeforeAStopString) {
  const std::string all = run(longship(kStory)).out;
  const std::string stop = all.substr(all.size() / 2, 2);
  const Outcome stopped = run(longship(with(kStory, {"--stop", stop})));
  EXPECT_EQ(stopped.exit_code, 0);
  EXPECT_EQ(stopped.out, all.substr(0, all.find(stop)) + "\n");
}

TEST(Run, ChatsInTurns) {
  const Outcome chat = run(longship({"run", fixture("models/llama"), "-i", "--greedy", "-n", "4", "-tp", "2"}),
                           "Hello\n/nothing\n/reset\nHello\n/quit\nnever read\n");
  EXPECT_EQ(chat.exit_code, 0) << chat.err;
  const std::string first = chat.out.substr(0, chat.out.size() / 2);
  EXPECT_EQ(chat.out, first + first) << "after /reset the same question has the same answer";
  EXPECT_NE(chat.err.find("generation 8 tokens"), std::string::npos) << chat.err;
}

TEST(Run, EndsQuietlyWhenNobodyReads) {
  const std::vector<std::string> words = {"sh", "-c",
                                          std::string(LONGSHIP_PROGRAM) + " run " + fixture("models/llama") +
                                              " --raw --greedy -p ship -n 200 | head -c 1 >/dev/null"};
  const Outcome outcome = run(words);
  EXPECT_EQ(outcome.err.find("error"), std::string::npos) << outcome.err;
  EXPECT_LT(outcome.seconds, 20);
}

TEST(Run, WorksInAnyLocale) {
  const Outcome usual = run(longship(kStory));
  const Outcome other = run(longship(kStory), "", {{"LC_ALL", "de_DE.UTF-8"}, {"LANG", "tr_TR"}});
  EXPECT_EQ(other.exit_code, 0) << other.err;
  EXPECT_EQ(other.out, usual.out);
}

TEST(Eval, GivesALineForEveryLineOnEveryMesh) {
  const std::string input =
      "{\"ids\": [1, 2, 3, 4], \"greedy\": 3}\n{\"text\": \"The ship sails.\"}\nnonsense\n{\"ids\": [-1]}\n"
      "{\"ids\": [5], \"greedy\": 1, \"unknown\": {}}\n\n{\"ids\": [7, 8]}";
  const std::vector<std::string> words = {"eval", fixture("models/llama"), "--jsonl", "-"};
  const Outcome alone = run(longship(words), input);
  ASSERT_EQ(alone.exit_code, 0) << alone.err;
  EXPECT_EQ(std::count(alone.out.begin(), alone.out.end(), '\n'), 7) << alone.out;
  std::vector<bool> errors;
  for (std::size_t at = 0; at < alone.out.size(); at = alone.out.find('\n', at) + 1) {
    errors.push_back(alone.out.compare(at, 9, "{\"error\":") == 0);
  }
  EXPECT_EQ(errors, (std::vector<bool>{false, false, true, true, false, true, false}));
  EXPECT_EQ(run(longship(with(words, {"-tp", "3"})), input).out, alone.out);
  EXPECT_EQ(run(mpirun(4, with(words, {"-pp", "2"})), input).out, alone.out);
}

TEST(Eval, PrintsAPerplexity) {
  const std::string folder = testing::TempDir() + "/eval_text";
  std::filesystem::create_directories(folder);
  const Outcome outcome = run(longship({"eval", fixture("models/llama"), "--text", "-", "--ctx", "16"}),
                              std::string(400, 'a') + " The ship sails over the sea. And back again it sails.");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(outcome.out.starts_with("perplexity ")) << outcome.out;
}

}  // namespace
}  // namespace longship
