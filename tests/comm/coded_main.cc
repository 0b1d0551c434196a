#include <algorithm>
#include <cstdio>
#include <exception>
#include <vector>

#include "comm/transport.h"
#include "comm/tree_sum.h"
#include "parallel/shard.h"
#include "tests/comm/values.h"

// coded_main FORMAT under mpirun: sums between ranks in a short form of the wire. Every rank passes for a host
// of its own; the sum must be that of the rounded addends, rounded, bit by bit, for one row as for many.

namespace longship {
namespace {

using conformance::wide_value;

constexpr int64_t kWidth = 576;
constexpr int32_t kGroups = 9;

std::vector<float> rounded(WireFormat format, const float* values, int64_t count) {
  std::vector<std::byte> wire(static_cast<std::size_t>(wire_bytes(format, count)));
  to_wire(format, values, count, wire.data());
  std::vector<float> back(static_cast<std::size_t>(count));
  from_wire(format, wire.data(), count, back.data());
  return back;
}

ReductionTree tree_for(int ranks) {
  std::vector<int32_t> bounds = {0};
  for (int rank = 0; rank < ranks; ++rank) {
    bounds.push_back(static_cast<int32_t>(share(kGroups, ranks, rank).end));
  }
  return ReductionTree(kGroups, bounds);
}

// Node `node` of all ranks' nodes, [rows, kWidth].
Tensor node_values(int node, int64_t rows) {
  return conformance::filled({rows, kWidth}, static_cast<uint64_t>(node) + 1, wide_value);
}

std::vector<float> expected(WireFormat format, const ReductionTree& tree, int64_t rows) {
  std::vector<std::vector<float>> nodes;
  std::vector<const float*> addends;
  for (int node = 0; node < tree.node_count(); ++node) {
    nodes.push_back(rounded(format, node_values(node, rows).data<float>(), rows * kWidth));
  }
  for (const auto& node : nodes) {
    addends.push_back(node.data());
  }
  std::vector<float> sum(static_cast<std::size_t>(rows * kWidth));
  TreeSum().add(tree, addends, rows * kWidth, sum.data());
  return rounded(format, sum.data(), rows * kWidth);
}

Tensor reduce(Communicator& group, const ReductionTree& tree, int64_t rows) {
  Stream stream;
  Tensor nodes = Tensor::allocate(DType::kF32, {tree.node_count(group.rank()), rows, kWidth});
  for (int node = 0; node < tree.node_count(group.rank()); ++node) {
    const Tensor values = node_values(tree.first_node(group.rank()) + node, rows);
    std::copy_n(values.data<float>(), rows * kWidth, nodes.data<float>() + node * rows * kWidth);
  }
  Tensor out = Tensor::allocate(DType::kF32, {rows, kWidth});
  group.tree_reduce(nodes, tree, out, stream);
  return out;
}

int failures(Transport& transport, WireFormat format, const char* name) {
  const auto group = transport.split(0, transport.rank());
  const ReductionTree tree = tree_for(group->size());
  int count = 0;
  for (const int64_t rows : {1, 2, 7, 64, 300}) {
    const Tensor out = reduce(*group, tree, rows);
    const std::vector<float> right = expected(format, tree, rows);
    const int64_t wrong = conformance::differing_bits(out.values<const float>(), right);
    if (wrong != 0) {
      std::fprintf(stderr, "%s, %ld rows, rank %d: %ld values differ\n", name, static_cast<long>(rows), group->rank(),
                   static_cast<long>(wrong));
      ++count;
    }
  }
  return count;
}

int run(WireFormat format, const char* name) {
  const auto transport = make_mpi_transport(
      {.deadline = std::chrono::seconds(60), .wire = Wire::kAuto, .format = format, .ranks_per_host = 1});
  return failures(*transport, format, name);
}

}  // namespace
}  // namespace longship

int main(int argc, char** argv) {
  const char* name = argc > 1 ? argv[1] : "bf16";
  try {
    return longship::run(longship::wire_format_of(name), name) == 0 ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
