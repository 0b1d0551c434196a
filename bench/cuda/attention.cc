#include <string>

#include "bench/cuda/device_data.h"
#include "bench/cuda/operations.h"

namespace longship {

namespace {

void time_one(DeviceBench& bench, const std::string& name, DType dtype, int64_t sequences, int64_t rows, int64_t depth,
              const std::string& goal) {
  const BenchShape& shape = bench.shape();
  DeviceKv kv(bench, dtype, sequences, depth);
  const Batch batch = device_batch(bench, sequences, rows, depth);
  const Tensor query = device_values(bench, {sequences * rows, shape.query_width()});
  Tensor out = bench.kernels().allocate(DType::kF32, {sequences * rows, shape.query_width()});
  const AttentionSpec spec = attention_spec(shape);
  const int64_t pairs = sequences * (rows * depth - rows * (rows - 1) / 2);
  bench.kernels().begin_step(batch, bench.stream());
  bench.time("attention " + std::string(longship::name(dtype)) + ", " + name,
             {.bytes = kv.bytes() + query.bytes() + out.bytes(), .ops = 4 * shape.query_width() * pairs}, goal,
             kv.count(), [&](int64_t call) {
               bench.kernels().attention({query, 0, shape.heads, shape.head_dim}, kv.of(call), batch, spec, out,
                                         bench.stream());
             });
}

std::string behind(int64_t depth) {
  return " behind " + std::to_string(depth);
}

}  // namespace

void time_attention(DeviceBench& bench) {
  const BenchShape& shape = bench.shape();
  constexpr int64_t kLongDepth = 131072;
  for (const int64_t depth : shape.depths) {
    time_one(bench, "1 token" + behind(depth), DType::kBF16, 1, 1, depth, depth == kLongDepth ? "88 % of copy" : "");
  }
  time_one(bench, "1 token" + behind(shape.depths.back()), DType::kQ8_0, 1, 1, shape.depths.back(), "");
  time_one(bench, std::to_string(shape.sequences) + " sequences, 1 token" + behind(shape.sequence_depth), DType::kBF16,
           shape.sequences, 1, shape.sequence_depth, "75 % of copy");
  for (const int64_t prompt : shape.prompts) {
    time_one(bench, "prompt of " + std::to_string(prompt), DType::kBF16, 1, prompt, prompt, "");
  }
  time_one(bench, std::to_string(shape.prompts.front()) + " tokens" + behind(shape.depths.front()), DType::kBF16, 1,
           shape.prompts.front(), shape.depths.front() + shape.prompts.front(), "");
}

}  // namespace longship
