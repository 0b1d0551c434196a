#pragma once

#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "cuda/staging.h"
#include "engine/backend/cuda/kernels/grouped_linear.h"
#include "engine/backend/cuda/linear_programs.h"
#include "engine/backend/kernels.h"

namespace longship::cuda {

/// Lists of products of groups as the kernel reads them, each copied to the device when it first comes. A model has two
/// for each product that adapters change.
class GroupedWeights {
 public:
  struct Table {
    std::vector<GroupProduct> products;  ///< As they came ...
    std::vector<Weight> weights;         ///< ... and what they point to.
    std::shared_ptr<void> memory;
    int most_runs = 0;
    int most_rows = 0;
    int depth = 1;
    unsigned layouts = 0;  ///< Bit l: there are weights of layout l.

    const GroupedWeight* data() const { return static_cast<const GroupedWeight*>(memory.get()); }
  };

  explicit GroupedWeights(bool exact) : exact_(exact) {}

  /// Of the device, for lists of so many products in all.
  static int64_t bytes(int64_t products) { return products * static_cast<int64_t>(sizeof(GroupedWeight)); }

  /// The reference is valid until another list comes with the same address.
  const Table& get(std::span<const GroupProduct> products, LinearPrograms& programs, Staging& staging,
                   StreamHandle stream);

 private:
  bool exact_;
  std::unordered_map<const GroupProduct*, Table> tables_;  // by the address of the list
};

}  // namespace longship::cuda
