// Ranks of a launcher on two hosts, which are names here: losses that rank 0 hears of over the network.
#include <gtest/gtest.h>
#include <signal.h>

#include <thread>

#include "tests/e2e/http_client.h"
#include "tests/e2e/program.h"
#include "tests/e2e/server.h"

namespace longship {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// Rank 0 on h0, the others on h1.
std::vector<std::string> on_two_hosts(const std::vector<std::string>& arguments, int ranks = 3) {
  std::vector<std::string> words = mpirun(ranks, {});
  const std::string program = words.back();
  words.back() = "sh";
  const std::string script =
      "[ $OMPI_COMM_WORLD_RANK = 0 ] && export FAKE_HOST=h0 || export FAKE_HOST=h1; "
      "export ASAN_OPTIONS=$ASAN_OPTIONS:verify_asan_link_order=0; LD_PRELOAD=" LONGSHIP_FAKE_HOST " exec \"$@\"";
  words.insert(words.end(), {"-c", script, "sh", program});
  words.insert(words.end(), arguments.begin(), arguments.end());
  return words;
}

class Hosts : public testing::Test {
 protected:
  Hosts() : server_({}, on_two_hosts({})), client_(server_.port()) {
    client_.send(http_text("POST", "/v1/completions",
                           R"({"prompt":"a","max_tokens":16000,"ignore_eos":true,"temperature":1,"stream":true})"));
    EXPECT_TRUE(server_.wait_for_metric("longship:num_requests_running", 1));
    ranks_ = ranks_of(server_.program().pid(), 3);
    EXPECT_EQ(ranks_.size(), 3U);
    std::this_thread::sleep_for(milliseconds(500));  // hosts have connected
  }

  void SetUp() override { ASSERT_EQ(ranks_.size(), 3U); }

  // A launcher that notices nothing, as with a host that the network has lost.
  void blind_launcher() { kill(launcher(), SIGSTOP); }

  void expect_loss(std::size_t rank, int signal, const std::string& how, milliseconds limit) {
    blind_launcher();
    const auto lost = Clock::now();
    kill(ranks_[rank], signal);
    const std::vector<std::string> events = events_of(client_.reply().body);
    EXPECT_LT(Clock::now() - lost, limit);
    ASSERT_FALSE(events.empty());
    EXPECT_TRUE(at(parse(events.back()), {"error", "message"}).is_string()) << events.back();
    for (std::size_t other = 0; other < 3; ++other) {
      const bool on_its_own = signal == SIGKILL || other == 0;  // the launcher kills what stands still
      EXPECT_TRUE(!on_its_own || end_within({ranks_[other]}, milliseconds(3000))) << "nobody ends rank " << other;
    }
    kill(launcher(), SIGCONT);
    const Outcome outcome = server_.program().wait(std::chrono::seconds(4));
    EXPECT_NE(outcome.exit_code, 0);
    const std::string name = "rank " + std::to_string(rank) + " (process " + std::to_string(ranks_[rank]) + " on h1)";
    EXPECT_NE(outcome.err.find(name + how + ", and with it the job"), std::string::npos) << outcome.err;
  }

  pid_t launcher() { return server_.program().pid(); }

