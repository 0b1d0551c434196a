#include "engine/backend/cuda/kernels/narrow.h"

#include "cuda/launch.h"
#include "engine/backend/cuda/kernels/narrow_values.h"

namespace longship::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kPerThread = 8;

// Eight values a thread, or those that are left.
template <class From, class To>
__global__ void convert_kernel(const typename From::Stored* x, int64_t count, typename To::Stored* out) {
  const int64_t first = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kPerThread;
  if (first + kPerThread <= count) {
    float values[kPerThread];
    load_eight<From>(x + first, values);
    store_eight<To>(values, out + first);
    return;
  }
  for (int64_t i = first; i < count; ++i) {
    out[i] = To::from_float(From::to_float(x[i]));
  }
}

template <class From, class To>
void convert(const char* name, const void* x, int64_t count, void* out, StreamHandle stream) {
  constexpr int64_t kPerBlock = kThreads * kPerThread;
  const LaunchShape shape{
      .grid = {static_cast<unsigned>((count + kPerBlock - 1) / kPerBlock)}, .block = {kThreads}, .stream = stream};
  launch(convert_kernel<From, To>, name, shape, static_cast<const typename From::Stored*>(x), count,
         static_cast<typename To::Stored*>(out));
}

}  // namespace

void launch_narrow(ValueType type, const float* x, int64_t count, void* out, StreamHandle stream) {
  with_values(type, [&](auto to) { convert<F32Values, decltype(to)>("narrow", x, count, out, stream); });
}

void launch_widen(ValueType type, const void* x, int64_t count, float* out, StreamHandle stream) {
  with_values(type, [&](auto from) { convert<decltype(from), F32Values>("widen", x, count, out, stream); });
}

}  // namespace longship::cuda
