// `longship serve` as its clients see it.
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <map>
#include <set>
#include <thread>

#include "tests/e2e/http_client.h"
#include "tests/e2e/program.h"
#include "tests/e2e/server.h"

namespace longship {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kStory = R"({"prompt":"The ship sails.","max_tokens":24,"temperature":0,"ignore_eos":true})";

TEST(Serve, AnswersAsRunDoesOnEveryMesh) {
  const std::string text =
      run(longship({"run", served_model(), "--raw", "--greedy", "-p", "The ship sails.", "-n", "24"})).out;
  const std::vector<std::pair<std::vector<std::string>, std::vector<std::string>>> starts = {
      {longship({}), {}}, {longship({}), {"-tp", "2", "-pp", "2"}}, {mpirun(3, {}), {}}};
  for (const auto& [start, mesh] : starts) {
    Server server(mesh, start);
    const Json answer = server.post("/v1/completions", kStory);
    EXPECT_EQ(at(answer, {"choices", "0", "text"}).as_string() + "\n", text);
    EXPECT_EQ(at(answer, {"usage", "completion_tokens"}), Json(24));
    EXPECT_EQ(at(answer, {"choices", "0", "finish_reason"}), Json("length"));
    EXPECT_EQ(at(answer, {"object"}), Json("text_completion"));
    if (start == longship({})) {
      EXPECT_EQ(server.stop().exit_code, 0);
      EXPECT_TRUE(leftovers().empty()) << testing::PrintToString(leftovers());
    }
  }
}

TEST(Serve, StreamsWhatItAnswersAtOnce) {
  Server server;
  const std::string question = R"("messages":[{"role":"user","content":"Sail!"}],"max_tokens":12,"seed":7)";
  const Json whole = server.post("/v1/chat/completions", "{" + question + "}");
  const HttpReply reply =
      http(server.port(), "POST", "/v1/chat/completions",
           "{" + question + R"(,"stream":true,"stream_options":{"include_usage":true},"logprobs":true})");
  EXPECT_NE(reply.head.find("Content-Type: text/event-stream"), std::string::npos) << reply.head;
  EXPECT_NE(reply.head.find("x-request-id: "), std::string::npos) << reply.head;
  const std::vector<std::string> events = events_of(reply.body);
  ASSERT_GE(events.size(), 4U);
  EXPECT_EQ(events.back(), "[DONE]");
  const Json first = parse(events.front());
  EXPECT_EQ(at(first, {"choices", "0", "delta", "role"}), Json("assistant"));
  EXPECT_EQ(at(first, {"object"}), Json("chat.completion.chunk"));
  std::string text;
  std::size_t logprobs = 0;
  for (std::size_t i = 0; i + 2 < events.size(); ++i) {
    const Json event = parse(events[i]);
    EXPECT_EQ(at(event, {"id"}), at(first, {"id"}));
    const Json content = at(event, {"choices", "0", "delta", "content"});
    text += content.is_string() ? content.as_string() : "";
    const Json entries = at(event, {"choices", "0", "logprobs", "content"});
    logprobs += entries.is_array() ? entries.as_array().size() : 0;
    const Json* reason = at(event, {"choices", "0"}).find("finish_reason") == nullptr ? nullptr : &event;
    EXPECT_NE(reason, nullptr) << "finish_reason stands in every chunk";
    const bool last = i + 3 == events.size();
    EXPECT_EQ(at(event, {"choices", "0", "finish_reason"}).is_null(), !last) << events[i];
  }
  EXPECT_EQ(text, at(whole, {"choices", "0", "message", "content"}).as_string());
  const Json usage = parse(events[events.size() - 2]);
  EXPECT_EQ(at(usage, {"choices"}), Json(Json::Array{}));
  EXPECT_EQ(at(usage, {"usage"}), at(whole, {"usage"}));
  EXPECT_EQ(Json(static_cast<int64_t>(logprobs)), at(usage, {"usage", "completion_tokens"}));
}

TEST(Serve, SharedPromptsAndGuessesChangeNoAnswer) {
  std::string prompt;
  for (int i = 0; i < 12; ++i) prompt += "The ship sails over the sea. ";
  const std::string text = run(longship({"run", served_model(), "--raw", "--greedy", "-p", prompt, "-n", "32"})).out;
  const Server server({"-pp", "2", "--speculative-config",
                       R"({"method":"ngram","num_speculative_tokens":4,"prompt_lookup_max":3,"prompt_lookup_min":1})"});
  const std::string body =
      R"({"max_tokens":32,"temperature":0,"ignore_eos":true,"n":2,"prompt":)" + dump_json(Json(prompt)) + "}";
  const auto cached = [](const Json& answer) {
    return at(answer, {"usage", "prompt_tokens_details", "cached_tokens"}).as_int();
  };
  const Json first = server.post("/v1/completions", body);
  const Json again = server.post("/v1/completions", body);
  for (const Json& answer : {first, again}) {
    for (const char* choice : {"0", "1"}) {
      EXPECT_EQ(at(answer, {"choices", choice, "text"}).as_string() + "\n", text);
    }
  }
  EXPECT_EQ(cached(first), 0);
  EXPECT_GE(cached(again), 64);
  EXPECT_LT(cached(again), at(again, {"usage", "prompt_tokens"}).as_int());
  EXPECT_EQ(server.metric("vllm:prefix_cache_hits_total"), 3.0 * static_cast<double>(cached(again)));
  EXPECT_GT(server.metric("vllm:spec_decode_num_draft_tokens_total"), 0);
  EXPECT_TRUE(server.wait_for_metric("longship:kv_cache_usage_perc", 0));
}

// What `--trace` left in a file: for each rank, the names of its spans.
std::map<int64_t, std::multiset<std::string>> spans_in(const std::string& file) {
  std::ifstream stream(file);
  const Json all = parse({std::istreambuf_iterator<char>(stream), {}});
  std::map<int64_t, std::multiset<std::string>> spans;
  const Json events = at(all, {"traceEvents"});
  for (const Json& event : events.as_array()) {
    spans[at(event, {"pid"}).as_int()].insert(at(event, {"name"}).as_string());
  }
  return spans;
}

TEST(Serve, TracesEveryRankUntilItsEnd) {
  const std::string file = testing::TempDir() + "/serve_trace.json";
  for (const bool alone : {true, false}) {
    Server server({"-tp", "2", "--trace", file}, alone ? longship({}) : mpirun(2, {}));
    server.post("/v1/completions", kStory);
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));  // what was traced so far is fetched meanwhile
    server.post("/v1/completions", kStory);
    EXPECT_EQ(server.stop(alone ? SIGTERM : SIGUSR1).exit_code, 0);
    const auto spans = spans_in(file);
    for (const int64_t rank : {0, 1}) {
      ASSERT_TRUE(spans.contains(rank)) << rank;
      EXPECT_GE(spans.at(rank).count("step"), 48U);
      EXPECT_GE(spans.at(rank).count("attention"), 48U);
    }
  }
}

