#pragma once

#include <list>
#include <memory>
#include <span>

#include "core/range.h"
#include "cuda/blas_api.h"
#include "engine/backend/cuda/kernels/linear.h"
#include "engine/backend/cuda/narrow_activations.h"

namespace longship::cuda {

/// Products of many tokens by cuBLASLt, sums f32. Weights of plain types are read where they are, with activations
/// rounded to their type (f32 ones without TF32); others are unpacked to bf16 some rows at a time, for activations
/// rounded to bf16. Bits depend on the number of tokens.
class BlasLinear {
 public:
  /// Fewest tokens for which the library is worth its while with weights of `layout`; others than plain ones have to be
  /// unpacked.
  static constexpr int fewest_tokens(WeightLayout layout) { return layout <= WeightLayout::kBF16 ? 17 : 65; }

  /// Null where the library cannot be loaded.
  static std::unique_ptr<BlasLinear> make();
  ~BlasLinear();
  BlasLinear(const BlasLinear&) = delete;
  BlasLinear& operator=(const BlasLinear&) = delete;

  static int64_t scratch_bytes();
  void reserve();

  /// As what products with weights of `layout` read activations.
  static ValueType reads(WeightLayout layout);

  /// Launches all parts and nodes, or returns false where columns or outputs are not aligned as the library wants it.
  /// `nodes`: the columns of each. `activations` may have those of task.x. `result`: what task.nodes really are; f32,
  /// or what is read.
  bool multiply(WeightLayout layout, const LinearArguments& task, std::span<const Range> nodes,
                NarrowActivations& activations, ValueType result, StreamHandle stream);

 private:
  struct KnownPlan {
    MatmulShape shape;
    BlasPlan plan = nullptr;
  };

  explicit BlasLinear(const BlasApi& api);
  // A product for each node; x, w and y begin with column 0 of the matrices.
  void multiply_nodes(MatmulShape shape, std::span<const Range> nodes, const std::byte* x, const std::byte* w,
                      std::byte* y, StreamHandle stream);
  void multiply_part(WeightLayout layout, const LinearPart& part, const LinearArguments& task, MatmulShape shape,
                     std::span<const Range> nodes, const std::byte* x, StreamHandle stream);
  BlasPlan plan_of(const MatmulShape& shape);

  const BlasApi& api_;
  BlasHandle handle_ = nullptr;
  std::list<KnownPlan> plans_;  // the last one used first
  std::shared_ptr<void> workspace_;
  std::shared_ptr<void> weights_;  // rows of a part, unpacked
};

}  // namespace longship::cuda
