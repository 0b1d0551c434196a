#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "comm/tree_sum.h"
#include "tests/comm/device_memory.h"
#include "tests/comm/device_transport.h"
#include "tests/comm/values.h"

// That operations on devices keep the order of their stream without anyone waiting between them, and that a graph of
// them can be run again and again.

namespace longship::conformance {
namespace {

constexpr std::chrono::seconds kDeadline(60);

ReductionTree tree_of(int ranks) {
  std::vector<int32_t> bounds;
  for (int rank = 0; rank <= ranks; ++rank) {
    bounds.push_back(9 * rank / ranks);
  }
  return ReductionTree(9, bounds);
}

Tensor nodes_of(const ReductionTree& tree, int rank, int64_t count, uint64_t seed) {
  return filled({tree.node_count(rank), count}, mix(seed, static_cast<uint64_t>(rank)), wide_value);
}

Tensor root_of(const ReductionTree& tree, int64_t count, uint64_t seed) {
  std::vector<Tensor> nodes;
  std::vector<const float*> addends;
  for (int rank = 0; rank < tree.ranks(); ++rank) {
    nodes.push_back(nodes_of(tree, rank, count, seed));
    for (int node = 0; node < tree.node_count(rank); ++node) {
      addends.push_back(nodes.back().data<float>() + node * count);
    }
  }
  Tensor root = Tensor::allocate(DType::kF32, {count});
  TreeSum().add(tree, addends, count, root.data<float>());
  return root;
}

class DeviceOrder : public testing::TestWithParam<std::tuple<std::string, int>> {
 protected:
  template <class Body>
  void run(const Body& body) {
    const auto& [wire, ranks] = GetParam();
    const auto with_group = [&, wire = device_wire_of(wire)](Transport& host) {
      // The stream outlives what is put on it.
      DeviceStream stream;
      const auto group = device_group(host, wire, kDeadline);
      body(*group, stream);
    };
    run_thread_ranks(ranks, with_group, {.deadline = kDeadline});
  }
};

// Small ones take another way than large ones, which have other numbers of blocks.
TEST_P(DeviceOrder, ReductionsFollowEachOtherWithoutAWait) {
  run([](Communicator& group, DeviceStream& stream) {
    const ReductionTree tree = tree_of(group.size());
    const std::vector<int64_t> counts = {5, 70001, 576, 4096, 30000, 1, 70001, 33};
    std::vector<Tensor> nodes;
    std::vector<Tensor> outs;
    for (uint64_t i = 0; i < 3 * counts.size(); ++i) {
      const int64_t count = counts[i % counts.size()];
      nodes.push_back(to_device(nodes_of(tree, group.rank(), count, i), stream));
      outs.push_back(device_tensor(DType::kF32, {count}));
      group.tree_reduce(nodes.back(), tree, outs.back(), stream);
    }
    for (uint64_t i = 0; i < outs.size(); ++i) {
      Tensor out = Tensor::allocate(DType::kF32, outs[i].shape());
      to_host(outs[i], out, stream);
      EXPECT_EQ(differing_bits(out, root_of(tree, out.elements(), i)), 0) << "reduction " << i;
    }
  });
}

// The output of one is the input of the next, and memory is used again at once.
TEST_P(DeviceOrder, AReductionReadsWhatTheStreamHasWrittenBefore) {
  run([](Communicator& group, DeviceStream& stream) {
    Tensor x = to_device(filled({1000}, 1, whole_value), stream);
    Tensor expected = filled({1000}, 1, whole_value);
    for (int round = 0; round < 4; ++round) {
      group.all_reduce(x, stream);
      for (float& value : expected.values<float>()) {
        value *= static_cast<float>(group.size());
      }
    }
    Tensor out = Tensor::allocate(DType::kF32, {1000});
    to_host(x, out, stream);
    EXPECT_EQ(differing_bits(out, expected), 0);
  });
}

TEST_P(DeviceOrder, AGraphOfReductionsRunsManyTimes) {
  run([](Communicator& group, DeviceStream& stream) {
    const cuda::Api& api = cuda::api();
    const ReductionTree tree = tree_of(group.size());
    const int64_t count = 40000;
    Tensor nodes = device_tensor(DType::kF32, {tree.node_count(group.rank()), count});
    Tensor out = device_tensor(DType::kF32, {count});
    const auto set = [&](uint64_t seed) {
      const Tensor values = nodes_of(tree, group.rank(), count, seed);
      copy(values.data<void>(), nodes.data<void>(), nodes.bytes(), cuda::CopyKind::kHostToDevice, stream);
    };
    set(0);
    group.tree_reduce(nodes, tree, out, stream);  // what grows has grown before the graph is made
    stream.synchronise();
    cuda::GraphHandle graph = nullptr;
    cuda::GraphExecHandle exec = nullptr;
    ASSERT_EQ(api.stream_begin_capture(stream.handle()), cuda::kSuccess);
    group.tree_reduce(nodes, tree, out, stream);
    ASSERT_EQ(api.stream_end_capture(stream.handle(), &graph), cuda::kSuccess);
    ASSERT_EQ(api.graph_instantiate(&exec, graph), cuda::kSuccess);
    const int64_t large = 20 * count;
    const Tensor many = to_device(nodes_of(tree, group.rank(), large, 0), stream);
    Tensor large_out = device_tensor(DType::kF32, {large});
    for (uint64_t seed = 1; seed < 6; ++seed) {
      set(seed);
      if (seed == 3) {  // what the group keeps grows while the graph knows it
        group.tree_reduce(many, tree, large_out, stream);
      }
      ASSERT_EQ(api.graph_launch(exec, stream.handle()), cuda::kSuccess);
      Tensor result = Tensor::allocate(DType::kF32, {count});
      to_host(out, result, stream);
      EXPECT_EQ(differing_bits(result, root_of(tree, count, seed)), 0) << "run " << seed;
    }
    api.graph_exec_destroy(exec);
    api.graph_destroy(graph);
  });
}

// Parts of several sizes, one of them none.
TEST_P(DeviceOrder, GathersFollowEachOtherAndCanBeRecorded) {
  run([](Communicator& group, DeviceStream& stream) {
    const cuda::Api& api = cuda::api();
    EXPECT_TRUE(group.gathers_recordably());
    const int64_t ranks = group.size();
    const auto value_of = [](int64_t rank, int64_t i) { return static_cast<int32_t>(1 + rank * 1000003 + i); };
    for (const int64_t size : {int64_t{1}, int64_t{700}, int64_t{400001}}) {
      for (const bool equal : {true, false}) {
        std::vector<int64_t> counts;
        for (int64_t rank = 0; rank < ranks; ++rank) {
          counts.push_back(equal ? size : size * rank);
        }
        Tensor part = Tensor::allocate(DType::kI32, {counts[static_cast<std::size_t>(group.rank())]});
        for (int64_t i = 0; i < part.elements(); ++i) {
          part.data<int32_t>()[i] = value_of(group.rank(), i);
        }
        const Tensor mine = to_device(part, stream);
        Tensor out = device_tensor(DType::kI32, {std::accumulate(counts.begin(), counts.end(), int64_t{0})});
        group.all_gather(mine, counts, out, stream);
        group.all_gather(mine, counts, out, stream);
        cuda::GraphHandle graph = nullptr;
        cuda::GraphExecHandle exec = nullptr;
        ASSERT_EQ(api.stream_begin_capture(stream.handle()), cuda::kSuccess);
        group.all_gather(mine, counts, out, stream);
        ASSERT_EQ(api.stream_end_capture(stream.handle(), &graph), cuda::kSuccess);
        ASSERT_EQ(api.graph_instantiate(&exec, graph), cuda::kSuccess);
        cuda::check(api.memset_async(out.data<void>(), 0, static_cast<std::size_t>(out.bytes()), stream.handle()),
                    "test");
        ASSERT_EQ(api.graph_launch(exec, stream.handle()), cuda::kSuccess);
        Tensor gathered = Tensor::allocate(DType::kI32, out.shape());
        to_host(out, gathered, stream);
        int64_t wrong = 0;
        const int32_t* next = gathered.data<int32_t>();
        for (int64_t rank = 0; rank < ranks; ++rank) {
          for (int64_t i = 0; i < counts[static_cast<std::size_t>(rank)]; ++i) {
            wrong += *next++ != value_of(rank, i) ? 1 : 0;
          }
        }
        EXPECT_EQ(wrong, 0) << size << (equal ? " each" : " and others");
        api.graph_exec_destroy(exec);
        api.graph_destroy(graph);
      }
    }
  });
}

// Messages of growing and of mixed sizes around the ring, each of which leaves from where the one before has come.
TEST_P(DeviceOrder, MessagesFollowEachOtherWithoutTheHost) {
  run([](Communicator& group, DeviceStream& stream) {
    EXPECT_TRUE(group.sends_on_device());
    const int next = (group.rank() + 1) % group.size();
    const int previous = (group.rank() + group.size() - 1) % group.size();
    const std::vector<int64_t> counts = {1, 4097, 33, 65536, 65537, 700001, 5, 70001, 1 << 20, 2, 65541};
    std::vector<Tensor> received;
    for (uint64_t i = 0; i < 3 * counts.size(); ++i) {
      const int64_t count = counts[i % counts.size()];
      Tensor x = to_device(filled({count}, mix(i, static_cast<uint64_t>(group.rank())), wide_value), stream);
      for (int step = 0; step < group.size(); ++step) {  // once around, through the same memory
        group.send(x, next, stream);
        group.recv(x, previous, stream);
      }
      received.push_back(x);
    }
    for (uint64_t i = 0; i < received.size(); ++i) {
      Tensor out = Tensor::allocate(DType::kF32, received[i].shape());
      to_host(received[i], out, stream);
      const Tensor own = filled(out.shape(), mix(i, static_cast<uint64_t>(group.rank())), wide_value);
      EXPECT_EQ(differing_bits(out, own), 0) << "message " << i;
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Threads, DeviceOrder, testing::Combine(testing::Values("ipc", "nccl"), testing::Values(2, 3)),
                         [](const auto& job) {
                           return std::get<0>(job.param) + "_ranks_" + std::to_string(std::get<1>(job.param));
                         });

}  // namespace
}  // namespace longship::conformance
