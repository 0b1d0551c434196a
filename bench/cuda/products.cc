#include <string>

#include "bench/cuda/device_data.h"
#include "bench/cuda/operations.h"

namespace longship {

namespace {

struct NamedMatrix {
  const char* name;
  int64_t rows;
  int64_t columns;
  const char* goal;  // for one token
};

void time_product(DeviceBench& bench, const std::string& name, DeviceWeights& weights, int64_t tokens,
                  const std::string& goal) {
  const int64_t rows = weights.rows();
  const int64_t columns = weights.columns();
  const Tensor x = device_values(bench, {tokens, columns});
  Tensor y = bench.kernels().allocate(DType::kF32, {1, tokens, rows});
  const std::vector<GroupStep> steps = whole_sum(columns);
  const CallCost cost{.bytes = weights.bytes() + x.bytes() + y.bytes(), .ops = 2 * tokens * rows * columns};
  bench.time(name + ", " + std::to_string(tokens) + (tokens == 1 ? " token" : " tokens"), cost, goal, weights.count(),
             [&](int64_t call) {
               bench.kernels().linear(x, {&weights.of(call), 1}, steps, y, bench.stream());
             });
}

}  // namespace

void time_products(DeviceBench& bench) {
  const BenchShape& shape = bench.shape();
  const NamedMatrix up{"gate and up", 2 * shape.inner, shape.hidden, "95 % of read"};
  const NamedMatrix matrices[] = {
      {"query, key, value", shape.qkv_width(), shape.hidden, "88 % of read"},
      {"attention output", shape.hidden, shape.query_width(), "88 % of read"},
      {"down", shape.hidden, shape.inner, "95 % of read"},
      {"head", shape.vocab, shape.hidden, "95 % of read"},
  };
  for (const NamedMatrix& matrix : matrices) {
    DeviceWeights weights(bench, DType::kBF16, matrix.rows, matrix.columns);
    time_product(bench, std::string("linear BF16, ") + matrix.name, weights, 1, matrix.goal);
  }
  for (const DType dtype :
       {DType::kBF16, DType::kF16, DType::kQ8_0, DType::kQ4_0, DType::kQ4_K, DType::kQ6_K, DType::kMXFP4}) {
    DeviceWeights weights(bench, dtype, up.rows, up.columns);
    const std::string title = "linear " + std::string(name(dtype)) + ", " + up.name;
    for (const int64_t tokens : shape.few_tokens) {
      time_product(bench, title, weights, tokens, tokens == 1 && dtype == DType::kBF16 ? up.goal : "");
    }
    if (dtype == DType::kBF16 || dtype == DType::kQ8_0) {
      for (const int64_t tokens : shape.many_tokens) {
        time_product(bench, title, weights, tokens, "");
      }
    }
  }
}

}  // namespace longship