TEST(Serve, ADraftModelChangesNoAnswer) {
  const std::string text =
      run(longship({"run", served_model(), "--raw", "--greedy", "-p", "The ship", "-n", "24"})).out;
  const Server server({"-tp", "2", "--speculative-config",
                       R"({"num_speculative_tokens":3,"model":)" + dump_json(Json(served_model())) + "}"});
  const Json answer =
      server.post("/v1/completions", R"({"max_tokens":24,"temperature":0,"ignore_eos":true,"prompt":"The ship"})");
  EXPECT_EQ(at(answer, {"choices", "0", "text"}).as_string() + "\n", text);
  EXPECT_GT(server.metric("vllm:spec_decode_num_draft_tokens_total"), 10);
  EXPECT_EQ(server.metric("vllm:spec_decode_num_accepted_tokens_total"),
            server.metric("vllm:spec_decode_num_draft_tokens_total"));
}

TEST(Serve, ChoicesStopsBiasesAndLogprobs) {
  const Server server;
  const Json choices = server.post(
      "/v1/completions", R"({"prompt":["The sea","A ship"],"n":3,"max_tokens":6,"seed":1,"temperature":1.5})");
  ASSERT_EQ(at(choices, {"choices"}).as_array().size(), 6U);
  EXPECT_NE(at(choices, {"choices", "0", "text"}), at(choices, {"choices", "1", "text"}));
  EXPECT_EQ(at(choices, {"choices", "5", "index"}), Json(5));

  const std::string story = at(server.post("/v1/completions", kStory), {"choices", "0", "text"}).as_string();
  const std::string stop = story.substr(story.size() / 2, 2);
  const Json stopped =
      server.post("/v1/completions", R"({"prompt":"The ship sails.","max_tokens":24,"temperature":0,"stop":)" +
                                         dump_json(Json(stop)) + "}");
  EXPECT_EQ(at(stopped, {"choices", "0", "text"}).as_string(), story.substr(0, story.find(stop)));
  EXPECT_EQ(at(stopped, {"choices", "0", "finish_reason"}), Json("stop"));

  const Json biased = server.post(
      "/v1/completions",
      R"({"prompt":"a","max_tokens":3,"temperature":0,"logit_bias":{"70":100},"logprobs":2,"ignore_eos":true})");
  const Json tokens = at(biased, {"choices", "0", "logprobs", "tokens"});
  ASSERT_EQ(tokens.as_array().size(), 3U);
  EXPECT_EQ(tokens.as_array()[0], tokens.as_array()[2]);
  const Json top = at(biased, {"choices", "0", "logprobs", "top_logprobs", "0"});
  EXPECT_EQ(top.as_object().size(), 3U) << "the two most probable, and the chosen one, which only its bias made so";
  EXPECT_NE(top.find(tokens.as_array()[0].as_string()), nullptr);

  const Json echoed =
      server.post("/v1/completions", R"({"prompt":"The ship","max_tokens":0,"echo":true,"temperature":0})");
  EXPECT_EQ(at(echoed, {"choices", "0", "text"}), Json("The ship"));
}

