#include "engine/backend/ops.h"

#include <algorithm>
#include <string>

#include "engine/backend/kv_page.h"

namespace longship {

namespace {

void check(bool condition, const char* op, const char* rule) {
  LONGSHIP_CHECK(condition, std::string(op) + ": " + rule);
}

bool is_f32(const Tensor& x, const Shape& shape) {
  return x.dtype() == DType::kF32 && x.shape() == shape;
}

bool is_f32_matrix(const Tensor& x) {
  return x.dtype() == DType::kF32 && x.ndim() == 2;
}

bool is_i32_vector(const Tensor& x) {
  return x.dtype() == DType::kI32 && x.ndim() == 1;
}

bool is_heads(const HeadsView& x) {
  return is_f32_matrix(x.base) && x.column >= 0 && x.head_dim > 0 && x.heads >= 0 &&
         x.column + x.heads * x.head_dim <= x.base.dim(1);
}

// Every token of the batch lies in a page of its sequence, and every page in the store.
bool pages_hold(const Batch& batch, const KvLayer& kv) {
  return std::all_of(batch.slices.begin(), batch.slices.end(), [&](const BatchSlice& slice) {
    const int64_t needed = (slice.begin + slice.rows + kPageTokens - 1) / kPageTokens;
    return static_cast<int64_t>(slice.pages.size()) >= needed &&
           std::all_of(slice.pages.begin(), slice.pages.end(),
                       [&](int32_t page) { return page >= 0 && page < kv.keys.dim(0); });
  });
}

bool is_kv(const KvLayer& kv, int64_t head_dim) {
  const DType type = kv.keys.dtype();
  const bool known = type == DType::kF32 || type == DType::kF16 || type == DType::kBF16 ||
                     (type == DType::kQ8_0 && head_dim % kKvBlock == 0);
  return known && kv.values.dtype() == type && kv.keys.ndim() == 4 && kv.keys.dim(2) == head_dim &&
         kv.keys.dim(3) == kPageTokens &&
         kv.values.shape() == Shape{kv.keys.dim(0), kv.keys.dim(1), kPageTokens, head_dim};
}

void check_kv_write(const char* op, const HeadsView& keys, const HeadsView& values, const Batch& batch,
                    const KvLayer& kv) {
  check(is_heads(keys) && is_heads(values) && keys.heads == values.heads && keys.head_dim == values.head_dim &&
            is_kv(kv, keys.head_dim) && kv.keys.dim(1) == keys.heads && keys.base.dim(0) == batch.rows(),
        op, "heads of keys and values as in the store");
  check(pages_hold(batch, kv), op, "pages for every token");
}

// Tensors of the host are looked at: every row lies below `rows`, and every group below `groups`.
void check_groups(const char* op, const RowGroups& to, int64_t rows, std::size_t groups, bool in_host_memory) {
  check(is_i32_vector(to.rows) && is_i32_vector(to.groups) && to.rows.shape() == to.groups.shape(), op,
        "rows, groups [places] i32");
  if (in_host_memory) {
    check(std::ranges::all_of(to.rows.values<int32_t>(), [&](int32_t row) { return row >= 0 && row < rows; }), op,
          "a row outside its tensor");
    check(std::ranges::all_of(to.groups.values<int32_t>(),
                              [&](int32_t group) { return group < static_cast<int64_t>(groups); }),
          op, "a group that has no product");
  }
}

void check_room(const char* op, const GroupRoom& room, int64_t input, int64_t output, bool in_host_memory) {
  check(!in_host_memory || (room.input.elements() >= input && room.output.elements() >= output), op,
        "room for the rows of a group and their products");
}

}  // namespace

void Ops::embed(const StoredMatrix& table, const Tensor& ids, Tensor& out, Stream& stream) {
  check(is_i32_vector(ids) && is_f32(out, {ids.dim(0), table.columns}), "embed", "ids [T] i32, out [T, D] f32");
  if (kernels_.in_host_memory()) {
    for (const int32_t id : ids.values<int32_t>()) {
      check(id >= 0 && id < table.rows, "embed", "an id outside the table");
    }
  }
  if (!out.empty()) {
    const ScopedSpan span(spans_, "embed", SpanKind::kOp, out.dim(0));
    kernels_.embed(table, ids, out, stream);
  }
}

void Ops::linear(const Tensor& x, std::span<const Weight> parts, std::span<const GroupStep> steps, Tensor& nodes,
                 Stream& stream) {
  int64_t rows = 0;
  for (const Weight& part : parts) {
    check(part.columns == x.dim(1), "linear", "every part has the columns of x");
    rows += part.rows;
  }
  const auto finished = std::count_if(steps.begin(), steps.end(), [](const GroupStep& s) { return s.ends_node; });
  check(is_f32_matrix(x) && is_f32(nodes, {finished, x.dim(0), rows}), "linear", "x [T, K], nodes [n, T, N] f32");
  check(steps.empty() || steps.back().end <= x.dim(1), "linear", "steps lie within the columns");
  if (!nodes.empty()) {
    const ScopedSpan span(spans_, "linear", SpanKind::kOp, x.dim(0));
    kernels_.linear(x, parts, steps, nodes, stream);
  }
}

void Ops::add(const Tensor& x, const Tensor& bias, const Tensor& residual, Tensor& y, Stream& stream) {
  check(is_f32_matrix(x) && is_f32(y, x.shape()) && (bias.empty() || is_f32(bias, {x.dim(1)})) &&
            (residual.empty() || is_f32(residual, x.shape())),
        "add", "x, residual, y [T, N], bias [N] f32");
  if (!x.empty()) {
    const ScopedSpan span(spans_, "add", SpanKind::kOp, x.dim(0));
    kernels_.add(x, bias, residual, y, stream);
  }
}

void Ops::rms_norm(const Tensor& x, const Tensor& gain, float eps, Tensor& y, Stream& stream) {
  check(is_f32_matrix(x) && is_f32(y, x.shape()) && is_f32(gain, {x.dim(1)}), "rms_norm", "x, y [T, D], gain [D] f32");
  if (!x.empty()) {
    const ScopedSpan span(spans_, "rms_norm", SpanKind::kOp, x.dim(0));
    kernels_.rms_norm(x, gain, eps, y, stream);
  }
}

void Ops::rms_norm_heads(const HeadsView& x, const Tensor& gain, float eps, Stream& stream) {
  check(is_heads(x) && is_f32(gain, {x.head_dim}), "rms_norm_heads", "heads of a matrix, gain [Dh] f32");
  if (x.heads > 0 && x.base.dim(0) > 0) {
    const ScopedSpan span(spans_, "rms_norm_heads", SpanKind::kOp, x.base.dim(0));
    kernels_.rms_norm_heads(x, gain, eps, stream);
  }
}

void Ops::layer_norm(const Tensor& x, const Tensor& gain, const Tensor& bias, float eps, Tensor& y, Stream& stream) {
  check(is_f32_matrix(x) && is_f32(y, x.shape()) && is_f32(gain, {x.dim(1)}) && is_f32(bias, {x.dim(1)}), "layer_norm",
        "x, y [T, D], gain, bias [D] f32");
  if (!x.empty()) {
    const ScopedSpan span(spans_, "layer_norm", SpanKind::kOp, x.dim(0));
    kernels_.layer_norm(x, gain, bias, eps, y, stream);
  }
}

void Ops::rope(const HeadsView& x, const Tensor& cos, const Tensor& sin, Stream& stream) {
  const Shape angles = {x.base.dim(0), x.head_dim / 2};
  check(is_heads(x) && x.head_dim % 2 == 0 && is_f32(cos, angles) && is_f32(sin, angles), "rope",
        "even heads of a matrix, cos, sin [T, Dh / 2] f32");
  if (x.heads > 0 && x.base.dim(0) > 0) {
    const ScopedSpan span(spans_, "rope", SpanKind::kOp, x.base.dim(0));
    kernels_.rope(x, cos, sin, stream);
  }
}

void Ops::silu_mul(const Tensor& x, Tensor& y, Stream& stream) {
  check(is_f32_matrix(x) && is_f32(y, {x.dim(0), x.dim(1) / 2}) && x.dim(1) % 2 == 0, "silu_mul",
        "x [T, 2F], y [T, F] f32");
  if (!y.empty()) {
    const ScopedSpan span(spans_, "silu_mul", SpanKind::kOp, y.dim(0));
    kernels_.silu_mul(x, y, stream);
  }
}

void Ops::add_norm(const Tensor& x, Range rows, const AddNorm& then, std::span<const Weight> readers, Stream& stream) {
  const int64_t width = x.dim(-1);
  check(is_f32_matrix(x) && is_f32(then.hidden, x.shape()) && is_f32(then.normed, x.shape()) &&
            is_f32(then.gain, {width}) && (then.bias.empty() || is_f32(then.bias, {width})) &&
            (then.norm_bias.empty() || is_f32(then.norm_bias, {width})),
        "add_norm", "x, hidden, normed [T, D], bias, gain, norm_bias [D] f32");
  check(0 <= rows.begin && rows.begin <= rows.end && rows.end <= x.dim(0), "add_norm", "rows of x");
  check(std::ranges::all_of(readers, [&](const Weight& reader) { return reader.columns == width; }), "add_norm",
        "every reader has the columns of normed");
  if (rows.size() > 0 && width > 0) {
    const ScopedSpan span(spans_, "add_norm", SpanKind::kOp, rows.size());
    kernels_.add_norm(x, rows, then, readers, stream);
  }
}

void Ops::linear_silu_mul(const Tensor& x, std::span<const Weight> parts, std::span<const GroupStep> steps,
                          Tensor& gate_up, Tensor& y, std::span<const Weight> readers, Stream& stream) {
  check(is_f32_matrix(x) && parts.size() == 2 && is_f32(y, {x.dim(0), parts[0].rows}) &&
            is_f32(gate_up, {x.dim(0), 2 * parts[0].rows}),
        "linear_silu_mul", "x [T, K], two parts, gate_up [T, 2F], y [T, F] f32");
  check(parts[0].rows == parts[1].rows && parts[0].columns == x.dim(1) && parts[1].columns == x.dim(1),
        "linear_silu_mul", "both parts [F, K]");
  check(!steps.empty() && steps.back().end <= x.dim(1) && steps.back().ends_node &&
            std::ranges::count(steps, true, &GroupStep::ends_node) == 1,
        "linear_silu_mul", "steps of one node within the columns");
  check(std::ranges::all_of(readers, [&](const Weight& reader) { return reader.columns == y.dim(1); }),
        "linear_silu_mul", "every reader has the columns of y");
  if (!y.empty()) {
    const ScopedSpan span(spans_, "linear_silu_mul", SpanKind::kOp, x.dim(0));
    kernels_.linear_silu_mul(x, parts, steps, gate_up, y, readers, stream);
  }
}

void Ops::gelu_tanh(const Tensor& x, Tensor& y, Stream& stream) {
  check(is_f32_matrix(x) && is_f32(y, x.shape()), "gelu_tanh", "x, y [T, F] f32");
  if (!x.empty()) {
    const ScopedSpan span(spans_, "gelu_tanh", SpanKind::kOp, y.dim(0));
    kernels_.gelu_tanh(x, y, stream);
  }
}

void Ops::gather_rows(const Tensor& x, const Tensor& rows, Tensor& y, Stream& stream) {
  check(is_f32_matrix(x) && is_i32_vector(rows) && is_f32(y, {rows.dim(0), x.dim(1)}), "gather_rows",
        "x [T, D], y [n, D] f32, rows [n] i32");
  if (kernels_.in_host_memory()) {
    for (const int32_t row : rows.values<int32_t>()) {
      check(row >= 0 && row < x.dim(0), "gather_rows", "a row outside x");
    }
  }
  if (!y.empty()) {
    const ScopedSpan span(spans_, "gather_rows", SpanKind::kOp, y.dim(0));
    kernels_.gather_rows(x, rows, y, stream);
  }
}

void Ops::grouped_linear(const Tensor& x, const RowGroups& to, std::span<const GroupProduct> products, GroupRoom& room,
                         Tensor& nodes, Stream& stream) {
  check(is_f32_matrix(x) && nodes.dtype() == DType::kF32 && nodes.ndim() == 3 && nodes.dim(1) == to.places(),
        "grouped_linear", "x [T, K], nodes [n, places, N] f32");
  check_groups("grouped_linear", to, x.dim(0), products.size(), kernels_.in_host_memory());
  int64_t most_outputs = 0;
  for (const GroupProduct& product : products) {
    if (product.weight != nullptr) {
      check(product.weight->columns == x.dim(1) && product.weight->rows <= nodes.dim(2) &&
                std::ranges::count(product.steps, true, &GroupStep::ends_node) == nodes.dim(0) &&
                (product.steps.empty() || product.steps.back().end <= x.dim(1)),
            "grouped_linear", "every weight has the columns of x and the nodes, and N rows or fewer");
      most_outputs = std::max(most_outputs, product.weight->rows);
    }
  }
  if (!nodes.empty()) {
    check_room("grouped_linear", room, to.places() * x.dim(1), nodes.dim(0) * to.places() * most_outputs,
               kernels_.in_host_memory());
    const ScopedSpan span(spans_, "grouped_linear", SpanKind::kOp, to.places());
    kernels_.grouped_linear(x, to, products, room, nodes, stream);
  }
}

void Ops::grouped_linear_add(const Tensor& x, const RowGroups& to, std::span<const GroupProduct> products,
                             int64_t column, GroupRoom& room, Tensor& y, Stream& stream) {
  check(is_f32_matrix(x) && is_f32_matrix(y) && x.dim(0) == to.places() && column >= 0, "grouped_linear_add",
        "x [places, K], y [T, ..] f32");
  check_groups("grouped_linear_add", to, y.dim(0), products.size(), kernels_.in_host_memory());
  int64_t most_outputs = 0;
  for (const GroupProduct& product : products) {
    if (product.weight != nullptr) {
      check(product.weight->columns <= x.dim(1) && column + product.weight->rows <= y.dim(1) &&
                std::ranges::count(product.steps, true, &GroupStep::ends_node) == 1 &&
                product.steps.back().end <= product.weight->columns,
            "grouped_linear_add", "every weight has K columns or fewer, one node, and rows for columns of y");
      most_outputs = std::max(most_outputs, product.weight->rows);
    }
  }
  if (!x.empty() && most_outputs > 0) {
    check_room("grouped_linear_add", room, x.elements(), to.places() * most_outputs, kernels_.in_host_memory());
    const ScopedSpan span(spans_, "grouped_linear_add", SpanKind::kOp, to.places());
    kernels_.grouped_linear_add(x, to, products, column, room, y, stream);
  }
}

void Ops::weighted_sum(const Tensor& x, const Tensor& places, const Tensor& weights, Tensor& y, Stream& stream) {
  check(is_f32_matrix(x) && places.dtype() == DType::kI32 && places.ndim() == 2 && is_f32(weights, places.shape()) &&
            is_f32(y, {places.dim(0), x.dim(1)}),
        "weighted_sum", "x [P, N], weights [T, E], y [T, N] f32, places [T, E] i32");
  if (kernels_.in_host_memory()) {
    for (const int32_t place : places.values<int32_t>()) {
      check(place < x.dim(0), "weighted_sum", "a place outside x");
    }
  }
  if (!y.empty()) {
    const ScopedSpan span(spans_, "weighted_sum", SpanKind::kOp, y.dim(0));
    kernels_.weighted_sum(x, places, weights, y, stream);
  }
}

void Ops::kv_write(const HeadsView& keys, const HeadsView& values, const Batch& batch, KvLayer& kv, Stream& stream) {
  check_kv_write("kv_write", keys, values, batch, kv);
  if (keys.heads > 0 && batch.rows() > 0) {
    const ScopedSpan span(spans_, "kv_write", SpanKind::kOp, batch.rows());
    kernels_.kv_write(keys, values, batch, kv, stream);
  }
}

void Ops::rope_kv_write(const HeadsView& query, const HeadsView& keys, const HeadsView& values, const Tensor& cos,
                        const Tensor& sin, const Batch& batch, KvLayer& kv, Stream& stream) {
  const Shape angles = {batch.rows(), query.head_dim / 2};
  check(is_heads(query) && query.head_dim % 2 == 0 && query.head_dim == keys.head_dim &&
            query.base.dim(0) == batch.rows() && is_f32(cos, angles) && is_f32(sin, angles),
        "rope_kv_write", "heads of even width, cos, sin [T, Dh / 2] f32");
  check_kv_write("rope_kv_write", keys, values, batch, kv);
  if (query.heads + keys.heads > 0 && batch.rows() > 0) {
    const ScopedSpan span(spans_, "rope_kv_write", SpanKind::kOp, batch.rows());
    kernels_.rope_kv_write(query, keys, values, cos, sin, batch, kv, stream);
  }
}

void Ops::attention(const HeadsView& query, const KvLayer& kv, const Batch& batch, const AttentionSpec& spec,
                    Tensor& out, Stream& stream) {
  check(is_heads(query) && is_kv(kv, query.head_dim) && is_f32(out, {batch.rows(), query.heads * query.head_dim}) &&
            static_cast<int64_t>(spec.kv_head.size()) == query.heads && query.base.dim(0) == batch.rows(),
        "attention", "query heads of a matrix, out [T, H Dh] f32");
  for (const int32_t head : spec.kv_head) {
    check(head >= 0 && head < kv.keys.dim(1), "attention", "a key/value head outside the store");
  }
  check(pages_hold(batch, kv), "attention", "pages for every token");
  if (!out.empty()) {
    const ScopedSpan span(spans_, "attention", SpanKind::kOp, out.dim(0));
    kernels_.attention(query, kv, batch, spec, out, stream);
  }
}

Tensor Ops::replay(const StepKey& key, const std::function<Tensor()>& work, Stream& stream) {
  bool called = false;
  const int64_t begin_ns = spans_ == nullptr ? 0 : now_ns();
  Tensor result = kernels_.replay(
      key,
      [&] {
        called = true;
        return work();
      },
      stream);
  if (spans_ != nullptr && !called) {
    spans_->add({"replay", SpanKind::kOp, begin_ns, now_ns(), key.rows});
  }
  return result;
}

}  // namespace longship
