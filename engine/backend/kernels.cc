#include "engine/backend/kernels.h"

#include <cstring>

namespace longship {

void Kernels::write(const void* host, Tensor& x, Stream&) {
  if (!x.empty()) {
    std::memcpy(x.data<void>(), host, static_cast<std::size_t>(x.bytes()));
  }
}

void Kernels::read(const Tensor& x, void* host, Stream&) {
  if (!x.empty()) {
    std::memcpy(host, x.data<void>(), static_cast<std::size_t>(x.bytes()));
  }
}

void Kernels::add_to_rows(const Tensor& x, float scale, const Tensor& rows, int64_t column, Tensor& y, Stream&) {
  LONGSHIP_CHECK(in_host_memory(), "this device adds to no rows");
  const int64_t width = x.dim(1);
  for (int64_t i = 0; i < x.dim(0); ++i) {
    const float* from = x.data<float>() + i * width;
    float* to = y.data<float>() + rows.data<int32_t>()[i] * y.dim(1) + column;
    for (int64_t j = 0; j < width; ++j) {
      to[j] += scale * from[j];
    }
  }
}

void Kernels::add_norm(const Tensor& x, Range rows, const AddNorm& then, std::span<const Weight> /*readers*/,
                       Stream& stream) {
  Tensor hidden = then.hidden.slice(rows.begin, rows.end);
  Tensor normed = then.normed.slice(rows.begin, rows.end);
  add(x.slice(rows.begin, rows.end), then.bias, hidden, hidden, stream);
  if (then.norm_bias.empty()) {
    rms_norm(hidden, then.gain, then.eps, normed, stream);
  } else {
    layer_norm(hidden, then.gain, then.norm_bias, then.eps, normed, stream);
  }
}

void Kernels::rope_kv_write(const HeadsView& query, const HeadsView& keys, const HeadsView& values, const Tensor& cos,
                            const Tensor& sin, const Batch& batch, KvLayer& kv, Stream& stream) {
  if (query.heads > 0) {
    rope(query, cos, sin, stream);
  }
  if (keys.heads > 0) {
    rope(keys, cos, sin, stream);
    kv_write(keys, values, batch, kv, stream);
  }
}

void Kernels::linear_silu_mul(const Tensor& x, std::span<const Weight> parts, std::span<const GroupStep> steps,
                              Tensor& gate_up, Tensor& y, std::span<const Weight> /*readers*/, Stream& stream) {
  Tensor root = gate_up.reshape({1, gate_up.dim(0), gate_up.dim(1)});
  linear(x, parts, steps, root, stream);
  silu_mul(gate_up, y, stream);
}

}  // namespace longship
