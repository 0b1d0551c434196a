#include <ctime>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "tests/comm/conformance.h"
#include "tests/comm/values.h"

namespace longship::conformance {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

Bytes frame_of(uint64_t number, std::size_t size) {
  Bytes frame(size);
  for (std::size_t i = 0; i < size; ++i) {
    frame[i] = static_cast<std::byte>(mix(number, i / 512) + i);
  }
  return frame;
}

// Frames of a few bytes for the most part, now and then a large or an empty one.
std::size_t frame_size(uint64_t number) {
  if (number % 50 == 7) {
    return 700001;
  }
  return number % 11 == 3 ? 0 : 1 + mix(number, 3) % 5000;
}

void expect_frame(ControlChannel& control, const Bytes& expected, uint64_t number) {
  const std::optional<Bytes> frame = control.receive(Clock::now() + std::chrono::seconds(20));
  ASSERT_TRUE(frame.has_value()) << "frame " << number << " did not come";
  EXPECT_TRUE(*frame == expected) << "frame " << number << " has " << frame->size() << " bytes";
}

std::optional<Error> agree_with(Transport& transport, const Error* failure) {
  try {
    transport.control().agree(failure, "load");
  } catch (const Error& error) {
    return error;
  }
  return std::nullopt;
}

double thread_cpu_seconds() {
  timespec now = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

TEST_P(Conformance, FramesArriveInOrderAtEveryFollower) {
  run([](Transport& transport) {
    for (uint64_t number = 0; number < 300; ++number) {
      if (transport.rank() == 0) {
        transport.control().publish(frame_of(number, frame_size(number)));
      } else {
        expect_frame(transport.control(), frame_of(number, frame_size(number)), number);
      }
    }
    transport.control().agree(nullptr, "end of the test");
  });
}

// Plans are published ahead while followers still wait in the collectives of an earlier one.
TEST_P(Conformance, PublishingDoesNotWaitForFollowers) {
  run([](Transport& transport) {
    const auto group = transport.split(0, transport.rank());
    Stream stream;
    Tensor x = filled({576}, 1, whole_value);
    for (uint64_t round = 0; round < 5; ++round) {
      if (transport.rank() == 0) {
        for (uint64_t i = 0; i < 12; ++i) {
          transport.control().publish(frame_of(12 * round + i, 20000));
        }
      }
      group->all_reduce(x, stream);
      group->broadcast(x, 0, stream);
      for (uint64_t i = 0; i < 12 && transport.rank() != 0; ++i) {
        expect_frame(transport.control(), frame_of(12 * round + i, 20000), i);
      }
    }
  });
}

TEST_P(Conformance, TheLeaderHearsWhatOthersTell) {
  run([](Transport& transport) {
    constexpr int kEach = 20;
    ControlChannel& control = transport.control();
    EXPECT_FALSE(transport.leads() && transport.size() == 1 && control.heard().has_value());
    for (uint64_t i = 0; i < kEach && !transport.leads(); ++i) {
      Bytes frame = frame_of(i, 200);
      frame[0] = static_cast<std::byte>(transport.rank());
      control.tell(std::move(frame));
    }
    std::vector<uint64_t> next(static_cast<std::size_t>(transport.size()), 0);
    const auto deadline = Clock::now() + std::chrono::seconds(20);
    for (int left = transport.leads() ? kEach * (transport.size() - 1) : 0; left > 0 && Clock::now() < deadline;) {
      if (const std::optional<Bytes> frame = control.heard()) {
        Bytes expected = frame_of(next[static_cast<std::size_t>(frame->at(0))]++, 200);
        expected[0] = frame->at(0);
        EXPECT_EQ(*frame, expected);
        --left;
      }
    }
    if (transport.leads()) {
      EXPECT_EQ(next, [&] {
        std::vector<uint64_t> all(next.size(), kEach);
        all[0] = 0;
        return all;
      }());
      EXPECT_FALSE(control.heard().has_value());
    }
    control.agree(nullptr, "end of the test");
  });
}

TEST_P(Conformance, ReceiveGivesUpAtItsDeadlineAndThenGoesOn) {
  run([](Transport& transport) {
    if (transport.rank() != 0) {
      const auto start = Clock::now();
      EXPECT_FALSE(transport.control().receive(start + milliseconds(50)).has_value());
      EXPECT_GE(Clock::now() - start, milliseconds(50));
      EXPECT_LT(Clock::now() - start, milliseconds(2000));
    }
    transport.control().agree(nullptr, "the idle wait");
    if (transport.rank() == 0) {
      transport.control().publish(frame_of(1, 10));
    } else {
      expect_frame(transport.control(), frame_of(1, 10), 1);
    }
    transport.control().agree(nullptr, "end of the test");
  });
}

TEST_P(Conformance, AnIdleFollowerBurnsNoCore) {
  run([](Transport& transport) {
    transport.control().agree(nullptr, "start of the test");
    if (transport.rank() != 0) {
      const double before = thread_cpu_seconds();
      EXPECT_FALSE(transport.control().receive(Clock::now() + milliseconds(1000)).has_value());
      EXPECT_LT(thread_cpu_seconds() - before, 0.1);
    }
    transport.control().agree(nullptr, "end of the test");
  });
}

TEST_P(Conformance, AgreementOfAllLetsEveryoneGoOn) {
  run([](Transport& transport) {
    for (int i = 0; i < 20; ++i) {
      EXPECT_FALSE(agree_with(transport, nullptr).has_value());
    }
  });
}

TEST_P(Conformance, EveryoneThrowsTheFailureOfTheOneThatFailed) {
  run([](Transport& transport) {
    for (int failing = 0; failing < transport.size(); ++failing) {
      const Error failure(ErrorKind::kDoesNotFit, "the weights need 9 GiB of " + std::to_string(failing),
                          "Use more ranks.");
      const auto error = agree_with(transport, transport.rank() == failing ? &failure : nullptr);
      ASSERT_TRUE(error.has_value());
      EXPECT_EQ(error->kind(), ErrorKind::kDoesNotFit);
      EXPECT_EQ(error->remedy(), "Use more ranks.");
      const std::string prefix = transport.size() == 1 ? "" : "rank " + std::to_string(failing) + ": ";
      EXPECT_EQ(error->cause(), prefix + failure.cause());
    }
    EXPECT_FALSE(agree_with(transport, nullptr).has_value()) << "a failed agreement leaves the channel usable";
  });
}

TEST_P(Conformance, TheLowestFailingRankIsHeard) {
  run([](Transport& transport) {
    if (transport.size() < 3) {
      return;
    }
    const Error failure(transport.rank() == 1 ? ErrorKind::kModelFile : ErrorKind::kUsage,
                        "cause " + std::to_string(transport.rank()), "remedy " + std::to_string(transport.rank()));
    const auto error = agree_with(transport, transport.rank() >= 1 ? &failure : nullptr);
    ASSERT_TRUE(error.has_value());
    EXPECT_EQ(error->kind(), ErrorKind::kModelFile);
    EXPECT_EQ(error->cause(), "rank 1: cause 1");
    EXPECT_EQ(error->remedy(), "remedy 1");
  });
}

TEST_P(Conformance, AFailureOfAllAlikeNamesNoRank) {
  run([](Transport& transport) {
    const Error failure(ErrorKind::kUsage, "there is no such model");
    const auto error = agree_with(transport, &failure);
    ASSERT_TRUE(error.has_value());
    EXPECT_EQ(error->kind(), ErrorKind::kUsage);
    EXPECT_EQ(error->cause(), "there is no such model");
    EXPECT_EQ(error->remedy(), "");
  });
}

TEST_P(Conformance, FramesPublishedBeforeAnAgreementAreReadAfterIt) {
  run([](Transport& transport) {
    if (transport.rank() == 0) {
      transport.control().publish(frame_of(1, 100));
      transport.control().publish(frame_of(2, 0));
    }
    transport.control().agree(nullptr, "between");
    if (transport.rank() != 0) {
      expect_frame(transport.control(), frame_of(1, 100), 1);
      expect_frame(transport.control(), frame_of(2, 0), 2);
    }
    transport.control().agree(nullptr, "end of the test");
  });
}

}  // namespace
}  // namespace longship::conformance
