#include "comm/cuda/device_group.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "comm/cuda/tree_program.h"
#include "comm/tree_sum.h"
#include "core/error.h"
#include "tests/comm/device_memory.h"
#include "tests/comm/values.h"

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
