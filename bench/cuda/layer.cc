#include <algorithm>
#include <string>

#include "bench/cuda/device_data.h"
#include "bench/cuda/operations.h"
#include "bench/made_up_weights.h"

namespace longship {

namespace {

constexpr float kEps = 1e-5F;

/// The operations of a decode step of one token, in the order of engine/model.
class Layer {
 public:
  Layer(DeviceBench& bench, int64_t depth)
      : bench_(bench),
        shape_(bench.shape()),
        qkv_(bench, DType::kBF16, shape_.qkv_width(), shape_.hidden),
        attention_output_(bench, DType::kBF16, shape_.hidden, shape_.query_width()),
        gate_(bench, DType::kBF16, shape_.inner, shape_.hidden),
        up_(bench, DType::kBF16, shape_.inner, shape_.hidden),
        down_(bench, DType::kBF16, shape_.hidden, shape_.inner),
        kv_(bench, DType::kBF16, 1, depth),
        batch_(device_batch(bench, 1, 1, depth)),
        spec_(attention_spec(shape_)),
        gain_(device_values(bench, {shape_.hidden})),
        angles_(device_values(bench, {1, shape_.head_dim / 2})),
        hidden_(device_values(bench, {1, shape_.hidden})),
        normed_(empty(shape_.hidden)),
        projected_(empty(shape_.qkv_width())),
        attended_(empty(shape_.query_width())),
        gate_up_(empty(2 * shape_.inner)),
        activated_(empty(shape_.inner)),
        sum_(empty(shape_.hidden)) {
    bench.kernels().begin_step(batch_, bench.stream());
  }

  CallCost cost() const {
    return {
        .bytes = qkv_.bytes() + attention_output_.bytes() + gate_.bytes() + up_.bytes() + down_.bytes() + kv_.bytes(),
        .ops = 0};
  }
  int64_t different() const { return std::max({qkv_.count(), attention_output_.count(), up_.count(), down_.count()}); }

  void run(int64_t call) {
    Kernels& kernels = bench_.kernels();
    Stream& stream = bench_.stream();
    const HeadsView query{projected_, 0, shape_.heads, shape_.head_dim};
    const HeadsView keys{projected_, shape_.query_width(), shape_.kv_heads, shape_.head_dim};
    const HeadsView values{projected_, shape_.query_width() + shape_.kv_width(), shape_.kv_heads, shape_.head_dim};
    multiply(normed_, qkv_.of(call), projected_);
    kernels.rope_kv_write(query, keys, values, angles_, angles_, batch_, kv_.of(call), stream);
    kernels.attention(query, kv_.of(call), batch_, spec_, attended_, stream);
    multiply(attended_, attention_output_.of(call), sum_);
    add_norm();
    const Weight gate_up[] = {gate_.of(call), up_.of(call)};
    kernels.linear_silu_mul(normed_, gate_up, whole_sum(shape_.hidden), gate_up_, activated_, {}, stream);
    multiply(activated_, down_.of(call), sum_);
    add_norm();
  }

 private:
  Tensor empty(int64_t width) { return bench_.kernels().allocate(DType::kF32, {1, width}); }

  void add_norm() {
    const AddNorm then{.bias = {}, .hidden = hidden_, .gain = gain_, .norm_bias = {}, .eps = kEps, .normed = normed_};
    bench_.kernels().add_norm(sum_, {0, 1}, then, {}, bench_.stream());
  }

  void multiply(const Tensor& x, const Weight& weight, Tensor& y) {
    Tensor nodes = y.reshape({1, 1, y.dim(1)});
    bench_.kernels().linear(x, {&weight, 1}, whole_sum(weight.columns), nodes, bench_.stream());
  }

  DeviceBench& bench_;
  const BenchShape& shape_;
  DeviceWeights qkv_;
  DeviceWeights attention_output_;
  DeviceWeights gate_;
  DeviceWeights up_;
  DeviceWeights down_;
  DeviceKv kv_;
  Batch batch_;
  AttentionSpec spec_;
  Tensor gain_;
  Tensor angles_;
  Tensor hidden_;
  Tensor normed_;
  Tensor projected_;
  Tensor attended_;
  Tensor gate_up_;
  Tensor activated_;
  Tensor sum_;
};

void time_around(DeviceBench& bench) {
  const BenchShape& shape = bench.shape();
  Kernels& kernels = bench.kernels();
  DeviceWeights head(bench, DType::kBF16, shape.vocab, shape.hidden);
  const std::vector<std::byte> stored = made_up_rows(DType::kBF16, 1, shape.hidden);
  Tensor table = kernels.allocate(DType::kU8, {static_cast<int64_t>(stored.size())});
  kernels.write(stored.data(), table, bench.stream());
  const StoredMatrix row{.dtype = DType::kBF16, .rows = 1, .columns = shape.hidden, .data = table.data<std::byte>()};
  const Tensor token = device_indices(bench, {0});
  const Tensor gain = device_values(bench, {shape.hidden});
  const std::vector<GroupStep> steps = whole_sum(shape.hidden);
  Tensor hidden = kernels.allocate(DType::kF32, {1, shape.hidden});
  Tensor normed = kernels.allocate(DType::kF32, {1, shape.hidden});
  Tensor logits = kernels.allocate(DType::kF32, {1, 1, shape.vocab});
  bench.time("kernels around the layers, 1 token", {.bytes = head.bytes()}, "", head.count(), [&](int64_t call) {
    kernels.embed(row, token, hidden, bench.stream());
    kernels.rms_norm(hidden, gain, kEps, normed, bench.stream());
    kernels.linear(normed, {&head.of(call), 1}, steps, logits, bench.stream());
  });
}

}  // namespace

void time_layer(DeviceBench& bench) {
  const int64_t depth = bench.shape().depths.front();
  {
    Layer layer(bench, depth);
    bench.time("kernels of a layer, 1 token behind " + std::to_string(depth), layer.cost(), "", layer.different(),
               [&](int64_t call) { layer.run(call); });
  }
  time_around(bench);
}

}  // namespace longship
