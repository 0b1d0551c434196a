#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "comm/cuda/nccl_comm.h"
#include "core/error.h"
#include "cuda/graph_keeper.h"
#include "tests/comm/device_memory.h"

// What the emulated NCCL finds out about its callers. That it moves the right data is tested in tests/comm.

namespace longship {
namespace {

using conformance::device_tensor;
using conformance::DeviceStream;
using std::chrono::milliseconds;
using std::chrono::seconds;

const NcclApi& nccl() {
  std::string why;
  return *find_nccl(why);
}

/// A rank of a group of two, on a thread of its own.
struct Rank {
  NcclComm& comm;
  DeviceStream& stream;
  Tensor x;

  void reduce(std::size_t count) {
    comm.call("all_reduce", [&] {
      return nccl().all_reduce(x.data<void>(), x.data<void>(), count, NcclType::kFloat32, NcclOp::kSum, comm.handle(),
                               stream.handle());
    });
  }
  void broadcast(std::size_t count, int root) {
    comm.call("broadcast", [&] {
      return nccl().broadcast(x.data<void>(), x.data<void>(), count, NcclType::kFloat32, root, comm.handle(),
                              stream.handle());
    });
  }
  void send(std::size_t count, int to) {
    comm.call("send", [&] {
      return nccl().send(x.data<void>(), count, NcclType::kFloat32, to, comm.handle(), stream.handle());
    });
  }
  void recv(std::size_t count, int from) {
    comm.call("recv", [&] {
      return nccl().recv(x.data<void>(), count, NcclType::kFloat32, from, comm.handle(), stream.handle());
    });
  }
};

using Body = void (*)(Rank&);

void run_rank(const NcclUniqueId& id, int rank, Body body) {
  NcclComm comm(nccl(), id, rank, 2, seconds(20));
  DeviceStream stream;
  Tensor x = device_tensor(DType::kF32, {64});
  cuda::check(cuda::api().memset_async(x.data<void>(), 0, static_cast<std::size_t>(x.bytes()), stream.handle()),
              "test");
  Rank self{comm, stream, std::move(x)};
  body(self);
  stream.synchronise();
}

void run_both(Body first, Body second) {
  const NcclUniqueId id = new_nccl_id(nccl());
  std::jthread other([&] { run_rank(id, 1, second); });
  run_rank(id, 0, first);
}

class NcclEmulationDeathTest : public testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(NcclEmulationDeathTest, FindsDifferentOperations) {
  EXPECT_DEATH(
      run_both([](Rank& rank) { rank.reduce(64); }, [](Rank& rank) { rank.broadcast(64, 0); }),
      "ranks call different things: rank [01] (all_reduce of 64 f32|broadcast of 64 f32 from rank 0) as collective 0");
}

TEST_F(NcclEmulationDeathTest, FindsDifferentCounts) {
  EXPECT_DEATH(run_both([](Rank& rank) { rank.reduce(64); }, [](Rank& rank) { rank.reduce(32); }),
               "ranks call different things");
}

TEST_F(NcclEmulationDeathTest, FindsDifferentRoots) {
  EXPECT_DEATH(run_both([](Rank& rank) { rank.broadcast(64, 0); }, [](Rank& rank) { rank.broadcast(64, 1); }),
               "from rank [01].*from rank [01]");
}

TEST_F(NcclEmulationDeathTest, FindsAnotherOrder) {
  const Body one = [](Rank& rank) {
    rank.reduce(8);
    rank.broadcast(8, 0);
  };
  const Body other = [](Rank& rank) {
    rank.broadcast(8, 0);
    rank.reduce(8);
  };
  EXPECT_DEATH(run_both(one, other), "ranks call different things");
}

TEST_F(NcclEmulationDeathTest, FindsAMessageOfAnotherSizeThanExpected) {
  EXPECT_DEATH(run_both([](Rank& rank) { rank.send(16, 1); }, [](Rank& rank) { rank.recv(32, 0); }),
               "send and recv of 32 f32.*send and recv of 16 f32");
}

TEST_F(NcclEmulationDeathTest, FindsACollectiveWhereAMessageIsExpected) {
  const Body one = [](Rank& rank) {
    rank.send(16, 1);
    rank.reduce(16);
  };
  const Body other = [](Rank& rank) {
    rank.recv(16, 0);
    rank.recv(16, 0);
  };
  EXPECT_DEATH(run_both(one, other), "ranks call different things");
}

TEST_F(NcclEmulationDeathTest, FindsTwoRanksOfOneNumber) {
  const NcclUniqueId id = new_nccl_id(nccl());
  EXPECT_DEATH(
      {
        const std::jthread other([&] { run_rank(id, 0, [](Rank&) {}); });
        run_rank(id, 0, [](Rank&) {});
      },
      "one of the same number");
}

TEST_F(NcclEmulationDeathTest, FindsCommunicatorsThatBlock) {
  NcclHandle comm = nullptr;
  NcclConfig config;
  EXPECT_DEATH(nccl().comm_init_rank_config(&comm, 2, new_nccl_id(nccl()), 0, &config), "no deadline");
}

TEST_F(NcclEmulationDeathTest, FindsAGraphThatOutlivesItsCommunicator) {
  const Body records = [](Rank& rank) {
    cuda::GraphHandle graph = nullptr;
    cuda::GraphExecHandle exec = nullptr;
    cuda::check(cuda::api().stream_begin_capture(rank.stream.handle()), "test");
    rank.reduce(64);
    cuda::check(cuda::api().stream_end_capture(rank.stream.handle(), &graph), "test");
    cuda::check(cuda::api().graph_instantiate(&exec, graph), "test");
    cuda::check(cuda::api().graph_destroy(graph), "test");
  };
  EXPECT_DEATH(run_both(records, records), "ends while a graph of its operations is kept");
}

TEST(NcclEmulation, GraphsOfKeepersEndBeforeTheirCommunicators) {
  struct Keeper final : cuda::GraphKeeper {
    void release() override {
      if (exec != nullptr) {
        cuda::check(cuda::api().graph_exec_destroy(std::exchange(exec, nullptr)), "test");
      }
    }
    cuda::GraphExecHandle exec = nullptr;
  };
  const auto body = [](const NcclUniqueId& id, int number) {
    Keeper keeper;
    NcclComm comm(nccl(), id, number, 2, seconds(20));
    DeviceStream stream;
    Tensor x = device_tensor(DType::kF32, {64});
    Rank rank{comm, stream, x};
    cuda::check(cuda::api().memset_async(x.data<void>(), 0, 256, stream.handle()), "test");
    cuda::GraphHandle graph = nullptr;
    cuda::check(cuda::api().stream_begin_capture(stream.handle()), "test");
    rank.reduce(64);
    cuda::check(cuda::api().stream_end_capture(stream.handle(), &graph), "test");
    cuda::check(cuda::api().graph_instantiate(&keeper.exec, graph), "test");
    cuda::check(cuda::api().graph_destroy(graph), "test");
    cuda::check(cuda::api().graph_launch(keeper.exec, stream.handle()), "test");
    stream.synchronise();
    if (number == 0) {
      comm.abort();
    }
    return keeper.exec != nullptr;
  };
  const NcclUniqueId id = new_nccl_id(nccl());
  std::jthread other([&] { body(id, 1); });
  EXPECT_FALSE(body(id, 0)) << "an abort lets go of graphs first";
}

// Calls body(comm, rank) on ranks of one communicator.
template <class Body>
void run_group(int ranks, milliseconds deadline, const Body& body) {
  const NcclUniqueId id = new_nccl_id(nccl());
  std::vector<std::jthread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] {
      NcclComm comm(nccl(), id, rank, ranks, deadline);
      body(comm, rank);
    });
  }
}

