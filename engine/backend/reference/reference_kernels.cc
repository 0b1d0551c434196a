#include "engine/backend/reference/reference_kernels.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/span_log.h"
#include "engine/backend/reference/reference_attention.h"
#include "engine/weights/blocks.h"

namespace longship {

namespace {

class ReferenceKernels : public Kernels {
 public:
  std::string_view name() const override { return "reference"; }

  std::string_view packing() const override { return "as stored 1"; }

  int64_t packed_bytes(DType, int64_t rows, int64_t columns) const override {
    return rows * columns * static_cast<int64_t>(sizeof(float));
  }

  void pack(const StoredMatrix& stored, int64_t first_row, Weight& weight) override {
    float* out = reinterpret_cast<float*>(weight.data) + first_row * weight.columns;
    for (int64_t row = 0; row < stored.rows; ++row, out += stored.columns) {
      stored.dequantise(row, {0, stored.columns}, out);
    }
  }

  int64_t scratch_bytes(int64_t, int64_t) const override { return 0; }
  void reserve(int64_t, int64_t) override {}

  void embed(const StoredMatrix& table, const Tensor& ids, Tensor& out, Stream&) override {
    float* row = out.data<float>();
    for (const int32_t id : ids.values<int32_t>()) {
      dequantize(table.dtype, table.row(id), table.columns, row);
      row += table.columns;
    }
  }

  void linear(const Tensor& x, std::span<const Weight> parts, std::span<const GroupStep> steps, Tensor& nodes,
              Stream&) override {
    const int64_t rows = x.dim(0);
    const int64_t outputs = nodes.dim(2);
    int64_t first = 0;
    for (const Weight& part : parts) {
      const float* w = reinterpret_cast<const float*>(part.data);
      for (int64_t t = 0; t < rows; ++t) {
        for (int64_t n = 0; n < part.rows; ++n) {
          float* out = nodes.data<float>() + t * outputs + first + n;
          sum_groups(w + n * part.columns, x.data<float>() + t * part.columns, steps, out, rows * outputs);
        }
      }
      first += part.rows;
    }
  }

  void grouped_linear(const Tensor& x, const RowGroups& to, std::span<const GroupProduct> products, GroupRoom&,
                      Tensor& nodes, Stream&) override {
    std::fill_n(nodes.data<float>(), nodes.elements(), 0.0F);
    for (int64_t place = 0; place < to.places(); ++place) {
      const float* row = x.data<float>() + to.rows.data<int32_t>()[place] * x.dim(1);
      const std::vector<float> sums = sums_of_group(row, to.groups.data<int32_t>()[place], products, nodes.dim(0));
      const int64_t outputs = std::ssize(sums) / nodes.dim(0);
      for (int64_t node = 0; node < nodes.dim(0); ++node) {
        std::copy_n(sums.data() + node * outputs, outputs,
                    nodes.data<float>() + (node * to.places() + place) * nodes.dim(2));
      }
    }
  }

  void grouped_linear_add(const Tensor& x, const RowGroups& to, std::span<const GroupProduct> products, int64_t column,
                          GroupRoom&, Tensor& y, Stream&) override {
    for (int64_t place = 0; place < to.places(); ++place) {
      const int32_t group = to.groups.data<int32_t>()[place];
      const std::vector<float> sums = sums_of_group(x.data<float>() + place * x.dim(1), group, products, 1);
      float* out = y.data<float>() + to.rows.data<int32_t>()[place] * y.dim(1) + column;
      for (const float sum : sums) {
        *out++ += products[static_cast<std::size_t>(group)].scale * sum;
      }
    }
  }

  void add(const Tensor& x, const Tensor& bias, const Tensor& residual, Tensor& y, Stream&) override {
    const int64_t width = x.dim(1);
    for (int64_t i = 0; i < x.elements(); ++i) {
      float value = x.data<float>()[i];
      if (!bias.empty()) {
        value = value + bias.data<float>()[i % width];
      }
      y.data<float>()[i] = residual.empty() ? value : residual.data<float>()[i] + value;
    }
  }

  void rms_norm(const Tensor& x, const Tensor& gain, float eps, Tensor& y, Stream&) override {
    for (int64_t t = 0; t < x.dim(0); ++t) {
      normalise_rms(x.data<float>() + t * x.dim(1), gain, eps, y.data<float>() + t * x.dim(1));
    }
  }

  void rms_norm_heads(const HeadsView& x, const Tensor& gain, float eps, Stream&) override {
    for (int64_t t = 0; t < x.base.dim(0); ++t) {
      for (int64_t head = 0; head < x.heads; ++head) {
        float* values = x.row(t) + head * x.head_dim;
        normalise_rms(values, gain, eps, values);
      }
    }
  }

  void layer_norm(const Tensor& x, const Tensor& gain, const Tensor& bias, float eps, Tensor& y, Stream&) override {
    const int64_t width = x.dim(1);
    for (int64_t t = 0; t < x.dim(0); ++t) {
      const float* in = x.data<float>() + t * width;
      double mean = 0;
      double variance = 0;
      for (int64_t i = 0; i < width; ++i) {
        mean += static_cast<double>(in[i]);
      }
      mean /= static_cast<double>(width);
      for (int64_t i = 0; i < width; ++i) {
        variance += (static_cast<double>(in[i]) - mean) * (static_cast<double>(in[i]) - mean);
      }
      const double scale = 1.0 / std::sqrt(variance / static_cast<double>(width) + static_cast<double>(eps));
      for (int64_t i = 0; i < width; ++i) {
        const double value = (static_cast<double>(in[i]) - mean) * scale * static_cast<double>(gain.data<float>()[i]);
        y.data<float>()[t * width + i] = static_cast<float>(value + static_cast<double>(bias.data<float>()[i]));
      }
    }
  }

