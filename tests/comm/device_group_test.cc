#include "comm/cuda/device_group.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "comm/cuda/tree_program.h"
#include "comm/tree_sum.h"
#include "core/error.h"
#include "tests/comm/device_memory.h"
#include "tests/comm/values.h"
#include "tests/cuda_emulator/nccl_version.h"

namespace longship::conformance {
namespace {

constexpr std::chrono::seconds kDeadline(60);

TEST(DeviceGroup, UsesTheMemoryOfDevicesWhereItCan) {
  run_thread_ranks(2, [](Transport& host) {
    EXPECT_EQ(make_device_group(DeviceWire::kAuto, host.split(0, host.rank()), kDeadline).name, "ipc");
  });
}

TEST(DeviceGroup, TakesTheWayThatIsAskedFor) {
  run_thread_ranks(2, [](Transport& host) {
    for (const char* name : {"host", "ipc", "nccl"}) {
      const NamedCommunicator made = make_device_group(device_wire_of(name), host.split(0, host.rank()), kDeadline);
      EXPECT_EQ(made.name, name);
      EXPECT_EQ(made.group->host().size(), 2);
    }
  });
}

TEST(DeviceGroup, OfOneCopiesOnTheDevice) {
  DeviceStream stream;
  const auto transport = make_self_transport();
  const NamedCommunicator made = make_device_group(DeviceWire::kNccl, transport->split(0, 0), kDeadline);
  EXPECT_EQ(made.name, "self");
  const Tensor nodes = filled({1, 100}, 1, wide_value);
  Tensor root = device_tensor(DType::kF32, {100});
  made.group->tree_reduce(to_device(nodes, stream), ReductionTree(), root, stream);
  Tensor out = Tensor::allocate(DType::kF32, {100});
  to_host(root, out, stream);
  EXPECT_EQ(differing_bits(out, nodes), 0);
}

int64_t free_memory() {
  std::size_t free_bytes = 0;
  std::size_t total_bytes = 0;
  cuda::check(cuda::api().memory_info(&free_bytes, &total_bytes), "a test");
  return static_cast<int64_t>(free_bytes);
}

// Messages of `bytes` through every slot on the way from rank to rank, and small ones back to the first.
void pass_around(Communicator& group, int64_t bytes, DeviceStream& stream) {
  constexpr int kSlots = 4;
  const int next = (group.rank() + 1) % group.size();
  const int before = (group.rank() + group.size() - 1) % group.size();
  const auto count_from = [&](int rank, int64_t most) { return rank + 1 < group.size() ? most / 4 : 5; };
  for (const int64_t most : {int64_t{40}, bytes}) {
    for (int slot = 0; slot < kSlots; ++slot) {
      group.send(to_device(filled({count_from(group.rank(), most)}, 1, whole_value), stream), next, stream);
      Tensor x = device_tensor(DType::kF32, {count_from(before, most)});
      group.recv(x, before, stream);
      stream.synchronise();
    }
  }
}

struct PlannedGroup {
  const char* wire;
  int ranks;
  int64_t message_bytes;
  int64_t sum_elements;
};

class GroupMemory : public ::testing::TestWithParam<PlannedGroup> {};

// Of all ranks, which are threads and share the memory of one device.
TEST_P(GroupMemory, IsWhatWasPlanned) {
  const PlannedGroup& p = GetParam();
  const DeviceWire wire = device_wire_of(p.wire);
  const ReductionTree tree = tree_of_ranks(p.ranks);
  const GroupTraffic most{.message_bytes = p.message_bytes, .sum_bytes = p.sum_elements * 4 * (p.ranks - 1) / p.ranks};
  int64_t planned = 0;
  for (int rank = 0; rank < p.ranks; ++rank) {
    planned += device_group_bytes(wire, rank, p.ranks, most);
  }
  const int64_t before = free_memory();
  run_thread_ranks(p.ranks, [&](Transport& transport) {
    DeviceStream stream;
    const auto group = make_device_group(wire, transport.split(0, transport.rank()), kDeadline, most).group;
    if (p.message_bytes > 0) {
      pass_around(*group, p.message_bytes, stream);
    }
    if (p.sum_elements > 0) {
      const Tensor nodes = to_device(filled({1, p.sum_elements}, 1, whole_value), stream);
      Tensor sum = device_tensor(DType::kF32, {p.sum_elements});
      group->tree_reduce(nodes, tree, sum, stream);
      stream.synchronise();
    }
    transport.control().agree(nullptr, "a test");  // all are done, and have freed what is theirs alone
    if (transport.rank() == 0) {
      EXPECT_EQ(before - free_memory(), planned);
    }
    transport.control().agree(nullptr, "a test");
  });
  EXPECT_EQ(free_memory(), before);
}

INSTANTIATE_TEST_SUITE_P(Wires, GroupMemory,
                         ::testing::Values(PlannedGroup{"ipc", 2, 5'000'000, 0}, PlannedGroup{"ipc", 3, 5'000'000, 0},
                                           PlannedGroup{"ipc", 2, 4096, 0}, PlannedGroup{"ipc", 4, 0, 3'000'000},
                                           PlannedGroup{"nccl", 2, 5'000'000, 0}, PlannedGroup{"nccl", 3, 5'000'000, 0},
                                           PlannedGroup{"nccl", 2, 4096, 0}, PlannedGroup{"nccl", 4, 0, 3'000'000},
                                           PlannedGroup{"nccl", 2, 0, 100},
                                           PlannedGroup{"host", 2, 5'000'000, 3'000'000}));

// Stages of three, two and one ranks: the last one needs no NCCL.
constexpr int kStage[] = {0, 0, 0, 1, 1, 2};
constexpr int kJobRanks = 6;

// Sums over a stage, and a message to the next rank of it and back.
void expect_works(Communicator& group, int stage) {
  constexpr int64_t kCount = 1000;
  DeviceStream stream;
  Tensor x = to_device(filled({kCount}, static_cast<uint64_t>(stage), whole_value), stream);
  group.all_reduce(x, stream);
  Tensor sum = Tensor::allocate(DType::kF32, {kCount});
  to_host(x, sum, stream);
  Tensor expected = filled({kCount}, static_cast<uint64_t>(stage), whole_value);
  for (float& value : expected.values<float>()) {
    value *= static_cast<float>(group.size());
  }
  EXPECT_EQ(differing_bits(sum, expected), 0);
  if (group.size() == 1) {
    return;
  }
  for (const int step : {1, group.size() - 1}) {
    const int to = (group.rank() + step) % group.size();
    const int from = (group.rank() + group.size() - step) % group.size();
    const auto number = [&](int rank) { return static_cast<uint64_t>(100 * stage + rank); };
    group.send(to_device(filled({kCount}, number(group.rank()), whole_value), stream), to, stream);
    Tensor received = device_tensor(DType::kF32, {kCount});
    group.recv(received, from, stream);
    Tensor out = Tensor::allocate(DType::kF32, {kCount});
    to_host(received, out, stream);
    EXPECT_EQ(differing_bits(out, filled({kCount}, number(from), whole_value)), 0) << "from " << from;
  }
}

struct Made {
  int met = 0;
  int split = 0;
};

// Groups of the job's stages over NCCL, where the ranks have these devices, and what they asked NCCL for.
Made make_stages(const std::function<int(int rank)>& device_of) {
  const cuda::emulator::NcclCounts before = cuda::emulator::nccl_counts();
  run_thread_ranks(kJobRanks, [&](Transport& transport) {
    const int rank = transport.rank();
    const auto world = transport.split(0, rank);
    const auto groups = make_device_groups(DeviceWire::kNccl, *world, device_of(rank), kDeadline);
    const auto group = groups->make(transport.split(kStage[rank], rank), {});
    EXPECT_EQ(group->wire(), group->size() == 1 ? "self" : "nccl");
    expect_works(*group, kStage[rank]);
  });
  const cuda::emulator::NcclCounts after = cuda::emulator::nccl_counts();
  return {after.met - before.met, after.split - before.split};
}

// All ranks meet once; then all split, and the ranks of each stage again for the ways between neighbours.
TEST(DeviceGroups, AreSplitOffFromOneOfAllRanks) {
  const Made made = make_stages([](int rank) { return rank; });
  EXPECT_EQ(made.met, kJobRanks);
  EXPECT_EQ(made.split, kJobRanks + 3 * 6 + 2 * 2);
}

// NCCL would refuse two ranks of one device in one communicator, so stages of ranks that have each their own meet
// apart.
TEST(DeviceGroups, OfRanksThatShareDevicesMeetApart) {
  const Made made = make_stages([](int rank) { return rank % 3; });
  EXPECT_EQ(made.met, 5);
  EXPECT_EQ(made.split, 3 * 6 + 2 * 2);
}

TEST(DeviceGroups, MeetAtIdsWhereNcclCannotSplit) {
  cuda::emulator::show_nccl(cuda::emulator::NcclVersion::kOld);
  const Made made = make_stages([](int rank) { return rank; });
  cuda::emulator::show_nccl(cuda::emulator::NcclVersion::kNow);
  EXPECT_EQ(made.met, 5 + 2 * 6 + 2 * 2) << "two ranks for each way";
  EXPECT_EQ(made.split, 0);
}

// Stages whose ranks find the same one, so that only the whole job cannot split.
TEST(DeviceGroups, MeetApartWhereSomeRanksHaveAnotherNccl) {
  run_thread_ranks(4, [](Transport& transport) {
    const int stage = transport.rank() / 2;
    if (stage == 1) {
      cuda::emulator::show_nccl_here(cuda::emulator::NcclVersion::kOld);
    }
    const auto world = transport.split(0, transport.rank());
    const auto groups = make_device_groups(DeviceWire::kNccl, *world, transport.rank(), kDeadline);
    const auto group = groups->make(transport.split(stage, transport.rank()), {});
    EXPECT_EQ(group->wire(), "nccl");
    expect_works(*group, stage);
  });
}

// What is received for sums, and what messages leave from.
TEST(DeviceGroups, RegisterMemoryWhereNcclCan) {
  const auto reduce_and_send = [](Transport& transport) {
    DeviceStream stream;
    const auto group = make_device_group(DeviceWire::kNccl, transport.split(0, transport.rank()), kDeadline).group;
    const Tensor x = to_device(filled({1, 64}, 1, whole_value), stream);
    Tensor y = device_tensor(DType::kF32, {64});
    group->tree_reduce(x, ReductionTree(2, {0, 1, 2}), y, stream);
    group->send(x, 1 - transport.rank(), stream);
    group->recv(y, 1 - transport.rank(), stream);
    stream.synchronise();
  };
  const cuda::emulator::NcclCounts before = cuda::emulator::nccl_counts();
  run_thread_ranks(2, reduce_and_send);
  cuda::emulator::show_nccl(cuda::emulator::NcclVersion::kOld);
  run_thread_ranks(2, reduce_and_send);
  cuda::emulator::show_nccl(cuda::emulator::NcclVersion::kNow);
  const cuda::emulator::NcclCounts after = cuda::emulator::nccl_counts();
  EXPECT_EQ(after.registered - before.registered, 4);
  EXPECT_EQ(after.deregistered - before.deregistered, 4);
}

TEST(DeviceGroups, NeedNoNcclWhereTheMemoryOfDevicesIsUsed) {
  const int before = cuda::emulator::nccl_counts().met;
  run_thread_ranks(2, [](Transport& transport) {
    const auto world = transport.split(0, transport.rank());
    const auto groups = make_device_groups(DeviceWire::kAuto, *world, 0, kDeadline);
    EXPECT_EQ(groups->make(transport.split(0, transport.rank()), {})->wire(), "ipc");
    EXPECT_EQ(groups->make(transport.split(transport.rank(), 0), {})->wire(), "self");
  });
  EXPECT_EQ(cuda::emulator::nccl_counts().met, before);
}

TEST(DeviceGroup, KnowsItsNames) {
  EXPECT_EQ(device_wire_of("auto"), DeviceWire::kAuto);
  try {
    device_wire_of("shm");
    FAIL() << "shm is no way between devices";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_NE(error.remedy().find("ipc"), std::string::npos) << error.remedy();
  }
}

TEST(TreeProgram, IsTheTree) {
  const ReductionTree tree(9, {0, 4, 4, 9});
  const std::optional<TreeProgram> program = TreeProgram::of(tree);
  ASSERT_TRUE(program.has_value());
  EXPECT_EQ(program->nodes, tree.node_count());
  EXPECT_EQ(program->most_nodes, std::max(tree.node_count(0), tree.node_count(2)));
  for (int rank = 0; rank <= tree.ranks(); ++rank) {
    EXPECT_EQ(program->first_node[rank], tree.first_node(rank));
  }
  EXPECT_TRUE(std::equal(tree.merges().begin(), tree.merges().end(), program->merges));
}

TEST(TreeProgram, HasRoomForSoManyRanks) {
  EXPECT_TRUE(TreeProgram::of(tree_of_ranks(TreeProgram::kMostRanks)).has_value());
  EXPECT_FALSE(TreeProgram::of(tree_of_ranks(TreeProgram::kMostRanks + 1)).has_value());
}

}  // namespace
}  // namespace longship::conformance