// At which place the number comes where each rank gives its own.
int rank_in(NcclComm& comm, int world_rank) {
  DeviceStream stream;
  std::vector<float> all(16, -1);
  Tensor out = device_tensor(DType::kF32, {16});
  Tensor mine = device_tensor(DType::kF32, {1});
  const auto value = static_cast<float>(world_rank);
  const cuda::Api& api = cuda::api();
  cuda::check(api.memset_async(out.data<void>(), 0xBF, 64, stream.handle()), "test");
  cuda::check(api.memcpy_async(mine.data<void>(), &value, 4, cuda::CopyKind::kHostToDevice, stream.handle()), "test");
  comm.call("all_gather", [&] {
    return nccl().all_gather(mine.data<void>(), out.data<void>(), 1, NcclType::kFloat32, comm.handle(),
                             stream.handle());
  });
  cuda::check(api.memcpy_async(all.data(), out.data<void>(), 64, cuda::CopyKind::kDeviceToHost, stream.handle()),
              "test");
  stream.synchronise();
  return static_cast<int>(std::ranges::find(all, value) - all.begin());
}

TEST(NcclEmulation, SplitsByColorInTheOrderOfKeys) {
  run_group(5, seconds(20), [](NcclComm& comm, int rank) {
    // Of ranks 0, 2, 4, the last one first; of 1; none of 3.
    const int color = rank == 3 ? NcclApi::kNoColor : rank % 2;
    const std::unique_ptr<NcclComm> part = comm.split(color, rank == 4 ? -1 : 0);
    if (rank == 3) {
      EXPECT_EQ(part, nullptr);
    } else {
      ASSERT_NE(part, nullptr);
      constexpr int kExpected[] = {1, 0, 2, -1, 0};
      EXPECT_EQ(rank_in(*part, rank), kExpected[rank]) << "rank " << rank;
    }
    const std::unique_ptr<NcclComm> again = comm.split(0, -rank);
    EXPECT_EQ(rank_in(*again, rank), 4 - rank) << "rank " << rank;
  });
}

