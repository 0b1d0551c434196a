#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/reduction_tree.h"
#include "engine/model/adapter.h"
#include "engine/model/param_table.h"
#include "engine/model/rank_context.h"

namespace longship {

/// How the columns of a matrix that no rank cuts are added up.
std::vector<GroupStep> whole_columns(int64_t columns);

/// A product that adapters change, as this rank has it.
struct AdaptedProduct {
  const ParamSpec& spec;                ///< Of its weight.
  const ReductionTree& tree;            ///< Of a weight that contracts ...
  const std::vector<GroupStep>& steps;  ///< ... and how this rank's columns of a weight are added up.
};

/// What one adapter adds to some of the outputs of a product: y += scale B (A x). Where the product's columns are cut
/// over tp, A's are cut alike and A x is reduced along the same tree; else A is whole on every rank. B has the rows of
/// the product that the rank has. So no layout changes a bit of it.
class LowRankUpdate {
 public:
  /// Declares the matrices of `module` for the segments [first, first + count) of the product's weight.
  LowRankUpdate(ParamTable& params, Workspace& workspace, const AdaptedModule& module, const AdaptedProduct& product,
                std::size_t first, std::size_t count);

  /// x [n, columns of this rank]: the rows `rows` [n] i32 of the product's input; y [T, N] its output. Collective over
  /// tp where the product's weight contracts.
  void add_to(Tensor& y, const Tensor& x, const Tensor& rows, const AdaptedProduct& product, RankContext& ctx) const;

 private:
  Tensor inner(const Tensor& x, const AdaptedProduct& product, RankContext& ctx) const;

  Param* a_;
  Param* b_;
  float scale_;
  int64_t column_;  ///< Of y, where its outputs begin.
  std::vector<GroupStep> outer_steps_;
};

}  // namespace longship