  void rope(const HeadsView& x, const Tensor& cos, const Tensor& sin, Stream&) override {
    const int64_t half = x.head_dim / 2;
    for (int64_t t = 0; t < x.base.dim(0); ++t) {
      for (int64_t head = 0; head < x.heads; ++head) {
        float* values = x.row(t) + head * x.head_dim;
        for (int64_t i = 0; i < half; ++i) {
          const double c = static_cast<double>(cos.data<float>()[t * half + i]);
          const double s = static_cast<double>(sin.data<float>()[t * half + i]);
          const double a = static_cast<double>(values[i]);
          const double b = static_cast<double>(values[i + half]);
          values[i] = static_cast<float>(a * c - b * s);
          values[i + half] = static_cast<float>(b * c + a * s);
        }
      }
    }
  }

  void silu_mul(const Tensor& x, Tensor& y, Stream&) override {
    const int64_t ffn = y.dim(1);
    for (int64_t t = 0; t < y.dim(0); ++t) {
      const float* gate = x.data<float>() + 2 * t * ffn;
      for (int64_t i = 0; i < ffn; ++i) {
        const double g = static_cast<double>(gate[i]);
        const double u = static_cast<double>(gate[ffn + i]);
        y.data<float>()[t * ffn + i] = static_cast<float>(g / (1 + std::exp(-g)) * u);
      }
    }
  }

  void gelu_tanh(const Tensor& x, Tensor& y, Stream&) override {
    constexpr double kSqrtTwoOverPi = 0.79788456080286535588;
    for (int64_t i = 0; i < x.elements(); ++i) {
      const double v = static_cast<double>(x.data<float>()[i]);
      y.data<float>()[i] = static_cast<float>(0.5 * v * (1 + std::tanh(kSqrtTwoOverPi * (v + 0.044715 * v * v * v))));
    }
  }

  void gather_rows(const Tensor& x, const Tensor& rows, Tensor& y, Stream&) override {
    float* out = y.data<float>();
    for (const int32_t row : rows.values<int32_t>()) {
      out = std::copy_n(x.data<float>() + row * x.dim(1), x.dim(1), out);
    }
  }

  void kv_write(const HeadsView& keys, const HeadsView& values, const Batch& batch, KvLayer& kv, Stream&) override {
    reference_kv_write(keys, values, batch, kv);
  }

  void attention(const HeadsView& query, const KvLayer& kv, const Batch& batch, const AttentionSpec& spec, Tensor& out,
                 Stream&) override {
    reference_attention(query, kv, batch, spec, out);
  }

  Roofline measure_roofline(DType) override {
    const std::vector<double> values(1 << 22, 1.0);
    const int64_t begin = now_ns();
    double sum = 0;
    for (const double value : values) {
      sum += value * value;
    }
    const double seconds = static_cast<double>(now_ns() - begin) * 1e-9;
    const auto count = sum > 0 ? static_cast<double>(values.size()) : 0.0;
    return {count * sizeof(double) / seconds, 2 * count / seconds};
  }

 private:
  // The sums of one row by the program of `steps`; node i goes to out[i * stride].
  static void sum_groups(const float* w, const float* x, std::span<const GroupStep> steps, float* out, int64_t stride) {
    std::vector<float> stack;
    for (const GroupStep& step : steps) {
      double sum = 0;
      for (int64_t k = step.begin; k < step.end; ++k) {
        sum += static_cast<double>(w[k]) * static_cast<double>(x[k]);
      }
      stack.push_back(static_cast<float>(sum));
      for (int32_t i = 0; i < step.merges; ++i) {
        const float newer = stack.back();
        stack.pop_back();
        stack.back() = stack.back() + newer;
      }
      if (step.ends_node) {
        *out = stack.back();
        stack.pop_back();
        out += stride;
      }
    }
  }

  // [nodes, outputs] of one row; nothing where its group has no weight.
  static std::vector<float> sums_of_group(const float* x, int32_t group, std::span<const GroupProduct> products,
                                          int64_t nodes) {
    const Weight* weight = group < 0 ? nullptr : products[static_cast<std::size_t>(group)].weight;
    if (weight == nullptr) {
      return {};
    }
    std::vector<float> sums(static_cast<std::size_t>(nodes * weight->rows));
    for (int64_t n = 0; n < weight->rows; ++n) {
      sum_groups(reinterpret_cast<const float*>(weight->data) + n * weight->columns, x,
                 products[static_cast<std::size_t>(group)].steps, sums.data() + n, weight->rows);
    }
    return sums;
  }

  static void normalise_rms(const float* x, const Tensor& gain, float eps, float* y) {
    const int64_t width = gain.dim(0);
    double squares = 0;
    for (int64_t i = 0; i < width; ++i) {
      squares += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    }
    const double scale = 1.0 / std::sqrt(squares / static_cast<double>(width) + static_cast<double>(eps));
    for (int64_t i = 0; i < width; ++i) {
      y[i] = static_cast<float>(static_cast<double>(x[i]) * scale * static_cast<double>(gain.data<float>()[i]));
    }
  }
};

}  // namespace

std::unique_ptr<Kernels> make_reference_kernels() {
  return std::make_unique<ReferenceKernels>();
}

}  // namespace longship