TEST(NcclEmulation, ASplitThatARankDoesNotCallEndsAtTheDeadline) {
  run_group(3, milliseconds(300), [](NcclComm& comm, int rank) {
    if (rank == 2) {
      std::this_thread::sleep_for(milliseconds(900));
      return;
    }
    EXPECT_THROW(comm.split(0, rank), Error);
  });
}

TEST_F(NcclEmulationDeathTest, FindsSplitsThatBlock) {
  EXPECT_DEATH(run_group(1, seconds(20),
                         [](NcclComm& comm, int) {
                           NcclHandle child = nullptr;
                           NcclConfig config;
                           nccl().comm_split(comm.handle(), 0, 0, &child, &config);
                         }),
               "no deadline");
}

TEST_F(NcclEmulationDeathTest, FindsUseOfACommunicatorThatIsBeingSplit) {
  EXPECT_DEATH(run_group(2, seconds(20),
                         [](NcclComm& comm, int rank) {
                           NcclHandle child = nullptr;
                           NcclConfig config;
                           config.blocking = 0;
                           if (rank == 0) {
                             nccl().comm_split(comm.handle(), 0, 0, &child, &config);
                             rank_in(comm, rank);
                           }
                           std::this_thread::sleep_for(seconds(2));
                         }),
               "not ready");
}

TEST(NcclEmulation, AGroupThatDoesNotMeetEndsAtTheDeadline) {
  try {
    const NcclComm comm(nccl(), new_nccl_id(nccl()), 0, 2, milliseconds(100));
    FAIL() << "nobody else came";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kRank);
    EXPECT_NE(error.cause().find("not ready after 100 ms"), std::string::npos) << error.cause();
  }
}

TEST(NcclEmulation, ARankThatLeavesIsNoticed) {
  const auto leaves = [](Rank&) {};
  const auto waits = [](Rank& rank) {
    rank.reduce(64);
    try {
      while (cuda::api().stream_query(rank.stream.handle()) == cuda::kNotReady) {
      }
      rank.comm.check("all_reduce");
      ADD_FAILURE() << "the other rank did not take part";
    } catch (const Error& error) {
      EXPECT_NE(error.cause().find("rank 1 is gone during all_reduce of 64 f32"), std::string::npos) << error.cause();
    }
  };
  run_both(waits, leaves);
}

}  // namespace
}  // namespace longship
