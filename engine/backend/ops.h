#pragma once

#include <span>

#include "core/span_log.h"
#include "engine/backend/kernels.h"

namespace longship {

/// The operations that the model calls. Each checks shapes, types and aliasing once, returns early where there is
/// nothing to compute (no rows, no heads: a rank may own none), and forwards to the kernels, whose comments say what
/// is computed. A failed check is a broken invariant of ours.
class Ops {
 public:
  /// Each operation is recorded in `spans`, unless it is null.
  explicit Ops(Kernels& kernels, SpanLog* spans = nullptr) : kernels_(kernels), spans_(spans) {}

  Kernels& kernels() const { return kernels_; }

  void embed(const StoredMatrix& table, const Tensor& ids, Tensor& out, Stream& stream);
  void linear(const Tensor& x, std::span<const Weight> parts, std::span<const GroupStep> steps, Tensor& nodes,
              Stream& stream);
  void add(const Tensor& x, const Tensor& bias, const Tensor& residual, Tensor& y, Stream& stream);
  void rms_norm(const Tensor& x, const Tensor& gain, float eps, Tensor& y, Stream& stream);
  void rms_norm_heads(const HeadsView& x, const Tensor& gain, float eps, Stream& stream);
  void layer_norm(const Tensor& x, const Tensor& gain, const Tensor& bias, float eps, Tensor& y, Stream& stream);
  void rope(const HeadsView& x, const Tensor& cos, const Tensor& sin, Stream& stream);
  void silu_mul(const Tensor& x, Tensor& y, Stream& stream);
  void add_norm(const Tensor& x, Range rows, const AddNorm& then, std::span<const Weight> readers, Stream& stream);
  void linear_silu_mul(const Tensor& x, std::span<const Weight> parts, std::span<const GroupStep> steps,
                       Tensor& gate_up, Tensor& y, std::span<const Weight> readers, Stream& stream);
  void gelu_tanh(const Tensor& x, Tensor& y, Stream& stream);
  void gather_rows(const Tensor& x, const Tensor& rows, Tensor& y, Stream& stream);
  void grouped_linear(const Tensor& x, const RowGroups& to, std::span<const GroupProduct> products, GroupRoom& room,
                      Tensor& nodes, Stream& stream);
  void grouped_linear_add(const Tensor& x, const RowGroups& to, std::span<const GroupProduct> products, int64_t column,
                          GroupRoom& room, Tensor& y, Stream& stream);
  void weighted_sum(const Tensor& x, const Tensor& places, const Tensor& weights, Tensor& y, Stream& stream);
  void kv_write(const HeadsView& keys, const HeadsView& values, const Batch& batch, KvLayer& kv, Stream& stream);
  void rope_kv_write(const HeadsView& query, const HeadsView& keys, const HeadsView& values, const Tensor& cos,
                     const Tensor& sin, const Batch& batch, KvLayer& kv, Stream& stream);
  void attention(const HeadsView& query, const KvLayer& kv, const Batch& batch, const AttentionSpec& spec, Tensor& out,
                 Stream& stream);
  /// As Kernels::replay(); what is repeated is recorded as one operation.
  Tensor replay(const StepKey& key, const std::function<Tensor()>& work, Stream& stream);

 private:
  Kernels& kernels_;
  SpanLog* spans_;
};

}  // namespace longship
