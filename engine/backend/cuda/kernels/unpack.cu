#include "engine/backend/cuda/kernels/unpack.h"

#include "core/error.h"
#include "cuda/launch.h"
#include "engine/backend/cuda/kernels/narrow_values.h"
#include "engine/backend/cuda/kernels/weight_formats.h"

namespace longship::cuda {

namespace {

constexpr int kWarps = 8;
/// Pieces of eight columns that a warp has of each row of a row block, and their distance in shared memory, which lets
/// eight rows lie in different banks.
constexpr int kPieces = kWarp / kRowBlock * kBlockColumns / 8;
constexpr int kRowStride = kPieces + 1;

// 32 columns in 16 bits.
template <class Format>
__device__ __forceinline__ void unpack_columns(const PackedRow& row, int column, Shared<uint4> out) {
  float values[8];
  if constexpr (Format::kAnyColumn) {
    if (!Format::whole(row, column)) {
      for (int eighth = 0; eighth < kBlockColumns / 8; ++eighth) {
        for (int i = 0; i < 8; ++i) {
          values[i] = Format::column(row, column + 8 * eighth + i);
        }
        out[eighth] = pack_eight<Bf16Values>(values);
      }
      return;
    }
  }
  typename Format::Raw raw;
  Format::load(row, column, raw);
#pragma unroll
  for (int eighth = 0; eighth < kBlockColumns / 8; ++eighth) {
    Format::columns(raw, eighth, values);
    out[eighth] = pack_eight<Bf16Values>(values);
  }
}

// A warp has 128 columns of a row block. A thread unpacks 32 of a row; then half a warp writes 256 bytes of a row side
// by side, which is nearly twice as fast as if each thread wrote its own.
template <class Format>
__global__ void unpack_kernel(const unsigned char* data, int64_t row_block_bytes, int rows, int columns,
                              uint16_t* out) {
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int first_column = (static_cast<int>(blockIdx.y) * kWarps + warp) * kPieces * 8;
  SharedMemory memory;
  const Shared<uint4> pieces = memory.take<uint4>(kWarps * kRowBlock * kRowStride) + warp * kRowBlock * kRowStride;
  const int column = first_column + lane / kRowBlock * kBlockColumns;
  if (column < columns) {
    const int row = lane % kRowBlock;
    PackedRow packed{data + static_cast<int64_t>(blockIdx.x) * row_block_bytes, row, columns};
    Format::prepare(packed);
    unpack_columns<Format>(packed, column, pieces + (row * kRowStride + lane / kRowBlock * (kBlockColumns / 8)));
  }
  __syncwarp(kFullMask);
#pragma unroll
  for (int i = lane; i < kRowBlock * kPieces; i += kWarp) {
    const int64_t row = static_cast<int64_t>(blockIdx.x) * kRowBlock + i / kPieces;
    const int at = first_column + i % kPieces * 8;
    if (row < rows && at < columns) {
      *reinterpret_cast<uint4*>(out + row * columns + at) = pieces[i / kPieces * kRowStride + i % kPieces];
    }
  }
}

template <class Format>
void unpack(const std::byte* data, int64_t row_block_bytes, int rows, int columns, void* out, StreamHandle stream) {
  constexpr int kColumns = kWarps * kPieces * 8;  // of a block of threads
  const LaunchShape shape{.grid = {static_cast<unsigned>((rows + kRowBlock - 1) / kRowBlock),
                                   static_cast<unsigned>((columns + kColumns - 1) / kColumns)},
                          .block = {kWarps * kWarp},
                          .shared_bytes = shared_bytes<uint4>(kWarps * kRowBlock * kRowStride),
                          .stream = stream};
  launch(unpack_kernel<Format>, "unpack", shape, reinterpret_cast<const unsigned char*>(data), row_block_bytes, rows,
         columns, static_cast<uint16_t*>(out));
}

template <WeightLayout kLayout>
using Blocks = BlockFormat<kLayout>;

}  // namespace

void launch_unpack(WeightLayout layout, const std::byte* data, int64_t row_block_bytes, int rows, int columns,
                   void* out, StreamHandle stream) {
  switch (layout) {
    case WeightLayout::kByte:
      return unpack<Blocks<WeightLayout::kByte>>(data, row_block_bytes, rows, columns, out, stream);
    case WeightLayout::kNibble:
      return unpack<Blocks<WeightLayout::kNibble>>(data, row_block_bytes, rows, columns, out, stream);
    case WeightLayout::kNibbleMin:
      return unpack<Blocks<WeightLayout::kNibbleMin>>(data, row_block_bytes, rows, columns, out, stream);
    case WeightLayout::kNibbleFp4:
      return unpack<Blocks<WeightLayout::kNibbleFp4>>(data, row_block_bytes, rows, columns, out, stream);
    case WeightLayout::kFive:
      return unpack<Blocks<WeightLayout::kFive>>(data, row_block_bytes, rows, columns, out, stream);
    case WeightLayout::kFiveMin:
      return unpack<Blocks<WeightLayout::kFiveMin>>(data, row_block_bytes, rows, columns, out, stream);
    case WeightLayout::kSix:
      return unpack<Blocks<WeightLayout::kSix>>(data, row_block_bytes, rows, columns, out, stream);
    case WeightLayout::kFp8:
      return unpack<Fp8Format>(data, row_block_bytes, rows, columns, out, stream);
    default:
      LONGSHIP_CHECK(false, "plain types are not packed");
  }
}

}  // namespace longship::cuda
