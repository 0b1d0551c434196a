#include "engine/backend/cuda/kernels/elementwise.h"

#include "cuda/launch.h"
#include "cuda/ptx.h"
#include "engine/backend/cuda/kernels/math.h"
#include "engine/backend/cuda/kernels/narrow_values.h"

namespace longship::cuda {

namespace {

constexpr int kThreads = 256;

LaunchShape shape_of(int64_t values, StreamHandle stream) {
  return {.grid = {static_cast<unsigned>((values + kThreads - 1) / kThreads)},
          .block = {kThreads},
          .stream = stream,
          .overlaps = true};
}

__device__ __forceinline__ int64_t global_thread() {
  return static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
}

__global__ void add_kernel(const float* x, const float* bias, const float* residual, int64_t count, int64_t width,
                           float* y) {
  let_next_kernel_begin();
  wait_for_kernels_before();
  const int64_t i = global_thread();
  if (i >= count) {
    return;
  }
  float value = x[i];
  if (bias != nullptr) {
    value = value + bias[i % width];
  }
  if (residual != nullptr) {
    value = residual[i] + value;
  }
  y[i] = value;
}

template <class In, class Out>
__global__ void silu_mul_kernel(const typename In::Stored* x, int64_t count, int64_t width, typename Out::Stored* y) {
  let_next_kernel_begin();
  wait_for_kernels_before();
  const int64_t i = global_thread();
  if (i < count) {
    const typename In::Stored* at = x + i / width * 2 * width + i % width;
    const float gate = In::to_float(at[0]);
    y[i] = Out::from_float(times_logistic(gate, gate) * In::to_float(at[width]));
  }
}

// Eight values of a thread, where rows begin at multiples of 16 bytes. A block of threads has a part of one row.
template <class In, class Out>
__global__ void silu_mul_eight_kernel(const typename In::Stored* x, int width, typename Out::Stored* y) {
  let_next_kernel_begin();
  wait_for_kernels_before();
  const int column = (static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x)) * 8;
  if (column >= width) {
    return;
  }
  const int64_t row = blockIdx.y;
  float gate[8];
  float up[8];
  load_eight<In>(x + row * 2 * width + column, gate);
  load_eight<In>(x + row * 2 * width + width + column, up);
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    up[i] = times_logistic(gate[i], gate[i]) * up[i];
  }
  store_eight<Out>(up, y + row * width + column);
}

template <class In, class Out>
void silu_mul(const ValuesIn& x, int64_t rows, int64_t width, const ValuesOut& y, StreamHandle stream) {
  constexpr int64_t kMostRows = 65535;  // of a grid
  const auto* from = static_cast<const typename In::Stored*>(x.first);
  auto* to = static_cast<typename Out::Stored*>(y.first);
  if (width % 8 != 0 || rows > kMostRows) {
    launch(silu_mul_kernel<In, Out>, "silu_mul", shape_of(rows * width, stream), from, rows * width, width, to);
    return;
  }
  LaunchShape shape = shape_of(width / 8, stream);
  shape.grid.y = static_cast<unsigned>(rows);
  launch(silu_mul_eight_kernel<In, Out>, "silu_mul", shape, from, static_cast<int>(width), to);
}

// x (1 + tanh u) / 2 = x times the logistic function of 2 u, u = sqrt(2 / pi) (x + 0.044715 x^3).
__global__ void gelu_tanh_kernel(const float* x, int64_t count, float* y) {
  let_next_kernel_begin();
  wait_for_kernels_before();
  constexpr float kTwiceRoot = 1.5957691216057308F;
  const int64_t i = global_thread();
  if (i < count) {
    const float value = x[i];
    const float cubic = fmaf(0.044715F * (value * value), value, value);
    y[i] = times_logistic(value, kTwiceRoot * cubic);
  }
}

__global__ void gather_rows_kernel(const float* x, const int32_t* rows, int64_t count, int64_t width, float* y) {
  let_next_kernel_begin();
  wait_for_kernels_before();
  const int64_t i = global_thread();
  if (i < count) {
    y[i] = x[rows[i / width] * width + i % width];
  }
}

__global__ void weighted_sum_kernel(const WeightedSum task, float* y) {
  let_next_kernel_begin();
  wait_for_kernels_before();
  const int64_t i = global_thread();
  if (i >= task.rows * task.width) {
    return;
  }
  const int64_t row = i / task.width;
  const int64_t column = i - row * task.width;
  float sum = 0;
  for (int64_t at = row * task.most; at < (row + 1) * task.most; ++at) {
    const int32_t place = task.places[at];
    if (place >= 0) {
      sum = fmaf(task.weights[at], task.x[place * task.width + column], sum);
    }
  }
  y[i] = sum;
}

// A thread a pair.
__global__ void rope_kernel(HeadRows x, const float* cos, const float* sin) {
  let_next_kernel_begin();
  wait_for_kernels_before();
  const int half = x.head_dim / 2;
  const int64_t pair = global_thread();
  if (pair >= x.rows * x.heads * half) {
    return;
  }
  const int64_t row = pair / (x.heads * half);
  const int head = static_cast<int>(pair / half % x.heads);
  const int i = static_cast<int>(pair % half);
  float* low = x.first + row * x.stride + head * x.head_dim + i;
  rotate(low[0], low[half], cos[row * half + i], sin[row * half + i], low[0], low[half]);
}

}  // namespace

void launch_add(const float* x, const float* bias, const float* residual, int64_t rows, int64_t width, float* y,
                StreamHandle stream) {
  launch(add_kernel, "add", shape_of(rows * width, stream), x, bias, residual, rows * width, width, y);
}

void launch_silu_mul(const ValuesIn& x, int64_t rows, int64_t width, const ValuesOut& y, StreamHandle stream) {
  with_values(y.type, [&](auto values) {
    if (x.type == ValueType::kBf16) {
      silu_mul<Bf16Values, decltype(values)>(x, rows, width, y, stream);
    } else {
      silu_mul<F32Values, decltype(values)>(x, rows, width, y, stream);
    }
  });
}

void launch_gelu_tanh(const float* x, int64_t count, float* y, StreamHandle stream) {
  launch(gelu_tanh_kernel, "gelu_tanh", shape_of(count, stream), x, count, y);
}

void launch_gather_rows(const float* x, const int32_t* rows, int64_t count, int64_t width, float* y,
                        StreamHandle stream) {
  launch(gather_rows_kernel, "gather_rows", shape_of(count * width, stream), x, rows, count * width, width, y);
}

void launch_weighted_sum(const WeightedSum& task, float* y, StreamHandle stream) {
  launch(weighted_sum_kernel, "weighted_sum", shape_of(task.rows * task.width, stream), task, y);
}

void launch_rope(const HeadRows& x, const float* cos, const float* sin, StreamHandle stream) {
  launch(rope_kernel, "rope", shape_of(x.rows * x.heads * (x.head_dim / 2), stream), x, cos, sin);
}

}  // namespace longship::cuda
