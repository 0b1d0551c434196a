#pragma once

#include <cstddef>
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

/// What the adapters of a model add to some of the outputs of a product: y += scale B (A x), for all rows of a step by
/// one product of groups with A and one with B. Where the product's columns are cut over tp, A's are cut alike and A x
/// is reduced along the same tree; else A is whole on every rank. B has the rows of the product that the rank has. So
/// no layout changes a bit of it.
class LowRankUpdate {
 public:
  /// For the segments [first, first + count) of the product's weight.
  LowRankUpdate(std::size_t first, std::size_t count) : first_(first), count_(count) {}
  LowRankUpdate(LowRankUpdate&&) = default;  // what products point to stays where it is
  LowRankUpdate(const LowRankUpdate&) = delete;
  LowRankUpdate& operator=(const LowRankUpdate&) = delete;

  /// Declares what the next adapter has for the segments; null for nothing. `product` is the same of all adapters, its
  /// steps outlive the object.
  void add(ParamTable& params, Workspace& workspace, const AdaptedModule* module, const AdaptedProduct& product);

  /// Whether one of these adapters changes the segments.
  bool is_changed_by(std::span<const std::size_t> adapters) const;

  /// x [T, columns of this rank] and y [T, N]: input and output of the product. Collective over tp where the product's
  /// weight contracts.
  void add_to(Tensor& y, const Tensor& x, const RowGroups& rows, const AdaptedProduct& product, RankContext& ctx) const;

 private:
  Tensor inner(const Tensor& x, const RowGroups& rows, const AdaptedProduct& product, RankContext& ctx) const;

  std::size_t first_;
  std::size_t count_;
  int64_t rank_ = 0;                              ///< The largest of the adapters.
  int64_t outer_rows_ = 0;                        ///< Most of a part of B.
  std::vector<GroupProduct> inner_;               ///< With A, by adapter ...
  std::vector<std::vector<GroupProduct>> outer_;  ///< ... and with B, for each segment of which the rank has a part.
  std::vector<int64_t> columns_;                  ///< Of y, where the outputs of each begin.
  std::vector<std::vector<GroupStep>> outer_steps_;
};

}  // namespace longship