struct Refusal {
  const char* path;
  const char* body;
  int status;
  Json param;
};

std::ostream& operator<<(std::ostream& out, const Refusal& refusal) {
  return out << refusal.path << " " << refusal.body;
}

TEST(Serve, RefusesWithTheFieldThatIsWrong) {
  const Server server;
  const std::string chat = "/v1/chat/completions";
  const std::string text = "/v1/completions";
  const std::vector<Refusal> refusals = {
      {text.c_str(), R"({"prompt":5})", 400, "prompt"},
      {text.c_str(), R"({})", 400, "prompt"},
      {text.c_str(), R"({"prompt":[]})", 400, "prompt"},
      {text.c_str(), R"({"prompt":[-1]})", 400, "prompt"},
      {text.c_str(), R"({"prompt":[99999999]})", 400, "prompt"},
      {text.c_str(), R"({"prompt":"a","temperature":"hot"})", 400, "temperature"},
      {text.c_str(), R"({"prompt":"a","temperature":-1})", 400, "temperature"},
      {text.c_str(), R"({"prompt":"a","n":1000000})", 400, "n"},
      {text.c_str(), R"({"prompt":"a","max_tokens":-1})", 400, "max_tokens"},
      {text.c_str(), R"({"prompt":"a","logit_bias":{"x":1}})", 400, "logit_bias"},
      {text.c_str(), R"({"prompt":"a","logit_bias":{"99999999":1}})", 400, "logit_bias"},
      {text.c_str(), R"({"prompt":"a","stream_options":{"include_usage":true}})", 400, "stream_options"},
      {text.c_str(), R"({"prompt":"a","model":"other"})", 404, "model"},
      {text.c_str(), R"({"prompt":"a)", 400, nullptr},
      {text.c_str(), R"([])", 400, nullptr},
      {chat.c_str(), R"({"messages":[]})", 400, "messages"},
      {chat.c_str(), R"({"messages":[{"role":7,"content":"a"}]})", 400, "messages[0].role"},
      {chat.c_str(), R"({"messages":[{"role":"user","content":7}]})", 400, "messages[0].content"},
      {chat.c_str(), R"({"messages":[{"role":"user","content":"a"}],"top_logprobs":2})", 400, "top_logprobs"},
      {chat.c_str(), R"({"messages":[{"role":"user","content":"a"}],"tools":[{}]})", 400, "tools[0].function"},
      {"/nowhere", "", 404, nullptr},
  };
  for (const Refusal& refusal : refusals) {
    const Json answer = server.post(refusal.path, refusal.body, refusal.status);
    EXPECT_EQ(at(answer, {"error", "param"}), refusal.param) << refusal;
    EXPECT_FALSE(at(answer, {"error", "message"}).as_string().empty());
  }
  EXPECT_EQ(http(server.port(), "GET", "/v1/completions").status, 405);
  std::string words;
  for (int i = 0; i < 40000; ++i) words += " ship";
  const Json longer = server.post(text, R"({"prompt":")" + words + R"("})", 400);
  EXPECT_EQ(at(longer, {"error", "code"}), Json("context_length_exceeded"));
  EXPECT_EQ(http(server.port(), "GET", "/health").status, 200);
}

