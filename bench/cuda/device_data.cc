#include "bench/cuda/device_data.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "bench/made_up_weights.h"

namespace longship {

namespace {

constexpr int64_t kRowsAtATime = 1024;  // stored and packed, or tokens whose keys are written

int64_t page_count(int64_t depth) {
  return (depth + kPageTokens - 1) / kPageTokens;
}

std::vector<int32_t> pages_of(int64_t sequence, int64_t depth) {
  std::vector<int32_t> pages(static_cast<std::size_t>(page_count(depth)));
  std::iota(pages.begin(), pages.end(), static_cast<int32_t>(sequence * page_count(depth)));
  return pages;
}

}  // namespace

Tensor device_values(DeviceBench& bench, const Shape& shape) {
  Tensor host = Tensor::allocate(DType::kF32, shape);
  std::minstd_rand random(1);
  for (float& value : host.values<float>()) {
    value = static_cast<float>(random() % 2048) / 1024.0F - 1.0F;
  }
  Tensor device = bench.kernels().allocate(DType::kF32, shape);
  bench.kernels().write(host.data<void>(), device, bench.stream());
  return device;
}

Tensor device_indices(DeviceBench& bench, const std::vector<int32_t>& values) {
  Tensor device = bench.kernels().allocate(DType::kI32, {static_cast<int64_t>(values.size())});
  bench.kernels().write(values.data(), device, bench.stream());
  return device;
}

DeviceWeights::DeviceWeights(DeviceBench& bench, DType dtype, int64_t rows, int64_t columns)
    : bench_(bench),
      dtype_(dtype),
      rows_(rows),
      columns_(columns),
      bytes_(bench.kernels().packed_bytes(dtype, rows, columns)),
      weights_(static_cast<std::size_t>(bench.different(bytes_))) {}

const Weight& DeviceWeights::of(int64_t call) {
  Made& made = weights_[static_cast<std::size_t>(call) % weights_.size()];
  if (!made.memory.empty()) {
    return made.weight;
  }
  if (stored_.empty()) {
    stored_ = made_up_rows(dtype_, std::min(rows_, kRowsAtATime), columns_);
  }
  made.memory = bench_.kernels().allocate(DType::kU8, {bytes_});
  made.weight = {dtype_, rows_, columns_, made.memory.data<std::byte>()};
  for (int64_t row = 0; row < rows_; row += kRowsAtATime) {
    bench_.kernels().pack({dtype_, std::min(kRowsAtATime, rows_ - row), columns_, stored_.data()}, row, made.weight);
  }
  return made.weight;
}

Batch device_batch(DeviceBench& bench, int64_t sequences, int64_t rows, int64_t depth) {
  Batch batch;
  std::vector<int32_t> positions;
  for (int64_t sequence = 0; sequence < sequences; ++sequence) {
    batch.slices.push_back(
        {.first_row = sequence * rows, .rows = rows, .begin = depth - rows, .pages = pages_of(sequence, depth)});
    for (int64_t row = 0; row < rows; ++row) {
      positions.push_back(static_cast<int32_t>(depth - rows + row));
    }
  }
  batch.positions = device_indices(bench, positions);
  return batch;
}

DeviceKv::DeviceKv(DeviceBench& bench, DType dtype, int64_t sequences, int64_t depth) {
  const BenchShape& shape = bench.shape();
  Kernels& kernels = bench.kernels();
  const int64_t pages = sequences * page_count(depth);
  bytes_ = 2 * sequences * depth * shape.kv_heads * bytes_of(dtype, shape.head_dim * kPageTokens) / kPageTokens;
  for (int64_t layer = 0; layer < bench.different(bytes_); ++layer) {
    layers_.push_back({kernels.allocate(dtype, {pages, shape.kv_heads, shape.head_dim, kPageTokens}),
                       kernels.allocate(dtype, {pages, shape.kv_heads, kPageTokens, shape.head_dim})});
  }
  const Tensor values = device_values(bench, {std::min(depth, kRowsAtATime), 2 * shape.kv_width()});
  for (int64_t sequence = 0; sequence < sequences; ++sequence) {
    for (int64_t begin = 0; begin < depth; begin += kRowsAtATime) {
      fill(bench, values.slice(0, std::min(kRowsAtATime, depth - begin)), begin, pages_of(sequence, depth));
    }
  }
}

void DeviceKv::fill(DeviceBench& bench, const Tensor& values, int64_t begin, const std::vector<int32_t>& pages) {
  const BenchShape& shape = bench.shape();
  const int64_t rows = values.dim(0);
  std::vector<int32_t> positions(static_cast<std::size_t>(rows));
  std::iota(positions.begin(), positions.end(), static_cast<int32_t>(begin));
  const Batch batch{.tokens = {},
                    .positions = device_indices(bench, positions),
                    .slices = {{.first_row = 0, .rows = rows, .begin = begin, .pages = pages}}};
  bench.kernels().begin_step(batch, bench.stream());
  for (KvLayer& layer : layers_) {
    bench.kernels().kv_write({values, 0, shape.kv_heads, shape.head_dim},
                             {values, shape.kv_width(), shape.kv_heads, shape.head_dim}, batch, layer, bench.stream());
  }
  bench.stream().synchronise();  // before the batch is released
}

AttentionSpec attention_spec(const BenchShape& shape) {
  AttentionSpec spec{.scale = 1.0F / std::sqrt(static_cast<float>(shape.head_dim)), .window = 0, .kv_head = {}};
  for (int64_t head = 0; head < shape.heads; ++head) {
    spec.kv_head.push_back(static_cast<int32_t>(head * shape.kv_heads / shape.heads));
  }
  return spec;
}

std::vector<GroupStep> whole_sum(int64_t columns) {
  constexpr int64_t kGroup = 256;
  const auto groups = static_cast<int32_t>((columns + kGroup - 1) / kGroup);
  return ReductionTree(groups, {0, groups}).steps(0, kGroup, columns);
}

}  // namespace longship
