#pragma once

// Keys and values of a page as they are brought to shared memory for attention of few queries, and how matrix units
// take them from there.

#include "cuda/device.h"
#include "cuda/ptx.h"
#include "engine/backend/cuda/kernels/tensor_stage.h"

namespace longship::cuda {

/// A matrix by rows in shared memory, in pieces of 16 bytes, moved so within their row that the same piece of eight
/// rows (every 2^kShift-th) below each other lies in different banks.
template <int kRowCount, int kPieceCount, int kShift>
struct SwizzledMatrix {
  static constexpr int kPieces = kPieceCount;
  static constexpr int kSize = kRowCount * kPieceCount;
  static_assert(kPieceCount % 4 == 0);

  Shared<uint4> pieces;

  __device__ __forceinline__ Shared<uint4> at(int row, int piece) const {
    const int moved = kPieceCount % 8 == 0 ? piece ^ (row >> kShift & 7) : piece ^ (row >> 1 & 3);
    return pieces + (row * kPieceCount + moved);
  }
};

/// One page of one head: keys [D, 64] and values [64, D] as the cache holds them, and of q8_0 their scales.
template <KvType kType, int D>
struct DecodeStage {
  static constexpr bool kBytes = kType == KvType::kQ8;
  static constexpr int kPerPiece = kBytes ? 16 : 8;
  using Keys = SwizzledMatrix<D, kChunkKeys / kPerPiece, 0>;
  using Values = SwizzledMatrix<kChunkKeys, D / kPerPiece, kBytes ? 1 : 0>;
  static constexpr int kScales = kBytes ? D / 4 : 0;  ///< Pieces, of keys or of values.
  static constexpr int kSize = Keys::kSize + Values::kSize + 2 * kScales;

  __device__ __forceinline__ explicit DecodeStage(Shared<uint4> pieces)
      : keys{pieces},
        values{pieces + Keys::kSize},
        key_scales(pieces + (Keys::kSize + Values::kSize)),
        value_scales(pieces + (Keys::kSize + Values::kSize + kScales)) {}

  Keys keys;
  Values values;
  Shared<uint4> key_scales;    ///< [D / 32, 64] f16
  Shared<uint4> value_scales;  ///< [64, head_dim / 32] f16
};

/// A lane's two halves of 32 bits as f16.
__device__ __forceinline__ float low_f16(uint32_t both) {
  return float_from_f16(static_cast<uint16_t>(both));
}
__device__ __forceinline__ float high_f16(uint32_t both) {
  return float_from_f16(static_cast<uint16_t>(both >> 16));
}

}  // namespace longship::cuda
