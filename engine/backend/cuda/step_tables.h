#pragma once

#include <array>
#include <memory>
#include <vector>

#include "cuda/staging.h"
#include "engine/backend/cuda/kernels/attention.h"
#include "engine/backend/kernels.h"

namespace longship::cuda {

/// What kernels need to know of a step's slices, copied to the device once a step: so no operation copies anything, and
/// the operations of a step may be recorded as a graph. Of steps of one row a sequence, with as many rows and chunks(),
/// everything is at the same place of memory(). A row of no sequence has a slice and tiles of its own, of no rows.
class StepTables {
 public:
  /// In the order of the stream.
  void upload(const Batch& batch, Staging& staging, StreamHandle stream);

  StepView view() const;
  const void* memory() const { return device_.get(); }
  /// Tiles of up to `rows` rows, a power of two up to kMaxQueries.
  const RowTile* tiles(int rows) const;
  int tile_count(int rows) const;
  int64_t rows() const { return rows_; }
  bool one_row_each() const { return one_row_each_; }  ///< Of every slice.
  /// Of keys, of the longest sequence; with one row each up to a quarter more, so that few sizes take turns.
  int64_t chunks() const { return chunks_; }

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
  int64_t padding_ = 0;  // rows of no sequence
  int64_t chunks_ = 0;
  bool one_row_each_ = true;
};

}  // namespace longship::cuda
