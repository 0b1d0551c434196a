#include "engine/backend/cuda/kernels/unpack.h"

#include "cuda/launch.h"
#include "engine/backend/cuda/kernels/weight_formats.h"

namespace longship::cuda {

namespace {

constexpr int kThreads = 256;

LaunchShape shape_of(int64_t items, StreamHandle stream) {
  return {.grid = {static_cast<unsigned>((items + kThreads - 1) / kThreads)}, .block = {kThreads}, .stream = stream};
}

__device__ __forceinline__ int64_t global_thread() {
  return static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
}

__device__ __forceinline__ void store_eight(const float (&values)[8], float* out) {
  auto* to = reinterpret_cast<float4*>(out);
  to[0] = make_float4(values[0], values[1], values[2], values[3]);
  to[1] = make_float4(values[4], values[5], values[6], values[7]);
}

__device__ __forceinline__ void store_eight(const float (&values)[8], uint16_t* out) {
  *reinterpret_cast<uint4*>(out) = make_uint4(pack_bf16(values[0], values[1]), pack_bf16(values[2], values[3]),
                                              pack_bf16(values[4], values[5]), pack_bf16(values[6], values[7]));
}

// A thread 32 columns of a row, eight threads the rows of a row block.
template <class Format, class Out>
__global__ void unpack_kernel(const unsigned char* data, int64_t row_block_bytes, int rows, int columns, Out* out) {
  const int64_t index = global_thread();
  const int blocks = columns / kBlockColumns;
  const int64_t row_block = index / (kRowBlock * blocks);
  const int lane = static_cast<int>(index % kRowBlock);
  const int64_t row = row_block * kRowBlock + lane;
  if (row >= rows) {
    return;
  }
  const int column = static_cast<int>(index / kRowBlock % blocks) * kBlockColumns;
  PackedRow packed{data + row_block * row_block_bytes, lane, columns};
  Format::prepare(packed);
  if constexpr (Format::kAnyColumn) {
    if (!Format::whole(packed, column)) {
      for (int eighth = 0; eighth < kBlockColumns / 8; ++eighth) {
        float values[8];
        for (int i = 0; i < 8; ++i) {
          values[i] = Format::column(packed, column + 8 * eighth + i);
        }
        store_eight(values, out + row * columns + column + 8 * eighth);
      }
      return;
    }
  }
  typename Format::Raw raw;
  Format::load(packed, column, raw);
#pragma unroll
  for (int eighth = 0; eighth < kBlockColumns / 8; ++eighth) {
    float values[8];
    Format::columns(raw, eighth, values);
    store_eight(values, out + row * columns + column + 8 * eighth);
  }
}

__global__ void to_bf16_kernel(const float* x, int64_t count, uint16_t* out) {
  const int64_t i = global_thread();
  if (i < count) {
    out[i] = bf16_from_float(x[i]);
  }
}

template <class Format, class Out>
void unpack(const std::byte* data, int64_t row_block_bytes, int rows, int columns, void* out, StreamHandle stream) {
  const int64_t items = int64_t{(rows + kRowBlock - 1) / kRowBlock} * kRowBlock * (columns / kBlockColumns);
  launch(unpack_kernel<Format, Out>, "unpack", shape_of(items, stream), reinterpret_cast<const unsigned char*>(data),
         row_block_bytes, rows, columns, static_cast<Out*>(out));
}

template <WeightLayout kLayout>
using Blocks = BlockFormat<kLayout>;
template <WeightLayout kLayout>
using Plain = PlainFormat<kLayout>;

}  // namespace

void launch_unpack(WeightLayout layout, const std::byte* data, int64_t row_block_bytes, int rows, int columns,
                   void* out, StreamHandle stream) {
  switch (layout) {
    case WeightLayout::kF32:
      return unpack<Plain<WeightLayout::kF32>, float>(data, row_block_bytes, rows, columns, out, stream);
    case WeightLayout::kF16:
      return unpack<Plain<WeightLayout::kF16>, uint16_t>(data, row_block_bytes, rows, columns, out, stream);
    case WeightLayout::kBF16:
      return unpack<Plain<WeightLayout::kBF16>, uint16_t>(data, row_block_bytes, rows, columns, out, stream);
    case WeightLayout::kByte:
      return unpack<Blocks<WeightLayout::kByte>, uint16_t>(data, row_block_bytes, rows, columns, out, stream);
    case WeightLayout::kNibble:
      return unpack<Blocks<WeightLayout::kNibble>, uint16_t>(data, row_block_bytes, rows, columns, out, stream);
    case WeightLayout::kNibbleMin:
      return unpack<Blocks<WeightLayout::kNibbleMin>, uint16_t>(data, row_block_bytes, rows, columns, out, stream);
    case WeightLayout::kNibbleFp4:
      return unpack<Blocks<WeightLayout::kNibbleFp4>, uint16_t>(data, row_block_bytes, rows, columns, out, stream);
    case WeightLayout::kFive:
      return unpack<Blocks<WeightLayout::kFive>, uint16_t>(data, row_block_bytes, rows, columns, out, stream);
    case WeightLayout::kFiveMin:
      return unpack<Blocks<WeightLayout::kFiveMin>, uint16_t>(data, row_block_bytes, rows, columns, out, stream);
    case WeightLayout::kSix:
      return unpack<Blocks<WeightLayout::kSix>, uint16_t>(data, row_block_bytes, rows, columns, out, stream);
    case WeightLayout::kFp8:
      return unpack<Fp8Format, uint16_t>(data, row_block_bytes, rows, columns, out, stream);
  }
}

void launch_to_bf16(const float* x, int64_t count, void* out, StreamHandle stream) {
  launch(to_bf16_kernel, "to_bf16", shape_of(count, stream), x, count, static_cast<uint16_t*>(out));
}

}  // namespace longship::cuda
