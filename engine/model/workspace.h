#pragma once

#include <array>
#include <cstdint>

#include "engine/backend/kernels.h"

namespace longship {

/// Most rows that a step may have; they size every buffer of a rank.
struct StepLimits {
  int64_t rows = 0;        ///< Tokens.
  int64_t logit_rows = 0;  ///< Rows that want logits.
};

/// The buffers in which activations live. Parts that are never alive together share a slot.
enum class Slot : uint8_t {
  kTokens,
  kPositions,
  kLogitRows,
  kCos,
  kSin,
  kHidden,     ///< [T, D], the residual stream
  kNormed,     ///< [T, D]
  kProjected,  ///< [T, (H + 2 Hkv) Dh]
  kAttended,   ///< [T, H Dh]
  kGateUp,     ///< [T, 2F]
  kActivated,  ///< [T, F]
  kNodes,      ///< [nodes, T, D], partial sums before their reduction
  kReduced,    ///< [T, D]
  kSelected,   ///< [R, D], rows that want logits
  kLogits,     ///< [R, V of this rank]
  // For rows with adapters:
  kAdaptedRows,    ///< [n], which they are ...
  kAdaptedGroups,  ///< ... [n], and of which adapter
  kAdapterNodes,   ///< [nodes, n, r], sums of A x ...
  kAdapterInner,   ///< ... [n, r], reduced
  kGroupInput,     ///< See GroupRoom.
  kGroupOutput,
  kCount,
};

/// Memory of a rank's activations: declared by the parts of the model, then allocated once. A slot is as large as
/// its largest declaration. Tensors that take() returns are views, valid until the slot is taken again.
class Workspace {
 public:
  /// The kernels outlive the workspace.
  Workspace(StepLimits limits, Kernels& kernels) : limits_(limits), kernels_(kernels) {}

  const StepLimits& limits() const { return limits_; }
  /// Makes room for `values` values of a 4-byte type.
  void declare(Slot slot, int64_t values);
  /// Says that lists of products of groups have so many products more: the device keeps a copy.
  void declare_products(int64_t count) { products_ += count; }
  /// Bytes of the device that allocate() takes, and that lists of products will take.
  int64_t bytes() const;
  void allocate();
  Tensor take(Slot slot, Shape shape, DType dtype = DType::kF32) const;
  bool in_host_memory() const { return kernels_.in_host_memory(); }
  /// Room for products of groups, of so many values; none where the device needs none.
  GroupRoom room_for_groups(int64_t input, int64_t output) const;

 private:
  static constexpr std::size_t kSlots = static_cast<std::size_t>(Slot::kCount);
  StepLimits limits_;
  Kernels& kernels_;
  std::array<int64_t, kSlots> values_ = {};
  int64_t products_ = 0;
  std::array<Tensor, kSlots> memory_;
};

}  // namespace longship
