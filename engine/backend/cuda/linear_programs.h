#pragma once

#include <list>
#include <memory>
#include <span>
#include <vector>

#include "core/range.h"
#include "core/reduction_tree.h"
#include "cuda/staging.h"
#include "engine/backend/cuda/kernels/linear.h"

namespace longship::cuda {

/// Programs of GroupSteps as the runs of columns that kernels add up one after the other, each copied to the device
/// when it first comes. A model has a few.
class LinearPrograms {
 public:
  struct Program {
    std::vector<GroupStep> steps;
    std::vector<Range> nodes;  ///< Their columns; empty ranges where they have none.
    std::shared_ptr<void> memory;
    int run_count = 0;
    int depth = 1;  ///< Most unmerged partial sums, the one being added included.

    const LinearRun* runs() const { return static_cast<const LinearRun*>(memory.get()); }
  };

  const Program& get(std::span<const GroupStep> steps, Staging& staging, StreamHandle stream);

 private:
  std::list<Program> programs_;  // the last one used first
};

}  // namespace longship::cuda
