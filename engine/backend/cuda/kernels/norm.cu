#include "engine/backend/cuda/kernels/norm.h"

#include "cuda/launch.h"
#include "engine/backend/cuda/kernels/math.h"

namespace longship::cuda {

namespace {

constexpr int kMaxThreads = 256;
constexpr int kMaxWarps = kMaxThreads / kWarp;
constexpr int kValuesPerThread = 4;
constexpr int kHeadsPerBlock = 4;

// A block a row. How many threads add up a row depends on its width alone, and so do the sum's bits.
LaunchShape row_shape(int64_t rows, int width, StreamHandle stream) {
  const int wanted = (width / kValuesPerThread + kWarp - 1) / kWarp * kWarp;
  const int threads = wanted < kWarp ? kWarp : (wanted > kMaxThreads ? kMaxThreads : wanted);
  return {.grid = {static_cast<unsigned>(rows)},
          .block = {static_cast<unsigned>(threads)},
          .shared_bytes = shared_bytes<float>(kMaxWarps),
          .stream = stream};
}

__device__ __forceinline__ float inverse_root(float sum, int width, float eps) {
  return 1.0F / sqrtf(sum / static_cast<float>(width) + eps);
}

__global__ void rms_norm_kernel(const float* x, const float* gain, float eps, int width, float* y) {
  SharedMemory memory;
  const Shared<float> sums = memory.take<float>(kMaxWarps);
  const float* row = x + static_cast<int64_t>(blockIdx.x) * width;
  float* out = y + static_cast<int64_t>(blockIdx.x) * width;
  float squares = 0;
  for (int i = threadIdx.x; i < width; i += blockDim.x) {
    squares = fmaf(row[i], row[i], squares);
  }
  const float scale = inverse_root(block_sum(squares, sums), width, eps);
  for (int i = threadIdx.x; i < width; i += blockDim.x) {
    out[i] = row[i] * scale * gain[i];
  }
}

__global__ void layer_norm_kernel(const float* x, const float* gain, const float* bias, float eps, int width,
                                  float* y) {
  SharedMemory memory;
  const Shared<float> sums = memory.take<float>(kMaxWarps);
  const float* row = x + static_cast<int64_t>(blockIdx.x) * width;
  float* out = y + static_cast<int64_t>(blockIdx.x) * width;
  float sum = 0;
  for (int i = threadIdx.x; i < width; i += blockDim.x) {
    sum = sum + row[i];
  }
  const float mean = block_sum(sum, sums) / static_cast<float>(width);
  float squares = 0;
  for (int i = threadIdx.x; i < width; i += blockDim.x) {
    const float centred = row[i] - mean;
    squares = fmaf(centred, centred, squares);
  }
  const float scale = inverse_root(block_sum(squares, sums), width, eps);
  for (int i = threadIdx.x; i < width; i += blockDim.x) {
    out[i] = fmaf((row[i] - mean) * scale, gain[i], bias[i]);
  }
}

// A warp a head.
__global__ void rms_norm_heads_kernel(HeadRows x, const float* gain, float eps) {
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
  const float scale = inverse_root(warp_sum(squares), x.head_dim, eps);
  for (int i = lane; i < x.head_dim; i += kWarp) {
    values[i] = values[i] * scale * gain[i];
  }
}

}  // namespace

void launch_rms_norm(const float* x, const float* gain, float eps, int64_t rows, int width, float* y,
                     StreamHandle stream) {
  launch(rms_norm_kernel, "rms_norm", row_shape(rows, width, stream), x, gain, eps, width, y);
}

void launch_layer_norm(const float* x, const float* gain, const float* bias, float eps, int64_t rows, int width,
                       float* y, StreamHandle stream) {
  launch(layer_norm_kernel, "layer_norm", row_shape(rows, width, stream), x, gain, bias, eps, width, y);
}

void launch_rms_norm_heads(const HeadRows& x, const float* gain, float eps, StreamHandle stream) {
  const int64_t blocks = (x.rows * x.heads + kHeadsPerBlock - 1) / kHeadsPerBlock;
  const LaunchShape shape{.grid = {static_cast<unsigned>(blocks)}, .block = {kHeadsPerBlock * kWarp}, .stream = stream};
  launch(rms_norm_heads_kernel, "rms_norm_heads", shape, x, gain, eps);
}

}  // namespace longship::cuda
