// What a server tells about its ranks.
#include <gtest/gtest.h>
#include <signal.h>

#include <cmath>
#include <thread>

#include "tests/e2e/http_client.h"
#include "tests/e2e/server.h"

namespace longship {
namespace {

using Clock = std::chrono::steady_clock;

Json cluster_of(const Server& server) {
  const HttpReply reply = http(server.port(), "GET", "/cluster");
  EXPECT_EQ(reply.status, 200);
  return parse(reply.body);
}

// The cluster once `is_so` holds of it, or as it is 20 s later.
Json wait_for(const Server& server, const std::function<bool(const Json&)>& is_so) {
  const auto deadline = Clock::now() + std::chrono::seconds(20);
  Json cluster = cluster_of(server);
  while (!is_so(cluster) && Clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    cluster = cluster_of(server);
  }
  EXPECT_TRUE(is_so(cluster)) << dump_json(cluster, 2);
  return cluster;
}

bool every_rank(const Json& cluster, std::size_t ranks, const std::function<bool(const Json&)>& is_so) {
  const Json::Array all = at(cluster, {"ranks"}).as_array();
  return all.size() == ranks && std::all_of(all.begin(), all.end(), is_so);
}

bool has_worked(const Json& rank) {
  return !at(rank, {"step_ms"}).is_null() && at(rank, {"busy"}).as_double() > 0;
}

// A request that runs until its client goes.
class Endless {
 public:
  explicit Endless(const Server& server) : connection_(server.port()) {
    connection_.send(http_text(
        "POST", "/v1/completions",
        R"({"prompt":"The ship","max_tokens":16000,"ignore_eos":true,"temperature":1,"seed":3,"stream":true})"));
  }

 private:
  HttpConnection connection_;
};

TEST(Cluster, TellsWhatEveryRankOfAMeshHoldsAndDoes) {
  const Server server({"-tp", "2", "-pp", "2"});
  const Json idle =
      wait_for(server, [](const Json& now) { return every_rank(now, 4, [](const Json&) { return true; }); });
  EXPECT_EQ(at(idle, {"state"}), Json("ready"));
  EXPECT_EQ(at(idle, {"model"}), Json("llama-Q8_0.gguf"));
  EXPECT_EQ(at(idle, {"mesh"}), parse(R"({"tp":2,"pp":2})"));
  EXPECT_EQ(at(idle, {"recoveries"}), Json(0));
  EXPECT_TRUE(at(idle, {"slowest_rank"}).is_null());
  EXPECT_EQ(at(idle, {"ranks", "0", "pp"}), Json(1)) << "the leader is on the last stage";
  EXPECT_EQ(at(idle, {"ranks", "0", "layers", "0"}), at(idle, {"ranks", "2", "layers", "1"}));
  EXPECT_EQ(at(idle, {"ranks", "2", "layers", "0"}), Json(0));

  const Endless request(server);
  const Json now = wait_for(server, [](const Json& cluster) {
    return every_rank(cluster, 4, has_worked) && at(cluster, {"tokens_per_s", "generation"}).as_double() > 0;
  });
  for (std::size_t i = 0; i < 4; ++i) {
    const Json rank = at(now, {"ranks", std::to_string(i)});
    EXPECT_EQ(at(rank, {"rank"}), Json(static_cast<int64_t>(i)));
    EXPECT_EQ(at(rank, {"tp"}), Json(static_cast<int64_t>(i % 2)));
    EXPECT_FALSE(at(rank, {"host"}).as_string().empty());
    EXPECT_EQ(kill(static_cast<pid_t>(at(rank, {"pid"}).as_int()), 0), 0);
    EXPECT_GT(at(rank, {"weights_bytes"}).as_int(), 0);
    EXPECT_GT(at(rank, {"kv_bytes"}).as_int(), 0);
    EXPECT_GT(at(rank, {"step_ms"}).as_double(), 0);
    EXPECT_LE(at(rank, {"busy"}).as_double(), 1);
    const double moving = at(rank, {"comm_share"}).as_double();
    const double waiting = at(rank, {"wait_share"}).as_double();
    EXPECT_GT(moving + waiting, 0) << dump_json(rank);
    EXPECT_LT(moving + waiting, 1) << dump_json(rank);
  }
  EXPECT_EQ(at(now, {"running"}), Json(1));
  EXPECT_GT(at(now, {"kv", "pages_used"}).as_int(), 0);
  EXPECT_LT(at(now, {"kv", "pages_used"}).as_int(), at(now, {"kv", "pages"}).as_int());
  EXPECT_FALSE(at(now, {"slowest_rank"}).is_null());
}

TEST(Cluster, TellsOfRanksThatWereLostAndStartedAgain) {
  Server server({"-tp", "2", "--kv-cache-fraction", "0.3"});
  const Json before =
      wait_for(server, [](const Json& now) { return every_rank(now, 2, [](const Json&) { return true; }); });
  kill(static_cast<pid_t>(at(before, {"ranks", "1", "pid"}).as_int()), SIGKILL);
  const Json after = wait_for(server, [&](const Json& now) {
    return at(now, {"state"}) == Json("ready") && at(now, {"recoveries"}) == Json(1) &&
           at(now, {"ranks", "0", "pid"}) != at(before, {"ranks", "0", "pid"}) &&
           at(now, {"ranks", "1", "pid"}) != at(before, {"ranks", "1", "pid"});
  });
  EXPECT_NE(at(after, {"last_loss"}).as_string().find("rank 1"), std::string::npos) << dump_json(after);
  // Not what is free by now: accepted requests must fit.
  EXPECT_EQ(at(after, {"ranks", "1", "kv_bytes"}), at(before, {"ranks", "1", "kv_bytes"}));
}

TEST(Cluster, OneRankNeitherMovesDataNorWaits) {
  const Server server({"--api-key", "secret"});
  EXPECT_EQ(http(server.port(), "GET", "/cluster").status, 401);
  const std::string key = "Authorization: Bearer secret\r\n";
  const auto ask = [&] { return parse(http(server.port(), "GET", "/cluster", "", key).body); };
  EXPECT_EQ(at(ask(), {"mesh"}), parse(R"({"tp":1,"pp":1})"));
  const HttpReply answer =
      http(server.port(), "POST", "/v1/completions", R"({"prompt":"a","max_tokens":50,"ignore_eos":true})", key);
  EXPECT_EQ(answer.status, 200);
  const auto deadline = Clock::now() + std::chrono::seconds(20);
  while (at(ask(), {"ranks", "0", "steps"}) != Json(50) && Clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  const Json rank = at(ask(), {"ranks", "0"});
  EXPECT_EQ(at(rank, {"steps"}), Json(50)) << dump_json(rank);
  EXPECT_GT(at(rank, {"step_ms"}).as_double(), 0);
  EXPECT_EQ(at(rank, {"comm_share"}), Json(0.0));
  EXPECT_EQ(at(rank, {"wait_share"}), Json(0.0));
}

}  // namespace
}  // namespace longship