TEST(Serve, AsksForItsKey) {
  Server server({"--api-key", "secret", "--served-model-name", "ship"});
  const std::string banner = server.program().err_so_far();
  EXPECT_NE(banner.find("/v1/chat/completions -H 'Authorization: Bearer KEY' -H"), std::string::npos) << banner;
  EXPECT_EQ(http(server.port(), "GET", "/v1/models").status, 401);
  EXPECT_EQ(http(server.port(), "GET", "/metrics", "", "Authorization: Bearer secre\r\n").status, 401);
  EXPECT_EQ(http(server.port(), "GET", "/nowhere").status, 401);
  EXPECT_EQ(http(server.port(), "GET", "/health").status, 200);
  const HttpReply models = http(server.port(), "GET", "/v1/models", "", "Authorization: Bearer secret\r\n");
  EXPECT_EQ(models.status, 200);
  EXPECT_EQ(at(parse(models.body), {"data", "0", "id"}), Json("ship"));
  const Outcome open = run(longship({"serve", served_model(), "--host", "0.0.0.0", "--port", "0"}));
  EXPECT_EQ(open.exit_code, 2);
  EXPECT_NE(open.err.find("--insecure-no-auth"), std::string::npos) << open.err;
}

TEST(Serve, RefusesWhatIsNotHttp) {
  const Server server({"--max-body", "1000"});
  const std::vector<std::pair<std::string, int>> requests = {
      {"nonsense\r\n\r\n", 400},
      {"GET /live HTTP/1.1\r\nX: " + std::string(20000, 'a') + "\r\n\r\n", 431},
      {http_text("POST", "/v1/completions", std::string(2000, ' ')), 413},
      {"POST /v1/completions HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
  };
  for (const auto& [bytes, status] : requests) {
    HttpConnection connection(server.port());
    connection.send(bytes);
    EXPECT_EQ(connection.reply().status, status) << bytes.substr(0, 60);
  }
  HttpConnection two(server.port());  // one connection, two requests at once
  two.send(http_text("GET", "/live", "") + http_text("GET", "/version", ""));
  EXPECT_EQ(two.reply().body, R"({"status": "ok"})");
  EXPECT_NE(two.reply().body.find("version"), std::string::npos);
}

TEST(Serve, ClientsThatGoFreeTheirRequests) {
  const Server server;
  const std::string endless = R"({"prompt":"a","max_tokens":100000,"ignore_eos":true,"temperature":1,"stream":)";
  for (const char* stream : {"true}", "false}"}) {
    std::vector<std::unique_ptr<HttpConnection>> clients;
    for (int i = 0; i < 20; ++i) {
      clients.push_back(std::make_unique<HttpConnection>(server.port()));
      clients.back()->send(http_text("POST", "/v1/completions", endless + stream));
    }
    EXPECT_TRUE(server.wait_for_metric("longship:num_requests_running", 16));
    EXPECT_TRUE(server.wait_for_metric("longship:kv_cache_usage_perc", [](double part) { return part > 0; }));
  }
  EXPECT_TRUE(server.wait_for_metric("longship:num_requests_running", 0));
  EXPECT_TRUE(server.wait_for_metric("longship:num_requests_waiting", 0));
  EXPECT_TRUE(server.wait_for_metric("longship:kv_cache_usage_perc", 0));
}

TEST(Serve, EndsWhatItBeganWhenToldToEnd) {
  Server server({"--max-queue", "1"});
  HttpConnection client(server.port());
  client.send(http_text("POST", "/v1/completions",
                        R"({"prompt":"a","max_tokens":8000,"ignore_eos":true,"temperature":1,"stream":true})"));
  EXPECT_TRUE(server.wait_for_metric("longship:num_requests_running", 1));
  const HttpReply full = http(server.port(), "POST", "/v1/completions", kStory);
  EXPECT_EQ(full.status, 429);
  EXPECT_NE(full.head.find("Retry-After: "), std::string::npos);
  kill(server.program().pid(), SIGTERM);
  const HttpReply all = client.reply();
  EXPECT_EQ(events_of(all.body).back(), "[DONE]");
  EXPECT_EQ(server.program().wait().exit_code, 0);
}

TEST(Serve, RequestsSurviveTheLossOfRanks) {
  Server server({"-tp", "2", "-pp", "2"});
  const auto ask = [&](int seed) {
    return http(
               server.port(), "POST", "/v1/completions",
               R"({"prompt":"The ship","max_tokens":1000,"ignore_eos":true,"temperature":1,"presence_penalty":0.1,"n":2,)"
               R"("logprobs":1,"seed":)" +
                   std::to_string(seed) + "}")
        .body;
  };
  const auto choices = [&](int seed) { return at(parse(ask(seed)), {"choices"}); };
  std::vector<Json> expected;
  for (int seed = 0; seed < 4; ++seed) expected.push_back(choices(seed));
  std::vector<std::future<Json>> answers;
  for (int seed = 0; seed < 4; ++seed) answers.push_back(std::async(std::launch::async, choices, seed));
  const std::vector<std::pair<std::size_t, int>> faults = {{1, SIGKILL}, {0, SIGKILL}, {2, SIGSTOP}, {0, SIGSTOP}};
  for (const auto& [victim, signal] : faults) {
    const double seen = server.metric("longship:generation_tokens_total");
    const auto deadline = Clock::now() + std::chrono::seconds(20);
    while (server.metric("longship:generation_tokens_total") < seen + 60 && Clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    const std::vector<pid_t> ranks = ranks_of(server.program().pid(), 4);
    ASSERT_EQ(ranks.size(), 4U);
    kill(ranks[victim], signal);
  }
  for (std::size_t seed = 0; seed < 4; ++seed) EXPECT_EQ(answers[seed].get(), expected[seed]);
  const Outcome outcome = server.stop();
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_NE(outcome.err.find("was ended by signal 9 (Killed); starting the ranks again"), std::string::npos)
      << outcome.err;
  EXPECT_NE(outcome.err.find("gave no sign of life any more and was ended; starting the ranks again"),
            std::string::npos)
      << outcome.err;
  EXPECT_TRUE(leftovers().empty()) << testing::PrintToString(leftovers());
}

// As an upgrade does, while a server runs.
TEST(Serve, RanksAreStartedAgainThoughTheProgramsFileIsGone) {
  namespace fs = std::filesystem;
  const fs::path copy = fs::path(testing::TempDir()) / "longship-before-an-upgrade";
  fs::copy_file(program_path(), copy, fs::copy_options::overwrite_existing);
  Server server({"-tp", "2"}, {copy.native()});
  const auto ask = [&] {
    return at(server.post("/v1/completions", R"({"prompt":"a","max_tokens":4,"temperature":0})"), {"choices"});
  };
  const Json expected = ask();
  fs::remove(copy);
  const std::vector<pid_t> ranks = ranks_of(server.program().pid(), 2);
  ASSERT_EQ(ranks.size(), 2U);
  kill(ranks[1], SIGKILL);
  EXPECT_EQ(ask(), expected);
  const Outcome outcome = server.stop();
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_NE(outcome.err.find("starting the ranks again"), std::string::npos) << outcome.err;
}

// Those that are there wait for it in MPI.
TEST(Serve, ARankThatIsStoppedBeforeItIsKnownIsStartedAgain) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::path(testing::TempDir()) / "stopping-mpirun";
  fs::remove_all(folder);
  fs::create_directories(folder);
  std::ofstream(folder / "mpirun") << "#!/bin/sh\nranks=$2; shift 2\nexec " << mpirun(2, {}).front()
                                   << " -n $ranks sh -c '[ $OMPI_COMM_WORLD_RANK = 1 ] && mkdir $0 2> /dev/null && "
                                      "kill -STOP $$; exec \"$@\"' "
                                   << (folder / "first").native() << " \"$@\"\n";
  fs::permissions(folder / "mpirun", fs::perms::owner_all);
  std::vector<std::string> start = longship({});
  start.insert(start.begin(), {"env", "PATH=" + folder.native() + ":" + std::getenv("PATH")});
  Server server({"-tp", "2"}, start);
  server.post("/v1/completions", R"({"prompt":"a","max_tokens":2})");
  const Outcome outcome = server.stop();
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_TRUE(fs::exists(folder / "first"));
  EXPECT_NE(outcome.err.find("rank 1 gave no sign of life any more and was ended; starting the ranks again"),
            std::string::npos)
      << outcome.err;
  EXPECT_TRUE(leftovers().empty()) << testing::PrintToString(leftovers());
}

TEST(Serve, UnderMpirunTheLossOfARankEndsStreamsWithAnError) {
  for (const auto& [signal, what] : {std::pair(SIGKILL, "lost"), std::pair(SIGSTOP, "stopped")}) {
    std::vector<std::string> start = mpirun(3, {});  // with the grace that it gives by itself
    start.insert(start.begin(), {"env", "OMPI_MCA_odls_base_sigkill_timeout=1"});
    Server server({}, start);
    HttpConnection client(server.port());
    client.send(http_text("POST", "/v1/completions",
                          R"({"prompt":"a","max_tokens":16000,"ignore_eos":true,"temperature":1,"stream":true})"));
    EXPECT_TRUE(server.wait_for_metric("longship:num_requests_running", 1));
    const std::vector<pid_t> ranks = ranks_of(server.program().pid(), 3);
    ASSERT_EQ(ranks.size(), 3U);
    kill(ranks[2], signal);
    const std::vector<std::string> events = events_of(client.reply().body);
    ASSERT_FALSE(events.empty());
    EXPECT_TRUE(at(parse(events.back()), {"error", "message"}).is_string()) << events.back();
    const Outcome outcome = server.program().wait(std::chrono::seconds(4));
    EXPECT_NE(outcome.exit_code, 0);
    EXPECT_NE(outcome.err.find("rank 2 (process " + std::to_string(ranks[2]) + ") was " + what), std::string::npos)
        << outcome.err;
  }
}

// As with srun, whose PMIx kills all ranks a second after it has lost one.
TEST(Serve, StreamsEndWithAnErrorThoughTheLauncherSaysNothing) {
  Server server({}, mpirun(3, {}));
  HttpConnection client(server.port());
  client.send(http_text("POST", "/v1/completions",
                        R"({"prompt":"a","max_tokens":16000,"ignore_eos":true,"temperature":1,"stream":true})"));
  EXPECT_TRUE(server.wait_for_metric("longship:num_requests_running", 1));
  const pid_t launcher = server.program().pid();
  const std::vector<pid_t> ranks = ranks_of(launcher, 3);
  ASSERT_EQ(ranks.size(), 3U);
  kill(launcher, SIGSTOP);
  const auto killed = Clock::now();
  kill(ranks[2], SIGKILL);
  const std::vector<std::string> events = events_of(client.reply().body);
  EXPECT_LT(Clock::now() - killed, std::chrono::milliseconds(700));
  ASSERT_FALSE(events.empty());
  EXPECT_TRUE(at(parse(events.back()), {"error", "message"}).is_string()) << events.back();
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  EXPECT_FALSE(is_running(ranks[0])) << "nobody ends it";
  kill(launcher, SIGCONT);
  const Outcome outcome = server.program().wait(std::chrono::seconds(4));
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_NE(outcome.err.find("rank 2 (process " + std::to_string(ranks[2]) + ") was lost"), std::string::npos)
      << outcome.err;
}

TEST(Serve, UnderMpirunSigusr1LetsOpenRequestsEnd) {
  Server server({"--drain-timeout", "120"}, mpirun(3, {}));
  HttpConnection client(server.port());
  client.send(http_text("POST", "/v1/completions",
                        R"({"prompt":"a","max_tokens":300,"ignore_eos":true,"temperature":1,"stream":true})"));
  EXPECT_TRUE(server.wait_for_metric("longship:num_requests_running", 1));
  kill(server.program().pid(), SIGUSR1);  // mpirun hands it on to every rank
  const std::vector<std::string> events = events_of(client.reply().body);
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events.back(), "[DONE]");
  const Outcome outcome = server.program().wait(std::chrono::seconds(4));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("ending: open requests have"), std::string::npos) << outcome.err;
}

