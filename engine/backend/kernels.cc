#include "engine/backend/kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace longship {

namespace {

/// Places [begin, end) of one group.
struct GroupPlaces {
  const GroupProduct* product = nullptr;  ///< Null where there is nothing to multiply with.
  int64_t begin = 0;
  int64_t end = 0;

  int64_t size() const { return end - begin; }
};

std::vector<GroupPlaces> places_by_group(const RowGroups& to, std::span<const GroupProduct> products) {
  const std::span<const int32_t> groups = to.groups.values<int32_t>();
  std::vector<GroupPlaces> found;
  for (int64_t begin = 0, end = 0; begin < to.places(); begin = end) {
    const int32_t group = groups[static_cast<std::size_t>(begin)];
    for (end = begin + 1; end < to.places() && groups[static_cast<std::size_t>(end)] == group;) {
      ++end;
    }
    const GroupProduct* product = group < 0 ? nullptr : &products[static_cast<std::size_t>(group)];
    const bool none = product == nullptr || product->weight == nullptr || product->weight->rows == 0;
    found.push_back({none ? nullptr : product, begin, end});
  }
  return found;
}

// The first values of `room` as a tensor of this shape.
Tensor part_of(const Tensor& room, Shape shape) {
  return Tensor::wrap(DType::kF32, std::move(shape), room.data<void>());
}

}  // namespace

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

void Kernels::grouped_linear(const Tensor& x, const RowGroups& to, std::span<const GroupProduct> products,
                             GroupRoom& room, Tensor& nodes, Stream& stream) {
  LONGSHIP_CHECK(in_host_memory(), "this device has products of groups");
  const int64_t outputs = nodes.dim(2);
  std::fill_n(nodes.data<float>(), nodes.elements(), 0.0F);
  for (const GroupPlaces& places : places_by_group(to, products)) {
    if (places.product == nullptr) {
      continue;
    }
    const Weight& weight = *places.product->weight;
    Tensor rows = part_of(room.input, {places.size(), x.dim(1)});
    Tensor sums = part_of(room.output, {nodes.dim(0), places.size(), weight.rows});
    gather_rows(x, to.rows.slice(places.begin, places.end), rows, stream);
    linear(rows, {&weight, 1}, places.product->steps, sums, stream);
    for (int64_t node = 0; node < nodes.dim(0); ++node) {
      for (int64_t i = 0; i < places.size(); ++i) {
        std::copy_n(sums.data<float>() + (node * places.size() + i) * weight.rows, weight.rows,
                    nodes.data<float>() + (node * to.places() + places.begin + i) * outputs);
      }
    }
  }
}

void Kernels::grouped_linear_add(const Tensor& x, const RowGroups& to, std::span<const GroupProduct> products,
                                 int64_t column, GroupRoom& room, Tensor& y, Stream& stream) {
  LONGSHIP_CHECK(in_host_memory(), "this device has products of groups");
  for (const GroupPlaces& places : places_by_group(to, products)) {
    if (places.product == nullptr) {
      continue;
    }
    const Weight& weight = *places.product->weight;
    Tensor rows = x.slice(places.begin, places.end);
    if (weight.columns < x.dim(1)) {
      rows = part_of(room.input, {places.size(), weight.columns});
      for (int64_t i = 0; i < places.size(); ++i) {
        std::copy_n(x.data<float>() + (places.begin + i) * x.dim(1), weight.columns,
                    rows.data<float>() + i * weight.columns);
      }
    }
    Tensor sums = part_of(room.output, {1, places.size(), weight.rows});
    linear(rows, {&weight, 1}, places.product->steps, sums, stream);
    add_to_rows(sums.reshape({places.size(), weight.rows}), places.product->scale,
                to.rows.slice(places.begin, places.end), column, y, stream);
  }
}

void Kernels::weighted_sum(const Tensor& x, const Tensor& places, const Tensor& weights, Tensor& y, Stream&) {
  LONGSHIP_CHECK(in_host_memory(), "this device has weighted sums");
  const int64_t width = x.dim(1);
  const int64_t most = places.dim(1);
  std::fill_n(y.data<float>(), y.elements(), 0.0F);
  for (int64_t i = 0; i < places.elements(); ++i) {
    const int32_t place = places.data<int32_t>()[i];
    const float weight = weights.data<float>()[i];
    float* to = y.data<float>() + i / most * width;
    for (int64_t j = 0; j < width && place >= 0; ++j) {
      to[j] = std::fma(weight, x.data<float>()[place * width + j], to[j]);
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
