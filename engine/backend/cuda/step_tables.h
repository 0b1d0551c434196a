#pragma once

#include <array>
#include <memory>
#include <vector>

#include "cuda/staging.h"
#include "engine/backend/cuda/kernels/attention.h"
#include "engine/backend/kernels.h"

namespace longship::cuda {

/// What kernels need to know of a step's slices, copied to the device once a step: so no operation copies anything, and
/// the operations of a step may be captured as a graph.
class StepTables {
 public:
  /// In the order of the stream.
  void upload(const Batch& batch, Staging& staging, StreamHandle stream);

  StepView view() const;
  /// Tiles of up to `rows` rows, a power of two up to kMaxQueries.
  const RowTile* tiles(int rows) const;
  int tile_count(int rows) const;
  int64_t rows() const { return rows_; }
  bool one_row_each() const { return one_row_each_; }  ///< Of every slice.
  int64_t chunks() const { return chunks_; }           ///< Of keys, of the longest sequence.

 private:
  static constexpr std::size_t kTileSizes = 4;  // 1, 2, 4, 8
  static std::size_t index_of(int rows);

  void place(const Batch& batch);
  void fill(const Batch& batch);

  std::vector<std::byte> host_;
  std::shared_ptr<void> device_;
  std::size_t device_bytes_ = 0;
  std::size_t pages_at_ = 0;  // bytes from the beginning
  std::array<std::size_t, kTileSizes> tiles_at_ = {};
  std::array<int, kTileSizes> tile_counts_ = {};
  int64_t rows_ = 0;
  int64_t chunks_ = 0;
  bool one_row_each_ = true;
};

}  // namespace longship::cuda