TEST(Serve, UnderMpirunAFrontEndThatStandsStillEndsTheJob) {
  Server server({}, mpirun(3, {}));
  const std::vector<pid_t> ranks = ranks_of(server.program().pid(), 3);
  ASSERT_EQ(ranks.size(), 3U);
  kill(ranks[0], SIGSTOP);
  const Outcome outcome = server.program().wait(std::chrono::seconds(4));
  EXPECT_NE(outcome.exit_code, 0);
  const std::string line = "rank 0 (process " + std::to_string(ranks[0]) + ") was stopped, and with it the job";
  const auto place = outcome.err.find(line);
  ASSERT_NE(place, std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.err.find(line, place + 1), std::string::npos) << "said twice";
}

TEST(Serve, StreamsEndWithAnErrorWhenMpirunIsKilled) {
  Server server({}, mpirun(3, {}));
  HttpConnection client(server.port());
  client.send(http_text("POST", "/v1/completions",
                        R"({"prompt":"a","max_tokens":16000,"ignore_eos":true,"temperature":1,"stream":true})"));
  EXPECT_TRUE(server.wait_for_metric("longship:num_requests_running", 1));
  const pid_t launcher = server.program().pid();
  const std::vector<pid_t> ranks = ranks_of(launcher, 3);
  ASSERT_EQ(ranks.size(), 3U);
  const std::vector<std::string> segments = mapped_files(ranks[0], "vader_segment.");
  EXPECT_EQ(segments.size(), 3U);
  kill(launcher, SIGKILL);
  const std::vector<std::string> events = events_of(client.reply().body);
  ASSERT_FALSE(events.empty());
  EXPECT_TRUE(at(parse(events.back()), {"error", "message"}).is_string()) << events.back();
  EXPECT_TRUE(end_within(ranks, std::chrono::seconds(3)));
  for (const std::string& file : segments) EXPECT_FALSE(std::filesystem::exists(file)) << file;
}