  Server server_;
  HttpConnection client_;
  std::vector<pid_t> ranks_;
};

TEST_F(Hosts, ARankOfAnotherHostIsLost) {
  expect_loss(2, SIGKILL, " was lost", milliseconds(1000));
}

TEST_F(Hosts, TheFirstRankOfAnotherHostIsLost) {
  expect_loss(1, SIGKILL, " was lost", milliseconds(1000));
}

TEST_F(Hosts, ARankOfAnotherHostIsStopped) {
  expect_loss(2, SIGSTOP, " was stopped", milliseconds(2000));
}

TEST_F(Hosts, AnotherHostIsSilent) {
  expect_loss(1, SIGSTOP, " is silent (stopped, or cut off by the network)", milliseconds(3000));
}

// As where the network has cut off a host: it waits for that one for ever.
TEST_F(Hosts, ALauncherThatHangsBehindASilentHostIsKilled) {
  blind_launcher();
  kill(ranks_[1], SIGSTOP);
  const Outcome outcome = server_.program().wait(std::chrono::seconds(6));
  EXPECT_EQ(outcome.exit_code, 128 + SIGKILL);
  kill(ranks_[1], SIGKILL);  // that host ends by itself
}

TEST_F(Hosts, NoRankOutlivesTheLeader) {
  blind_launcher();
  kill(ranks_[0], SIGKILL);
  EXPECT_TRUE(end_within({ranks_[1]}, milliseconds(3000)));
  EXPECT_TRUE(end_within({ranks_[2]}, milliseconds(1000)));
  kill(launcher(), SIGCONT);
  EXPECT_NE(server_.program().wait(std::chrono::seconds(4)).exit_code, 0);
}

TEST_F(Hosts, NoRankOutlivesALeaderThatStandsStill) {
  blind_launcher();
  kill(ranks_[0], SIGSTOP);
  EXPECT_TRUE(end_within({ranks_[1]}, milliseconds(4500)));
  EXPECT_TRUE(end_within({ranks_[2]}, milliseconds(1000)));
  kill(launcher(), SIGCONT);
  const Outcome outcome = server_.program().wait(std::chrono::seconds(4));
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_NE(outcome.err.find("rank 0 (process " + std::to_string(ranks_[0]) + " on h0) is silent"), std::string::npos)
      << outcome.err;
}

TEST_F(Hosts, ALauncherThatEndsTheJobLosesNoRank) {
  kill(launcher(), SIGTERM);
  const Outcome outcome = server_.program().wait(std::chrono::seconds(6));
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_EQ(outcome.err.find(" on h"), std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.err.find("no connection"), std::string::npos) << outcome.err;
}

// As where the launcher ends the ranks of rank 0's host first.
TEST_F(Hosts, ALeaderThatIsToldToEndIsNotLost) {
  blind_launcher();
  kill(ranks_[0], SIGTERM);
  EXPECT_TRUE(end_within({ranks_[1]}, milliseconds(3000)));
  kill(launcher(), SIGCONT);
  const Outcome outcome = server_.program().wait(std::chrono::seconds(4));
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_EQ(outcome.err.find(" on h0"), std::string::npos) << outcome.err;
}

struct Lost {
  int ranks;
  std::size_t rank;
  int signal;
  const char* said;  ///< Null: by the launcher, if at all.
};

void PrintTo(const Lost& lost, std::ostream* out) {
  *out << "rank " << lost.rank << " of " << lost.ranks << (lost.signal == SIGKILL ? " killed" : " stopped");
}

class HostsOfALauncher : public testing::TestWithParam<Lost> {};

// With the grace that mpirun gives by itself: a second before SIGTERM, and one more before SIGKILL.
TEST_P(HostsOfALauncher, EndWithinFourSeconds) {
  const Lost& lost = GetParam();
  std::vector<std::string> start = on_two_hosts({}, lost.ranks);
  start.insert(start.begin(), {"env", "OMPI_MCA_odls_base_sigkill_timeout=1"});
  Server server({}, start);
  HttpConnection client(server.port());
  client.send(http_text("POST", "/v1/completions",
                        R"({"prompt":"a","max_tokens":16000,"ignore_eos":true,"temperature":1,"stream":true})"));
  EXPECT_TRUE(server.wait_for_metric("longship:num_requests_running", 1));
  const std::vector<pid_t> ranks = ranks_of(server.program().pid(), static_cast<std::size_t>(lost.ranks));
  ASSERT_EQ(ranks.size(), static_cast<std::size_t>(lost.ranks));
  std::this_thread::sleep_for(milliseconds(500));  // hosts have connected
  const auto began = Clock::now();
  kill(ranks[lost.rank], lost.signal);
  const Outcome outcome = server.program().wait(std::chrono::seconds(10));
  const auto left = std::chrono::duration_cast<milliseconds>(began + std::chrono::seconds(4) - Clock::now());
  EXPECT_GT(left.count(), 0);
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_TRUE(end_within(ranks, left));
  const bool answers = lost.rank != 0 || lost.ranks == 2;  // what stood still is waked to end
  const std::vector<std::string> events = events_of(client.reply().body);
  ASSERT_FALSE(events.empty());
  EXPECT_TRUE(!(answers && lost.signal == SIGSTOP) || at(parse(events.back()), {"error", "message"}).is_string())
      << events.back();
  const std::string mark = ", and with it the job";
  const auto place = outcome.err.find(mark);
  EXPECT_EQ(place == std::string::npos, lost.said == nullptr) << outcome.err;
  if (place == std::string::npos || lost.said == nullptr) return;
  EXPECT_EQ(outcome.err.find(mark, place + 1), std::string::npos) << "said twice: " << outcome.err;
  const std::string name = "rank " + std::to_string(lost.rank) + " (process " + std::to_string(ranks[lost.rank]);
  const auto named = outcome.err.find(name);
  EXPECT_LT(named, place) << outcome.err;
  EXPECT_LT(outcome.err.find(lost.said, named), place + mark.size()) << outcome.err;
}

INSTANTIATE_TEST_SUITE_P(Faults, HostsOfALauncher,
                         testing::Values(Lost{2, 0, SIGSTOP, " is silent"}, Lost{2, 1, SIGSTOP, " is silent"},
                                         Lost{3, 1, SIGSTOP, " is silent"}, Lost{3, 2, SIGSTOP, " was stopped"},
                                         Lost{3, 2, SIGKILL, " was lost"}, Lost{3, 1, SIGKILL, " was lost"},
                                         Lost{3, 0, SIGKILL, nullptr}));

TEST(HostsOfARun, EndInOrder) {
  const Outcome outcome = run(on_two_hosts({"run", served_model(), "--raw", "--greedy", "-p", "The ship", "-n", "64"}));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.err.find("lost"), std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.err.find("no connection"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace longship
