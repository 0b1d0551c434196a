#include "launcher/batch/batch_run.h"

#include <algorithm>
#include <csignal>

#include "core/error.h"
#include "tests/support/data_path.h"
#include "tests/unit/batch/batch_files.h"
#include "tests/unit/launcher/fake_engine.h"

namespace longship {
namespace {

// A completion of token ids: the fake engine counts up from the last one.
std::string line(const std::string& id, const std::string& body) {
  return R"({"custom_id":")" + id + R"(","method":"POST","url":"/v1/completions","body":)" + body + "}\n";
}

class BatchRunTest : public BatchFiles {
 protected:
  BatchOptions options() const {
    return {.input = folder_ / "in",
            .output = folder_ / "out",
            .served_names = {"ship"},
            .version = "7",
            .in_flight = 2,
            .drain_time = {}};
  }
  int run() {
    BatchRun batch(options(), model());
    FakeEngine engine;
    const int exit_code = batch.run(engine);
    requests_ = engine.requests().size();
    return exit_code;
  }
  static std::shared_ptr<const ModelText> model() {
    static const auto kModel =
        std::make_shared<const ModelText>(load_model_text(data_path("models/llama-rope-llama3"), {}, true));
    return kModel;
  }
  // What was answered: "STATUS" or the finish_reason by custom_id.
  std::string answer(const std::string& id) {
    std::istringstream lines(get("out"));
    for (std::string text; std::getline(lines, text);) {
      const Json json = std::get<Json>(parse_json(text));
      if (*json.find("custom_id") != Json(id)) continue;
      const Json* response = json.find("response");
      const Json* body = response->find("body");
      EXPECT_TRUE(json.find("error")->is_null());
      EXPECT_TRUE(response->find("request_id")->is_string());
      const int64_t status = response->find("status_code")->as_int();
      return status == 200 ? body->find("choices")->as_array()[0].find("finish_reason")->as_string()
                           : std::to_string(status) + " " + dump_json(*body->find("error")->find("param"));
    }
    return "none";
  }

  std::size_t requests_ = 0;  ///< That the engine got in the last run.
};

TEST_F(BatchRunTest, AnswersEveryLineOnce) {
  std::string text;
  for (int i = 0; i < 20; ++i)
    text += line("line " + std::to_string(i), R"({"prompt":[2,3],"max_tokens":4,"model":"ship"})");
  put("in", text);
  EXPECT_EQ(run(), 0);
  EXPECT_EQ(requests_, 20U);
  std::vector<std::string> found = ids("out");
  EXPECT_EQ(found.size(), 20U);
  std::sort(found.begin(), found.end());
  EXPECT_EQ(std::unique(found.begin(), found.end()), found.end());
  EXPECT_EQ(answer("line 7"), "length");
  EXPECT_NE(get("out").find(R"("system_fingerprint": "longship-7")"), std::string::npos);
  EXPECT_EQ(run(), 0);
  EXPECT_EQ(requests_, 0U) << "all is done";
  EXPECT_EQ(ids("out").size(), 20U);
}

TEST_F(BatchRunTest, ARefusedLineDoesNotEndTheBatch) {
  put("in", line("type", R"({"prompt":[2],"temperature":"hot"})") + line("model", R"({"prompt":[2],"model":"boat"})") +
                line("stream", R"({"prompt":[2],"stream":true})") + line("engine", R"({"prompt":[0,2]})") +
                line("body", "[]") +
                R"({"custom_id":"url","method":"POST","url":"/metrics","body":{}})"
                "\n" +
                R"({"custom_id":"method","url":"/v1/completions","body":{}})"
                "\n" +
                line("good", R"({"prompt":[2,3]})"));
  EXPECT_EQ(run(), 0);
  EXPECT_EQ(answer("type"), "400 \"temperature\"");
  EXPECT_EQ(answer("model"), "404 \"model\"");
  EXPECT_EQ(answer("stream"), "400 \"stream\"");
  EXPECT_EQ(answer("engine"), "400 null");
  EXPECT_EQ(answer("body"), "400 \"body\"");
  EXPECT_EQ(answer("url"), "400 \"url\"");
  EXPECT_EQ(answer("method"), "400 \"method\"");
  EXPECT_EQ(answer("good"), "length");
  EXPECT_EQ(ids("out").size(), 8U);
}

TEST_F(BatchRunTest, GoesOnAfterAKillAtEveryByte) {
  put("in", line("a", R"({"prompt":[2],"max_tokens":2})") + line("b", R"({"prompt":[3],"temperature":-1})") +
                line("c", R"({"prompt":[4],"max_tokens":1})"));
  EXPECT_EQ(run(), 0);
  const std::string whole = get("out");
  for (std::size_t size = 0; size <= whole.size(); size += 3) {
    put("out", whole.substr(0, size));
    EXPECT_EQ(run(), 0);
    std::vector<std::string> found = ids("out");
    std::sort(found.begin(), found.end());
    EXPECT_EQ(found, (std::vector<std::string>{"a", "b", "c"})) << size;
  }
}

TEST_F(BatchRunTest, ToldToEndItKeepsWhatIsDoneAndGoesOnLater) {
  // The fake engine answers a prompt that begins with 1 only when it is cancelled.
  put("in", line("a", R"({"prompt":[2],"max_tokens":2})") + line("endless", R"({"prompt":[1,2],"max_tokens":2})") +
                line("also endless", R"({"prompt":[1,2],"max_tokens":2})") +
                line("b", R"({"prompt":[3],"max_tokens":2})"));
  for (const auto& [signal, exit_code] : {std::pair(SIGTERM, BatchRun::kIncomplete), std::pair(SIGINT, 130)}) {
    BatchRun batch(options(), model());
    FakeEngine engine;
    std::thread teller([&, number = signal] {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      EXPECT_TRUE(batch.stop(number));
      if (number == SIGTERM) {
        EXPECT_TRUE(batch.stop(number)) << "at once it is the same request, by another way";
        std::this_thread::sleep_for(std::chrono::milliseconds(1100));
      }
      EXPECT_FALSE(batch.stop(number)) << "the second one ends the process";
    });
    EXPECT_EQ(batch.run(engine), exit_code);
    teller.join();
    EXPECT_EQ(ids("out"), (std::vector<std::string>{"a"}));
  }
  put("in", line("a", R"({"prompt":[2],"max_tokens":2})") + line("b", R"({"prompt":[3],"max_tokens":2})"));
  EXPECT_EQ(run(), 0);
  EXPECT_EQ(ids("out"), (std::vector<std::string>{"a", "b"}));
}

TEST_F(BatchRunTest, ALostEngineKeepsWhatIsDone) {
  put("in", line("a", R"({"prompt":[2],"max_tokens":2})") + line("endless", R"({"prompt":[1,2],"max_tokens":2})"));
  BatchRun batch(options(), model());
  FakeEngine engine;
  std::thread loss([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    engine.fail(Error(ErrorKind::kRank, "rank 1 was lost"));
  });
  EXPECT_THROW(batch.run(engine), Error);
  loss.join();
  EXPECT_EQ(ids("out"), (std::vector<std::string>{"a"}));
}

TEST_F(BatchRunTest, TheAnswersAreAnotherFile) {
  put("in", line("a", R"({"prompt":[2]})"));
  BatchOptions same = options();
  same.output = folder_ / "." / "in";
  EXPECT_THROW(BatchRun(same, model()), Error);
}

}  // namespace
}  // namespace longship
