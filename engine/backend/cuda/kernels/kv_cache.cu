#include "engine/backend/cuda/kernels/kv_cache.h"

#include "cuda/launch.h"
#include "cuda/ptx.h"
#include "engine/backend/cuda/kernels/math.h"

namespace longship::cuda {

namespace {

constexpr int kThreads = 128;

struct Place {
  std::byte* keys;
  std::byte* values;
  int column;  ///< Of the page.
};

__device__ __forceinline__ Place place_of(const StepView& step, const KvView& kv, int64_t row, int head) {
  const StepSlice slice = step.slices[step.rows[row].slice];
  const int position = slice.begin + static_cast<int>(row) - slice.first_row;
  const int page = step.pages[slice.first_page + position / kChunkKeys];
  const int64_t origin = (static_cast<int64_t>(page) * kv.heads + head) * kv.page_bytes;
  return {kv.keys + origin, kv.values + origin, position % kChunkKeys};
}

template <KvType kType>
__device__ __forceinline__ void store(std::byte* page, int64_t index, float value) {
  if constexpr (kType == KvType::kF16) {
    reinterpret_cast<unsigned short*>(page)[index] = f16_from_float(value);
  } else if constexpr (kType == KvType::kBF16) {
    reinterpret_cast<unsigned short*>(page)[index] = bf16_from_float(value);
  } else {
    reinterpret_cast<float*>(page)[index] = value;
  }
}

// A thread a value of a key and of a value.
template <KvType kType>
__global__ void kv_write_kernel(HeadRows keys, HeadRows values, StepView step, KvView kv) {
  let_next_kernel_begin();
  wait_for_kernels_before();
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const int64_t per_row = static_cast<int64_t>(kv.heads) * kv.head_dim;
  const int64_t row = index / per_row;
  if (row >= keys.rows || step.rows[row].rows == 0) {
    return;
  }
  const int in_row = static_cast<int>(index % per_row);
  const int i = in_row % kv.head_dim;
  const Place place = place_of(step, kv, row, in_row / kv.head_dim);
  store<kType>(place.keys, i * kChunkKeys + place.column, keys.first[row * keys.stride + in_row]);
  store<kType>(place.values, static_cast<int64_t>(place.column) * kv.head_dim + i,
               values.first[row * values.stride + in_row]);
}

// A thread a pair of a head: of the query, which is rotated, of a key or of a value.
template <KvType kType>
__global__ void rope_kv_write_kernel(const RotaryArguments task, StepView step, KvView kv) {
  let_next_kernel_begin();
  wait_for_kernels_before();
  const int half = kv.head_dim / 2;
  const int heads = static_cast<int>(task.query.heads) + 2 * kv.heads;
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const int64_t row = index / (heads * half);
  if (row >= task.query.rows) {
    return;
  }
  const int i = static_cast<int>(index % half);
  int head = static_cast<int>(index / half % heads);
  const float c = task.cos[row * half + i];
  const float s = task.sin[row * half + i];
  if (head < task.query.heads) {
    float* low = task.query.first + row * task.query.stride + head * kv.head_dim + i;
    rotate(low[0], low[half], c, s, low[0], low[half]);
    return;
  }
  if (step.rows[row].rows == 0) {
    return;
  }
  head -= static_cast<int>(task.query.heads);
  const bool is_key = head < kv.heads;
  head -= is_key ? 0 : kv.heads;
  const Place place = place_of(step, kv, row, head);
  const HeadRows& from = is_key ? task.keys : task.values;
  const float* low = from.first + row * from.stride + head * kv.head_dim + i;
  if (is_key) {
    float first;
    float second;
    rotate(low[0], low[half], c, s, first, second);
    store<kType>(place.keys, static_cast<int64_t>(i) * kChunkKeys + place.column, first);
    store<kType>(place.keys, static_cast<int64_t>(i + half) * kChunkKeys + place.column, second);
  } else {
    store<kType>(place.values, static_cast<int64_t>(place.column) * kv.head_dim + i, low[0]);
    store<kType>(place.values, static_cast<int64_t>(place.column) * kv.head_dim + i + half, low[half]);
  }
}

// One value of 32 that lie in a warp's lanes: its integer, and to lane 0 their scale, which takes the largest to 127
// and is not a number where a value is not finite.
__device__ __forceinline__ signed char quantise(float value, unsigned short& scale) {
  const unsigned magnitude = __float_as_uint(value) & 0x7FFFFFFFU;
  const bool finite = __all_sync(kFullMask, magnitude < 0x7F800000U) != 0;
  const float largest = warp_max(__uint_as_float(magnitude));
  scale = finite ? f16_from_float(largest / 127.0F) : static_cast<unsigned short>(0x7E00U);
  const float step = float_from_f16(scale);
  const float inverse = step > 0 && step <= 65504.0F ? 1.0F / step : 0.0F;
  const float integer = fminf(fmaxf(rintf(value * inverse), -127.0F), 127.0F);
  return static_cast<signed char>(static_cast<int>(integer));
}

// A warp a block of 32 values.
__global__ void kv_write_q8_kernel(HeadRows keys, HeadRows values, StepView step, KvView kv) {
  let_next_kernel_begin();
  wait_for_kernels_before();
  const int64_t index = static_cast<int64_t>(blockIdx.x) * (kThreads / kWarp) + threadIdx.x / kWarp;
  const int blocks = kv.head_dim / kScaleBlock;
  const int64_t row = index / (kv.heads * blocks);
  if (row >= keys.rows || step.rows[row].rows == 0) {
    return;
  }
  const int lane = threadIdx.x % kWarp;
  const int head = static_cast<int>(index / blocks % kv.heads);
  const int block = static_cast<int>(index % blocks);
  const int i = block * kScaleBlock + lane;
  const Place place = place_of(step, kv, row, head);
  unsigned short key_scale = 0;
  unsigned short value_scale = 0;
  const signed char key = quantise(keys.first[row * keys.stride + head * kv.head_dim + i], key_scale);
  const signed char value = quantise(values.first[row * values.stride + head * kv.head_dim + i], value_scale);
  reinterpret_cast<signed char*>(place.keys)[i * kChunkKeys + place.column] = key;
  reinterpret_cast<signed char*>(place.values)[place.column * kv.head_dim + i] = value;
  if (lane == 0) {
    const int64_t integers = static_cast<int64_t>(kv.head_dim) * kChunkKeys;
    reinterpret_cast<unsigned short*>(place.keys + integers)[block * kChunkKeys + place.column] = key_scale;
    reinterpret_cast<unsigned short*>(place.values + integers)[place.column * blocks + block] = value_scale;
  }
}

LaunchShape shape_of(int64_t items, int per_block, StreamHandle stream) {
  return {.grid = {static_cast<unsigned>((items + per_block - 1) / per_block)},
          .block = {kThreads},
          .stream = stream,
          .overlaps = true};
}

}  // namespace

void launch_kv_write(const HeadRows& keys, const HeadRows& values, const StepView& step, const KvView& kv,
                     StreamHandle stream) {
  const int64_t count = keys.rows * kv.heads * kv.head_dim;
  switch (kv.type) {
    case KvType::kF16:
      return launch(kv_write_kernel<KvType::kF16>, "kv_write", shape_of(count, kThreads, stream), keys, values, step,
                    kv);
    case KvType::kBF16:
      return launch(kv_write_kernel<KvType::kBF16>, "kv_write", shape_of(count, kThreads, stream), keys, values, step,
                    kv);
    case KvType::kQ8:
      return launch(kv_write_q8_kernel, "kv_write_q8", shape_of(count / kScaleBlock, kThreads / kWarp, stream), keys,
                    values, step, kv);
    default:
      return launch(kv_write_kernel<KvType::kF32>, "kv_write", shape_of(count, kThreads, stream), keys, values, step,
                    kv);
  }
}

void launch_rope_kv_write(const RotaryArguments& arguments, const StepView& step, const KvView& kv,
                          StreamHandle stream) {
  const int64_t pairs = arguments.query.rows * (arguments.query.heads + 2 * kv.heads) * (kv.head_dim / 2);
  const LaunchShape shape = shape_of(pairs, kThreads, stream);
  const auto start = [&](auto kernel) { launch(kernel, "rope_kv_write", shape, arguments, step, kv); };
  switch (kv.type) {
    case KvType::kF16:
      return start(rope_kv_write_kernel<KvType::kF16>);
    case KvType::kBF16:
      return start(rope_kv_write_kernel<KvType::kBF16>);
    default:
      return start(rope_kv_write_kernel<KvType::kF32>);
  }
}

}  // namespace longship::cuda