TEST(Serve, EndsWithItsRanksWhenItIsKilled) {
  Server server({"-tp", "2"});
  const std::vector<pid_t> ranks = ranks_of(server.program().pid(), 2);
  ASSERT_EQ(ranks.size(), 2U);
  kill(server.program().pid(), SIGKILL);
  EXPECT_TRUE(end_within(ranks, std::chrono::seconds(2)));
}

TEST(Serve, TheNextRemovesWhatAllKilledProcessesLeft) {
  Server server({"-tp", "2"});
  const std::vector<pid_t> ranks = ranks_of(server.program().pid(), 2);
  ASSERT_EQ(ranks.size(), 2U);
  const std::filesystem::path folder =
      std::filesystem::path(variable_of(ranks[0], "LONGSHIP_JOB_SOCKET")).parent_path();
  const std::string shared_memory = variable_of(ranks[0], "OMPI_MCA_btl_vader_backing_directory");
  std::vector<pid_t> all = descendants_of(server.program().pid());
  all.push_back(server.program().pid());
  for (const int signal : {SIGSTOP, SIGKILL}) {
    for (const pid_t process : all) kill(process, signal);
  }
  server.program().wait();
  EXPECT_TRUE(std::filesystem::exists(folder) && std::filesystem::exists(shared_memory));
  EXPECT_EQ(run(longship({"run", served_model(), "--raw", "-p", "a", "-n", "1", "-tp", "2"})).exit_code, 0);
  EXPECT_FALSE(std::filesystem::exists(folder) || std::filesystem::exists(shared_memory));
}

TEST(Serve, TheNextRemovesOldFoldersThatNobodyMarked) {
  const std::filesystem::path old = "/dev/shm/longship-old-of-test";
  const std::filesystem::path fresh = "/dev/shm/longship-new-of-test";
  for (const auto& folder : {old, fresh}) std::filesystem::create_directory(folder);
  std::filesystem::last_write_time(old, std::filesystem::file_time_type::clock::now() - std::chrono::minutes(2));
  EXPECT_EQ(run(longship({"run", served_model(), "--raw", "-p", "a", "-n", "1", "-tp", "2"})).exit_code, 0);
  EXPECT_FALSE(std::filesystem::remove(old));
  EXPECT_TRUE(std::filesystem::remove(fresh)) << "its process may be about to mark it";
}

}  // namespace
}  // namespace longship
