#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "comm/mpi_port.h"
#include "comm/tree_sum.h"
#include "comm/wire_format.h"

namespace longship {

/// Sums along a tree whose values travel in a shorter form than f32. Addends, those of this rank too, and the sum are
/// rounded to the form, so every rank has the same bits and an element does not depend on how many go together or on
/// the number of steps.
class CodedReduction {
 public:
  /// The port outlives the object.
  CodedReduction(MpiPort& port, WireFormat format) : port_(port), format_(format) {}

  /// `nodes` [tree.node_count(rank), count], `out` [count]. All ranks of the port together, with the same `one_step`:
  /// whether all nodes go to everyone, or each rank adds up a part and hands it out. Errors: as MpiPort::finish.
  void reduce(const float* nodes, int64_t count, const ReductionTree& tree, bool one_step, float* out,
              std::string_view operation);

 private:
  /// Values [begin, end) of a node. Begins at whole blocks.
  struct Part {
    int64_t begin = 0;
    int64_t end = 0;
  };

  Part part_of(int rank, int64_t count) const;
  void exchange_nodes(const ReductionTree& tree, int64_t count, std::string_view operation);
  void add_part(const ReductionTree& tree, int64_t count, float* sum);
  void exchange_sums(int64_t count, float* out, std::string_view operation);
  int64_t bytes(int64_t count) const { return wire_bytes(format_, count); }

  MpiPort& port_;
  WireFormat format_;
  TreeSum sum_;
  bool one_step_ = false;
  // Kept between calls, so that a step allocates nothing.
  std::vector<std::byte> own_;       ///< Nodes of this rank, one after the other.
  std::vector<std::byte> received_;  ///< This rank's part of all other nodes.
  std::vector<std::byte> sums_;
  std::vector<float> addends_;  ///< This rank's part of all nodes.
  std::vector<const float*> nodes_;
};

}  // namespace longship
