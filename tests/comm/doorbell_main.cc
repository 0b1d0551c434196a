#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <thread>

#include "comm/doorbell.h"
#include "comm/transport.h"
#include "tests/comm/rank_tests.h"

// How ranks sleep while they wait for frames, on two ranks: of one host, or of two with the argument "apart".

namespace longship::conformance {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

Transport* the_transport = nullptr;
bool apart = false;

int64_t sleeps_of_this_thread() {
  rusage use = {};
  getrusage(RUSAGE_THREAD, &use);
  return use.ru_nvcsw;
}

Bytes frame_of_now() {
  const int64_t now = Clock::now().time_since_epoch().count();
  Bytes frame(sizeof now);
  std::memcpy(frame.data(), &now, sizeof now);
  return frame;
}

Clock::duration since(const Bytes& frame) {
  int64_t then = 0;
  std::memcpy(&then, frame.data(), sizeof then);
  return Clock::now().time_since_epoch() - Clock::duration(then);
}

// Naps of 2.5 ms would be more than 700, after those that grow up to that length.
TEST(Doorbell, AnIdleRankSleepsLong) {
  ControlChannel& control = the_transport->control();
  control.agree(nullptr, "start of the test");
  if (!the_transport->leads()) {
    control.expect_wakes(true);
    const int64_t before = sleeps_of_this_thread();
    EXPECT_FALSE(control.receive(Clock::now() + seconds(2)).has_value());
    EXPECT_LT(sleeps_of_this_thread() - before, 400);
  }
  control.agree(nullptr, "end of the test");
}

// After so long a wait a rank looks every 90 ms by itself: it would be so early once in 19 rounds.
TEST(Doorbell, AFrameWakesAtOnce) {
  if (apart) {
    GTEST_SKIP() << "nobody rings on another host";
  }
  ControlChannel& control = the_transport->control();
  int early = 0;
  for (int round = 0; round < 7; ++round) {
    control.agree(nullptr, "start of a round");
    if (the_transport->leads()) {
      std::this_thread::sleep_for(milliseconds(1500));
      control.publish(frame_of_now());
    } else if (const auto frame = control.receive(Clock::now() + seconds(20))) {
      early += since(*frame) < milliseconds(5) ? 1 : 0;
    } else {
      ADD_FAILURE() << "no frame";
    }
  }
  EXPECT_TRUE(the_transport->leads() || early >= 3) << early;
}

TEST(Doorbell, AFrameIsFoundThoughNobodyRings) {
  if (!apart) {
    GTEST_SKIP() << "the leader rings";
  }
  ControlChannel& control = the_transport->control();
  control.agree(nullptr, "start of the test");
  if (the_transport->leads()) {
    std::this_thread::sleep_for(milliseconds(500));
    control.publish(frame_of_now());
  } else {
    control.expect_wakes(true);
    const auto frame = control.receive(Clock::now() + seconds(20));
    ASSERT_TRUE(frame.has_value());
    EXPECT_LT(since(*frame), seconds(2));
  }
  control.agree(nullptr, "end of the test");
}

// A doorbell of both ranks.
class Bell {
 public:
  Bell() : port_(job_, nullptr, 0, the_transport->rank()), bell_(longship::Doorbell::make(port_)) {}

  longship::Doorbell* operator->() const { return bell_.get(); }
  explicit operator bool() const { return bell_ != nullptr; }

 private:
  MpiJob job_{seconds(60)};
  MpiPort port_;
  std::unique_ptr<longship::Doorbell> bell_;
};

TEST(Doorbell, ARingEndsASleep) {
  const Bell bell;
  ASSERT_TRUE(bell);
  const uint32_t rings = bell->rings();
  the_transport->control().agree(nullptr, "start of the test");
  if (the_transport->leads()) {
    std::this_thread::sleep_for(milliseconds(300));
    bell->ring();
  } else {
    const auto before = Clock::now();
    bell->sleep(rings, seconds(20));
    EXPECT_LT(Clock::now() - before, seconds(15));
  }
  the_transport->control().agree(nullptr, "end of the test");
  EXPECT_EQ(bell->rings(), rings + 1);
}

TEST(Doorbell, ARingBeforeTheSleepIsNotLost) {
  const Bell bell;
  ASSERT_TRUE(bell);
  const uint32_t rings = bell->rings();
  the_transport->control().agree(nullptr, "start of the test");
  if (the_transport->leads()) {
    bell->ring();
  }
  the_transport->control().agree(nullptr, "rung");
  const auto before = Clock::now();
  bell->sleep(rings, seconds(20));
  EXPECT_LT(Clock::now() - before, seconds(15));
  the_transport->control().agree(nullptr, "end of the test");
}

TEST(Doorbell, ASleepThatNothingEndsLasts) {
  const Bell bell;
  ASSERT_TRUE(bell);
  const auto before = Clock::now();
  bell->sleep(bell->rings(), milliseconds(100));
  EXPECT_GE(Clock::now() - before, milliseconds(100));
  bell->sleep(bell->rings(), milliseconds(-1));
  the_transport->control().agree(nullptr, "end of the test");
}

TEST(Doorbell, WhetherItAnnouncesIsKnownToAll) {
  const Bell bell;
  ASSERT_TRUE(bell);
  EXPECT_FALSE(bell->announces());
  the_transport->control().agree(nullptr, "start of the test");
  if (the_transport->leads()) {
    bell->set_announces(true);
  }
  the_transport->control().agree(nullptr, "set");
  EXPECT_TRUE(bell->announces());
  the_transport->control().agree(nullptr, "end of the test");
}

TEST(Doorbell, TheLeaderHasRanksOfOtherHostsWokenIfTheyMaySleep) {
  ControlChannel& control = the_transport->control();
  control.agree(nullptr, "start of the test");
  if (the_transport->leads()) {
    int calls = 0;
    control.wake_others_by([&] { ++calls; });
    for (int i = 1; i <= 3; ++i) {
      std::this_thread::sleep_for(milliseconds(30));
      control.publish(frame_of_now());
      EXPECT_EQ(calls, i);
    }
    const auto before = Clock::now();
    for (int i = 0; i < 20; ++i) {
      control.publish(frame_of_now());
    }
    EXPECT_TRUE(calls == 3 || Clock::now() - before > milliseconds(10)) << calls;
    control.wake_others_by(nullptr);
  }
  for (int i = 0; i < 23 && !the_transport->leads(); ++i) {
    EXPECT_TRUE(control.receive(Clock::now() + seconds(20)).has_value());
  }
  control.agree(nullptr, "end of the test");
}

}  // namespace
}  // namespace longship::conformance

int main(int argc, char** argv) {
  using namespace longship;
  testing::InitGoogleTest(&argc, argv);
  conformance::apart = argc > 1 && std::strcmp(argv[1], "apart") == 0;
  try {
    const auto transport =
        make_mpi_transport({.deadline = std::chrono::seconds(60), .ranks_per_host = conformance::apart ? 1 : 0});
    conformance::the_transport = transport.get();
    return conformance::run_tests_as_rank(*transport);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
