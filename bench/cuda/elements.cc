#include <algorithm>
#include <string>

#include "bench/cuda/device_data.h"
#include "bench/cuda/operations.h"
#include "bench/made_up_weights.h"

namespace longship {

namespace {

constexpr float kEps = 1e-5F;
constexpr int64_t kTableRows = 8192;  // of an embedding larger than a cache

/// Times operations on tensors of some tokens. Those of one token lie in the cache, as they do in a model.
class Elements {
 public:
  Elements(DeviceBench& bench, int64_t tokens) : bench_(bench), tokens_(tokens) {}

  void norms() {
    const int64_t width = bench_.shape().hidden;
    const Tensor gain = device_values(bench_, {width});
    const Tensor bias = device_values(bench_, {width});
    over("rms_norm", width, width,
         [&](const Tensor& x, Tensor& y, Stream& stream) { bench_.kernels().rms_norm(x, gain, kEps, y, stream); });
    over("layer_norm", width, width, [&](const Tensor& x, Tensor& y, Stream& stream) {
      bench_.kernels().layer_norm(x, gain, bias, kEps, y, stream);
    });
    over("add, with residual", width, width,
         [&](const Tensor& x, Tensor& y, Stream& stream) { bench_.kernels().add(x, {}, y, y, stream); });
  }

  void heads() {
    const BenchShape& shape = bench_.shape();
    const int64_t width = shape.query_width();
    const Tensor gain = device_values(bench_, {shape.head_dim});
    const Tensor angles = device_values(bench_, {tokens_, shape.head_dim / 2});
    over("rms_norm_heads", width, 0, [&](const Tensor& x, Tensor&, Stream& stream) {
      bench_.kernels().rms_norm_heads({x, 0, shape.heads, shape.head_dim}, gain, kEps, stream);
    });
    over("rope", width, 0, [&](const Tensor& x, Tensor&, Stream& stream) {
      bench_.kernels().rope({x, 0, shape.heads, shape.head_dim}, angles, angles, stream);
    });
  }

  void activations() {
    const int64_t inner = bench_.shape().inner;
    over("silu_mul", 2 * inner, inner,
         [&](const Tensor& x, Tensor& y, Stream& stream) { bench_.kernels().silu_mul(x, y, stream); });
    over("gelu_tanh", inner, inner,
         [&](const Tensor& x, Tensor& y, Stream& stream) { bench_.kernels().gelu_tanh(x, y, stream); });
  }

  void lookups() {
    const BenchShape& shape = bench_.shape();
    const int64_t table_rows = std::min(shape.vocab, kTableRows);
    std::vector<int32_t> reversed;
    std::vector<int32_t> scattered;
    for (int64_t row = 0; row < tokens_; ++row) {
      reversed.push_back(static_cast<int32_t>(tokens_ - 1 - row));
      scattered.push_back(static_cast<int32_t>(row * 7919 % table_rows));
    }
    const Tensor rows = device_indices(bench_, reversed);
    const Tensor ids = device_indices(bench_, scattered);
    over("gather_rows", shape.hidden, shape.hidden,
         [&](const Tensor& x, Tensor& y, Stream& stream) { bench_.kernels().gather_rows(x, rows, y, stream); });
    const std::vector<std::byte> stored = made_up_rows(DType::kBF16, table_rows, shape.hidden);
    Tensor table = bench_.kernels().allocate(DType::kU8, {static_cast<int64_t>(stored.size())});
    bench_.kernels().write(stored.data(), table, bench_.stream());
    const StoredMatrix matrix{
        .dtype = DType::kBF16, .rows = table_rows, .columns = shape.hidden, .data = table.data<std::byte>()};
    Tensor out = bench_.kernels().allocate(DType::kF32, {tokens_, shape.hidden});
    bench_.time("embed BF16" + suffix(), {.bytes = tokens_ * shape.hidden * 6}, "", 1,
                [&](int64_t) { bench_.kernels().embed(matrix, ids, out, bench_.stream()); });
  }

  void keys() {
    const BenchShape& shape = bench_.shape();
    DeviceKv kv(bench_, DType::kBF16, 1, tokens_);
    const Batch batch = device_batch(bench_, 1, tokens_, tokens_);
    const Tensor x = device_values(bench_, {tokens_, 2 * shape.kv_width()});
    bench_.kernels().begin_step(batch, bench_.stream());
    bench_.time("kv_write BF16" + suffix(), {.bytes = x.bytes() + kv.bytes()}, "", tokens_ == 1 ? 1 : kv.count(),
                [&](int64_t call) {
                  bench_.kernels().kv_write({x, 0, shape.kv_heads, shape.head_dim},
                                            {x, shape.kv_width(), shape.kv_heads, shape.head_dim}, batch, kv.of(call),
                                            bench_.stream());
                });
  }

 private:
  std::string suffix() const { return ", " + std::to_string(tokens_) + (tokens_ == 1 ? " token" : " tokens"); }

  // An operation from x [tokens, in] to y [tokens, out]; without `out` it works in place.
  template <class Op>
  void over(const std::string& name, int64_t in, int64_t out, const Op& op) {
    const int64_t bytes = 4 * tokens_ * (in + (out == 0 ? in : out));
    const int64_t copies = tokens_ == 1 ? 1 : bench_.different(bytes);
    const Tensor xs = device_values(bench_, {copies * tokens_, in});
    const Tensor ys = device_values(bench_, {copies * tokens_, out});
    bench_.time(name + suffix(), {.bytes = bytes}, "", copies, [&](int64_t call) {
      Tensor y = ys.slice(call * tokens_, (call + 1) * tokens_);
      op(xs.slice(call * tokens_, (call + 1) * tokens_), y, bench_.stream());
    });
  }

  DeviceBench& bench_;
  int64_t tokens_;
};

}  // namespace

void time_elements(DeviceBench& bench) {
  for (const int64_t tokens : {int64_t{1}, bench.shape().rows}) {
    Elements elements(bench, tokens);
    elements.norms();
    elements.heads();
    elements.activations();
    elements.lookups();
    elements.keys();
  }
}

}  // namespace longship
