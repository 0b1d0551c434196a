#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>

#include "comm/transport.h"
#include "tests/comm/values.h"

namespace longship::conformance {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

// What a rank may be waiting in when another one fails.
struct Wait {
  const char* name;
  void (*enter)(Transport&, Communicator&, Stream&);
};

const Wait kWaits[] = {
    {"tree_reduce",
     [](Transport&, Communicator& group, Stream& stream) {
       const ReductionTree tree(4, {0, 1, 2, 3, 4});
       Tensor out = Tensor::allocate(DType::kF32, {1, 64});
       group.tree_reduce(Tensor::allocate(DType::kF32, {1, 1, 64}), tree, out, stream);
     }},
    {"tree_reduce of a large tensor",
     [](Transport&, Communicator& group, Stream& stream) {
       const ReductionTree tree(4, {0, 1, 2, 3, 4});
       Tensor out = Tensor::allocate(DType::kF32, {512, 640});
       group.tree_reduce(Tensor::allocate(DType::kF32, {1, 512, 640}), tree, out, stream);
     }},
    {"all_reduce",
     [](Transport&, Communicator& group, Stream& stream) {
       Tensor x = Tensor::allocate(DType::kF32, {64});
       group.all_reduce(x, stream);
     }},
    {"recv",
     [](Transport&, Communicator& group, Stream& stream) {
       Tensor x = Tensor::allocate(DType::kF32, {64});
       group.recv(x, 1, stream);
     }},
    {"receive",
     [](Transport& transport, Communicator& group, Stream& stream) {
       if (transport.rank() != 0) {
         transport.control().receive(Clock::now() + seconds(100));
         throw std::logic_error("receive returned a frame that nobody sent, or waited");
       }
       Tensor x = Tensor::allocate(DType::kF32, {64});
       group.recv(x, 1, stream);
     }},
    {"agree", [](Transport& transport, Communicator&, Stream&) { transport.control().agree(nullptr, "load"); }},
    {"split", [](Transport& transport, Communicator&, Stream&) { transport.split(0, 0); }},
};

TEST(ThreadRanks, ARankThatThrowsEndsEveryWaitOfTheOthers) {
  for (const Wait& wait : kWaits) {
    std::atomic<int> ended = 0;
    const auto start = Clock::now();
    try {
      run_thread_ranks(4, [&](Transport& transport) {
        const auto group = transport.split(0, transport.rank());
        Stream stream;
        if (transport.rank() == 1) {
          std::this_thread::sleep_for(milliseconds(20));
          throw Error(ErrorKind::kModelFile, "the file ends early");
        }
        try {
          wait.enter(transport, *group, stream);
        } catch (const Error& error) {
          ended += error.kind() == ErrorKind::kRank ? 1 : 0;
          throw;
        }
      });
      ADD_FAILURE() << wait.name << ": the failure was lost";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kModelFile) << wait.name << ": " << error.what();
      EXPECT_EQ(error.cause(), "the file ends early") << wait.name;
    }
    EXPECT_EQ(ended, 3) << wait.name;
    EXPECT_LT(Clock::now() - start, seconds(5)) << wait.name;
  }
}

TEST(ThreadRanks, AnyExceptionIsThrownAgain) {
  EXPECT_THROW(run_thread_ranks(3,
                                [](Transport& transport) {
                                  if (transport.rank() == 2) throw std::out_of_range("somewhere");
                                  transport.control().agree(nullptr, "load");
                                }),
               std::out_of_range);
}

TEST(ThreadRanks, AWaitBeyondTheDeadlineNamesTheOperationAndThePeer) {
  try {
    run_thread_ranks(3,
                     [](Transport& transport) {
                       const auto group = transport.split(0, transport.rank());
                       Stream stream;
                       if (transport.rank() == 0) {
                         Tensor x = Tensor::allocate(DType::kF32, {1});
                         group->recv(x, 2, stream);
                       } else {
                         std::this_thread::sleep_for(milliseconds(400));
                       }
                     },
                     {.deadline = milliseconds(100)});
    ADD_FAILURE() << "the wait ended";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kRank);
    EXPECT_NE(error.cause().find("recv from rank 2"), std::string::npos) << error.cause();
    EXPECT_FALSE(error.remedy().empty());
  }
}

TEST(ThreadRanks, ACollectiveBeyondTheDeadlineNamesTheOperation) {
  for (const int64_t count : {8, 1 << 18}) {
    try {
      run_thread_ranks(
          3,
          [count](Transport& transport) {
            const auto group = transport.split(0, transport.rank());
            Stream stream;
            if (transport.rank() == 2) {
              std::this_thread::sleep_for(milliseconds(400));
              return;
            }
            Tensor out = Tensor::allocate(DType::kF32, {count});
            group->tree_reduce(Tensor::allocate(DType::kF32, {1, count}), ReductionTree(3, {0, 1, 2, 3}), out, stream);
          },
          {.deadline = milliseconds(100)});
      ADD_FAILURE() << "the wait ended";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kRank);
      EXPECT_NE(error.cause().find("tree_reduce"), std::string::npos) << error.cause();
    }
  }
}

TEST(ThreadRanks, AbortEndsTheJob) {
  const auto start = Clock::now();
  EXPECT_THROW(run_thread_ranks(3,
                                [](Transport& transport) {
                                  if (transport.rank() == 2) {
                                    transport.abort(5);
                                    return;
                                  }
                                  transport.control().agree(nullptr, "load");
                                }),
               Error);
  EXPECT_LT(Clock::now() - start, seconds(5));
}

TEST(ThreadRanks, TheLeadersEndIsNoticedByWhoWaitsForAFrame) {
  try {
    run_thread_ranks(3, [](Transport& transport) {
      if (transport.rank() == 0) {
        transport.control().publish(Bytes(3));
        return;
      }
      EXPECT_TRUE(transport.control().receive(Clock::now() + seconds(20)).has_value());
      transport.control().receive(Clock::now() + seconds(20));
      ADD_FAILURE() << "there is no second frame";
    });
    ADD_FAILURE() << "the leader's end was not noticed";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kRank);
    EXPECT_NE(error.cause().find("leader"), std::string::npos) << error.cause();
  }
}

TEST(ThreadRanks, TheNameOfEachTransportIsItsOwn) {
  EXPECT_EQ(make_self_transport()->name(), "self");
  run_thread_ranks(2, [](Transport& transport) { EXPECT_EQ(transport.name(), "threads"); });
}

}  // namespace
}  // namespace longship::conformance
