#pragma once

#include <list>
#include <memory>
#include <span>

#include "core/reduction_tree.h"
#include "cuda/blas_api.h"
#include "engine/backend/cuda/kernels/linear.h"

namespace longship::cuda {

/// Products of many tokens by cuBLASLt: weights are unpacked to bf16 a part at a time, activations rounded to bf16,
/// sums f32 (weights stored in f32 and their activations stay f32, without TF32). Bits depend on the number of tokens.
class BlasLinear {
 public:
  /// Fewest tokens for which the library is worth its while.
  static constexpr int kFewestTokens = 17;

  /// Null where the library cannot be loaded.
  static std::unique_ptr<BlasLinear> make();
  ~BlasLinear();
  BlasLinear(const BlasLinear&) = delete;
  BlasLinear& operator=(const BlasLinear&) = delete;

  static int64_t scratch_bytes(int64_t max_rows, int64_t max_columns);
  void reserve(int64_t max_rows, int64_t max_columns);

  /// Launches all parts and nodes, or returns false where columns or outputs are not aligned as the library wants it.
  bool multiply(WeightLayout layout, const LinearArguments& task, std::span<const GroupStep> steps,
                StreamHandle stream);

 private:
  struct KnownPlan {
    MatmulShape shape;
    BlasPlan plan = nullptr;
  };

  explicit BlasLinear(const BlasApi& api);
  BlasPlan plan_of(const MatmulShape& shape);

  const BlasApi& api_;
  BlasHandle handle_ = nullptr;
  std::list<KnownPlan> plans_;  // the last one used first
  std::shared_ptr<void> workspace_;
  std::shared_ptr<void> weights_;      // rows of a part, unpacked
  std::shared_ptr<void> activations_;  // in bf16
  std::size_t activation_bytes_ = 0;
};

}  // namespace longship::cuda
