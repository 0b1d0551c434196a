#pragma once

#include <array>
#include <memory>
#include <vector>

#include "cuda/staging.h"
#include "engine/backend/cuda/kernels/attention.h"
#include "engine/backend/kernels.h"

namespace longship::cuda {

/// Slices of a step: all of them, or those with fewer rows than make a slice long, or the others.
enum class Slices : uint8_t { kAll, kShort, kLong };

/// What kernels need to know of a step's slices, copied to the device once a step: so no operation copies anything, and
/// the operations of a step may be recorded as a graph. Of steps of one row a sequence, with as many rows and chunks(),
/// everything is at the same place of memory(). A row of no sequence has a slice and tiles of its own, of no rows.
class StepTables {
 public:
  /// Slices of `long_rows` rows or more are long.
  explicit StepTables(int64_t long_rows = INT64_MAX) : long_rows_(long_rows) {}

  /// In the order of the stream.
  void upload(const Batch& batch, Staging& staging, StreamHandle stream);

  StepView view() const;
  const void* memory() const { return device_.get(); }
  /// Tiles of up to `rows` rows, a power of two up to kMaxQueries.
  const RowTile* tiles(int rows, Slices which = Slices::kAll) const;
  int tile_count(int rows, Slices which = Slices::kAll) const;
  int64_t rows(Slices which = Slices::kAll) const { return part(which).rows; }
  bool one_row_each(Slices which) const { return part(which).one_row_each; }  ///< Of every slice.
  /// Of keys, of the longest sequence; with one row each up to a quarter more, so that few sizes take turns.
  int64_t chunks(Slices which = Slices::kAll) const { return part(which).chunks; }
  /// Numbers of the long slices, and into how many tiles of up to `rows` rows they can be divided.
  const int32_t* long_slices() const;
  int long_tile_count(int rows) const;

 private:
  static constexpr std::size_t kTileSizes = 4;  // 1, 2, 4, 8

  struct TileList {
    std::size_t at = 0;  // bytes from the beginning
    int count = 0;
  };
  struct Part {
    int64_t rows = 0;
    int64_t chunks = 0;
    bool one_row_each = true;
    std::array<TileList, kTileSizes> lists = {};

    void add(const BatchSlice& slice);
    void add_padding(int64_t padding);
  };

  static std::size_t index_of(int rows);
  static std::size_t index_of(Slices which) { return static_cast<std::size_t>(which); }
  const Part& part(Slices which) const { return parts_[index_of(which)]; }
  Slices kind_of(const BatchSlice& slice) const { return slice.rows >= long_rows_ ? Slices::kLong : Slices::kShort; }

  void place(const Batch& batch);
  void fill(const Batch& batch);
  void fill_tiles(const Batch& batch, Slices which);
  void fill_padding(std::size_t first_slice);

  int64_t long_rows_;
  std::vector<std::byte> host_;
  std::shared_ptr<void> device_;
  std::size_t device_bytes_ = 0;
  std::size_t pages_at_ = 0;
  std::size_t long_slices_at_ = 0;
  std::array<Part, 3> parts_ = {};
  int64_t padding_ = 0;  // rows of no sequence, behind those of short slices
  std::vector<int32_t> long_slices_;
  std::vector<int64_t> long_slice_rows_;
};

}  // namespace longship::cuda
