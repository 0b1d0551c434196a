#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "core/half.h"
#include "engine/backend/kernels.h"

namespace longship {

/// What one operation wrote, and how far a backend's may be from the oracle's, relative to the largest value.
struct Outcome {
  std::string name;
  std::vector<float> values;
  double tolerance;
};

/// Sizes of one run of every operation.
struct OpSizes {
  int64_t tokens = 5;
  int64_t columns = 320;
  int64_t outputs = 83;
  int64_t group = 64;
  int64_t heads = 6;
  int64_t kv_heads = 2;
  int64_t head_dim = 24;
  int64_t history = 150;  ///< Keys before the tokens of the step.
  int64_t window = 0;
};

/// Runs every operation on data that depends on the sizes alone.
class EveryOp {
 public:
  EveryOp(Kernels& kernels, const OpSizes& sizes) : kernels_(kernels), sizes_(sizes), random_(7) {
    kernels_.reserve(sizes.tokens, std::max(sizes.columns, sizes.outputs));
    for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16, DType::kQ8_0, DType::kQ4_0, DType::kQ4_1}) {
      linear(dtype);
    }
    elementwise();
    norms();
    rope();
    attention(DType::kF32);
    attention(DType::kF16);
  }

  const std::vector<Outcome>& outcomes() const { return outcomes_; }

 private:
  Tensor random(const Shape& shape, float spread = 1.0F) {
    Tensor x = Tensor::allocate(DType::kF32, shape);
    std::normal_distribution<float> normal(0.0F, spread);
    for (float& value : x.values<float>()) {
      value = normal(random_);
    }
    return x;
  }

  void keep(const std::string& name, const Tensor& x, double tolerance) {
    Outcome outcome{name, std::vector<float>(static_cast<std::size_t>(x.elements())), tolerance};
    kernels_.read(x, outcome.values.data(), stream_);
    outcomes_.push_back(std::move(outcome));
  }

  // A stored matrix of plausible values: random quants, f16 scales of a few hundredths.
  std::vector<std::byte> stored(DType dtype, int64_t rows, int64_t columns) {
    std::vector<std::byte> bytes(static_cast<std::size_t>(bytes_of(dtype, rows * columns)));
    for (std::byte& byte : bytes) {
      byte = static_cast<std::byte>(random_());
    }
    std::normal_distribution<float> normal(0.0F, 0.05F);
    const int64_t unit = info(dtype).block_bytes;
    for (int64_t at = 0; at < std::ssize(bytes); at += unit) {
      const float value = normal(random_);
      if (dtype == DType::kF32) {
        std::memcpy(&bytes[static_cast<std::size_t>(at)], &value, 4);
        continue;
      }
      const uint16_t half = dtype == DType::kBF16 ? f32_to_bf16(value) : f32_to_f16(value);
      std::memcpy(&bytes[static_cast<std::size_t>(at)], &half, 2);
      if (dtype == DType::kQ4_1) {
        std::memcpy(&bytes[static_cast<std::size_t>(at + 2)], &half, 2);
      }
    }
    return bytes;
  }

  void linear(DType dtype) {
    const int64_t groups = (sizes_.columns + sizes_.group - 1) / sizes_.group;
    const ReductionTree tree(static_cast<int32_t>(groups), {0, static_cast<int32_t>(groups)});
    const std::vector<GroupStep> steps = tree.steps(0, sizes_.group, sizes_.columns);
    const std::vector<int64_t> rows = {sizes_.outputs, 0, 16};
    std::vector<Weight> parts;
    std::vector<Tensor> packed;
    for (const int64_t n : rows) {
      const std::vector<std::byte> bytes = stored(dtype, n, sizes_.columns);
      packed.push_back(Tensor::allocate(DType::kU8, {kernels_.packed_bytes(dtype, n, sizes_.columns)}));
      Weight weight{dtype, n, sizes_.columns, packed.back().data<std::byte>()};
      for (int64_t row = 0; row < n; row += Kernels::kPackRows) {
        const int64_t count = std::min(Kernels::kPackRows, n - row);
        kernels_.pack({dtype, count, sizes_.columns, bytes.data() + row * bytes_of(dtype, sizes_.columns)}, row,
                      weight);
      }
      parts.push_back(weight);
    }
    const Tensor x = random({sizes_.tokens, sizes_.columns});
    Tensor nodes = Tensor::allocate(DType::kF32, {1, sizes_.tokens, sizes_.outputs + 16});
    kernels_.linear(x, parts, steps, nodes, stream_);
    keep("linear " + std::string(longship::name(dtype)), nodes, is_block_quantised(dtype) ? 2e-2 : 1e-5);

    const std::vector<std::byte> table = stored(dtype, 50, sizes_.columns);
    Tensor ids = Tensor::allocate(DType::kI32, {sizes_.tokens});
    for (int64_t t = 0; t < sizes_.tokens; ++t) {
      ids.data<int32_t>()[t] = static_cast<int32_t>(t * 17 % 50);
    }
    Tensor rows_out = Tensor::allocate(DType::kF32, {sizes_.tokens, sizes_.columns});
    kernels_.embed({dtype, 50, sizes_.columns, table.data()}, ids, rows_out, stream_);
    keep("embed " + std::string(longship::name(dtype)), rows_out, 0);
  }

  void elementwise() {
    const int64_t width = sizes_.outputs;
    const Tensor x = random({sizes_.tokens, width}, 4.0F);
    const Tensor bias = random({width});
    const Tensor residual = random({sizes_.tokens, width});
    Tensor y = Tensor::allocate(DType::kF32, x.shape());
    kernels_.add(x, bias, residual, y, stream_);
    keep("add", y, 1e-7);
    kernels_.add(x, {}, residual, y, stream_);
    keep("add without bias", y, 1e-7);
    kernels_.gelu_tanh(x, y, stream_);
    keep("gelu_tanh", y, 1e-6);
    const Tensor gate_up = random({sizes_.tokens, 2 * width}, 6.0F);
    kernels_.silu_mul(gate_up, y, stream_);
    keep("silu_mul", y, 1e-6);
    Tensor rows = Tensor::allocate(DType::kI32, {2});
    rows.data<int32_t>()[0] = static_cast<int32_t>(sizes_.tokens - 1);
    Tensor picked = Tensor::allocate(DType::kF32, {2, width});
    kernels_.gather_rows(x, rows, picked, stream_);
    keep("gather_rows", picked, 0);
  }

  void norms() {
    const int64_t width = sizes_.columns;
    const Tensor x = random({sizes_.tokens, width}, 3.0F);
    const Tensor gain = random({width});
    const Tensor bias = random({width});
    Tensor y = Tensor::allocate(DType::kF32, x.shape());
    kernels_.rms_norm(x, gain, 1e-5F, y, stream_);
    keep("rms_norm", y, 1e-6);
    kernels_.layer_norm(x, gain, bias, 1e-5F, y, stream_);
    keep("layer_norm", y, 1e-6);
    const HeadsView heads{random({sizes_.tokens, sizes_.heads * sizes_.head_dim + 3}), 3, sizes_.heads,
                          sizes_.head_dim};
    kernels_.rms_norm_heads(heads, random({sizes_.head_dim}), 1e-6F, stream_);
    keep("rms_norm_heads", heads.base, 1e-6);
  }

  void rope() {
    const HeadsView heads{random({sizes_.tokens, sizes_.heads * sizes_.head_dim + 3}), 2, sizes_.heads,
                          sizes_.head_dim};
    const Tensor angle = random({sizes_.tokens, sizes_.head_dim / 2}, 9.0F);
    Tensor cos = Tensor::allocate(DType::kF32, angle.shape());
    Tensor sin = Tensor::allocate(DType::kF32, angle.shape());
    for (int64_t i = 0; i < angle.elements(); ++i) {
      cos.data<float>()[i] = std::cos(angle.data<float>()[i]);
      sin.data<float>()[i] = std::sin(angle.data<float>()[i]);
    }
    kernels_.rope(heads, cos, sin, stream_);
    keep("rope", heads.base, 1e-6);
  }

  void attention(DType kv_type) {
    const int64_t total = sizes_.history + sizes_.tokens;
    const int64_t pages = (total + kPageTokens - 1) / kPageTokens;
    KvLayer kv{Tensor::allocate(kv_type, {pages + 1, sizes_.kv_heads, sizes_.head_dim, kPageTokens}),
               Tensor::allocate(kv_type, {pages + 1, sizes_.kv_heads, kPageTokens, sizes_.head_dim})};
    Batch batch;
    batch.slices.push_back({.first_row = 0, .rows = total, .begin = 0, .pages = {}});
    for (int64_t page = 0; page < pages; ++page) {
      batch.slices[0].pages.push_back(static_cast<int32_t>(pages - page));
    }
    batch.positions = Tensor::allocate(DType::kI32, {total});
    const int64_t width = sizes_.kv_heads * sizes_.head_dim;
    const HeadsView keys{random({total, width}), 0, sizes_.kv_heads, sizes_.head_dim};
    const HeadsView values{random({total, width}), 0, sizes_.kv_heads, sizes_.head_dim};
    kernels_.kv_write(keys, values, batch, kv, stream_);

    batch.slices[0].begin = sizes_.history;
    batch.slices[0].rows = sizes_.tokens;
    batch.positions = Tensor::allocate(DType::kI32, {sizes_.tokens});
    const HeadsView query{random({sizes_.tokens, sizes_.heads * sizes_.head_dim}, 2.0F), 0, sizes_.heads,
                          sizes_.head_dim};
    AttentionSpec spec{.scale = 0.2F, .window = sizes_.window, .kv_head = {}};
    for (int64_t head = 0; head < sizes_.heads; ++head) {
      spec.kv_head.push_back(static_cast<int32_t>(head * sizes_.kv_heads / sizes_.heads));
    }
    Tensor out = Tensor::allocate(DType::kF32, {sizes_.tokens, sizes_.heads * sizes_.head_dim});
    kernels_.attention(query, kv, batch, spec, out, stream_);
    keep("attention " + std::string(longship::name(kv_type)), out, 2e-6);
  }

  Kernels& kernels_;
  OpSizes sizes_;
  std::mt19937 random_;
  Stream stream_;
  std::vector<Outcome> outcomes_;
};

}  // namespace longship
