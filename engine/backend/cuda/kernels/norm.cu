#include "engine/backend/cuda/kernels/norm.h"

#include "cuda/launch.h"
#include "cuda/norm_row.h"
#include "cuda/ptx.h"
#include "engine/backend/cuda/kernels/math.h"
#include "engine/backend/cuda/kernels/narrow_values.h"

namespace longship::cuda {

namespace {

constexpr int kHeadsPerBlock = 4;

// A block a row.
__global__ void norm_kernel(const float* x, RowNorm norm, float* y) {
  let_next_kernel_begin();
  wait_for_kernels_before();
  SharedMemory memory;
  const Shared<float> sums = memory.take<float>(kMostNormWarps);
  const float* row = x + static_cast<int64_t>(blockIdx.x) * norm.width;
  norm_row(
      norm, row, [&](int i) { return row[i]; }, [](int, float) {}, y + static_cast<int64_t>(blockIdx.x) * norm.width,
      sums);
}

template <class Normed>
__global__ void add_norm_kernel(const float* x, const float* bias, RowNorm norm, float* hidden,
                                typename Normed::Stored* normed) {
  let_next_kernel_begin();
  wait_for_kernels_before();
  SharedMemory memory;
  const Shared<float> sums = memory.take<float>(kMostNormWarps);
  const int64_t first = static_cast<int64_t>(blockIdx.x) * norm.width;
  float* row = hidden + first;
  const auto add = [&](int i) {
    const float sum = bias == nullptr ? x[first + i] : x[first + i] + bias[i];
    return row[i] + sum;
  };
  norm_row(
      norm, row, add, [&](int i, float sum) { row[i] = sum; }, StoredRow<Normed>{normed + first}, sums);
}

// A warp a head.
__global__ void rms_norm_heads_kernel(HeadRows x, const float* gain, float eps) {
  let_next_kernel_begin();
  wait_for_kernels_before();
  const int64_t head = static_cast<int64_t>(blockIdx.x) * kHeadsPerBlock + threadIdx.x / kWarp;
  if (head >= x.rows * x.heads) {
    return;
  }
  float* values = x.first + head / x.heads * x.stride + head % x.heads * x.head_dim;
  const int lane = threadIdx.x % kWarp;
  float squares = 0;
  for (int i = lane; i < x.head_dim; i += kWarp) {
    squares = fmaf(values[i], values[i], squares);
  }
  const float scale = 1.0F / sqrtf(warp_sum(squares) / static_cast<float>(x.head_dim) + eps);
  for (int i = lane; i < x.head_dim; i += kWarp) {
    values[i] = values[i] * scale * gain[i];
  }
}

LaunchShape shape_of(int64_t rows, int width, StreamHandle stream) {
  LaunchShape shape = norm_shape(static_cast<unsigned>(rows), width, stream);
  shape.overlaps = true;
  return shape;
}

}  // namespace

void launch_norm(const float* x, const RowNorm& norm, int64_t rows, float* y, StreamHandle stream) {
  launch(norm_kernel, "norm", shape_of(rows, norm.width, stream), x, norm, y);
}

void launch_add_norm(const float* x, const float* bias, const RowNorm& norm, int64_t rows, float* hidden,
                     const ValuesOut& normed, StreamHandle stream) {
  with_values(normed.type, [&](auto values) {
    using Normed = decltype(values);
    launch(add_norm_kernel<Normed>, "add_norm", shape_of(rows, norm.width, stream), x, bias, norm, hidden,
           static_cast<typename Normed::Stored*>(normed.first));
  });
}

void launch_rms_norm_heads(const HeadRows& x, const float* gain, float eps, StreamHandle stream) {
  const int64_t blocks = (x.rows * x.heads + kHeadsPerBlock - 1) / kHeadsPerBlock;
  const LaunchShape shape{
      .grid = {static_cast<unsigned>(blocks)}, .block = {kHeadsPerBlock * kWarp}, .stream = stream, .overlaps = true};
  launch(rms_norm_heads_kernel, "rms_norm_heads", shape, x, gain, eps);
}

}  // namespace longship::cuda
