#include "engine/backend/cuda/step_tables.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "cuda/memory.h"
#include "cuda/watch.h"

namespace longship::cuda {

namespace {

constexpr std::size_t kAlignment = 16;
// Few steps need more: where the tables are is seldom another place.
constexpr std::size_t kLeastBytes = std::size_t{64} << 10;

std::size_t aligned(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

int64_t chunks_of(const BatchSlice& slice) {
  return (slice.begin + slice.rows + kPageTokens - 1) / kPageTokens;
}

int64_t rounded_chunks(int64_t chunks) {
  const auto step = std::max<int64_t>(1, static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(chunks)) / 4));
  return (chunks + step - 1) / step * step;
}

int64_t tiles_of(const BatchSlice& slice, int rows) {
  return (slice.rows + rows - 1) / rows;
}

}  // namespace

std::size_t StepTables::index_of(int rows) {
  return static_cast<std::size_t>(std::countr_zero(static_cast<unsigned>(rows)));
}

void StepTables::upload(const Batch& batch, Staging& staging, StreamHandle stream) {
  place(batch);
  fill(batch);
  if (host_.size() > device_bytes_) {
    wait(stream);  // which may still read the tables
    device_bytes_ = std::max(kLeastBytes, 2 * host_.size());
    device_ = allocate_device(device_bytes_);
  }
  staging.copy(host_.data(), device_.get(), host_.size(), stream);
}

// Slices, tiles of each size, page numbers.
void StepTables::place(const Batch& batch) {
  rows_ = 0;
  chunks_ = 0;
  one_row_each_ = true;
  std::size_t pages = 0;
  tile_counts_ = {};
  for (const BatchSlice& slice : batch.slices) {
    rows_ += slice.rows;
    one_row_each_ = one_row_each_ && slice.rows <= 1;
    chunks_ = std::max(chunks_, chunks_of(slice));
    pages += static_cast<std::size_t>(chunks_of(slice));
    for (std::size_t size = 0; size < kTileSizes; ++size) {
      tile_counts_[size] += static_cast<int>(tiles_of(slice, 1 << size));
    }
  }
  padding_ = batch.rows() - rows_;
  rows_ = batch.rows();
  chunks_ = one_row_each_ ? rounded_chunks(chunks_) : chunks_;
  for (int& count : tile_counts_) {
    count += static_cast<int>(padding_);
  }
  std::size_t at = aligned((batch.slices.size() + static_cast<std::size_t>(padding_)) * sizeof(StepSlice));
  for (std::size_t size = 0; size < kTileSizes; ++size) {
    tiles_at_[size] = at;
    at = aligned(at + static_cast<std::size_t>(tile_counts_[size]) * sizeof(RowTile));
  }
  pages_at_ = at;
  host_.assign(at + pages * sizeof(int32_t), std::byte{});
}

void StepTables::fill(const Batch& batch) {
  std::array<std::size_t, kTileSizes> next_tile = tiles_at_;
  std::size_t next_slice = 0;
  int32_t page = 0;
  const auto add_tile = [&](std::size_t size, const RowTile& tile) {
    std::memcpy(host_.data() + next_tile[size], &tile, sizeof(tile));
    next_tile[size] += sizeof(tile);
  };
  for (const BatchSlice& slice : batch.slices) {
    const StepSlice entry{static_cast<int32_t>(slice.first_row), static_cast<int32_t>(slice.rows),
                          static_cast<int32_t>(slice.begin), page};
    std::memcpy(host_.data() + next_slice * sizeof(StepSlice), &entry, sizeof(entry));
    const auto pages = static_cast<std::size_t>(chunks_of(slice));
    std::memcpy(host_.data() + pages_at_ + static_cast<std::size_t>(page) * sizeof(int32_t), slice.pages.data(),
                pages * sizeof(int32_t));
    page += static_cast<int32_t>(pages);
    for (std::size_t size = 0; size < kTileSizes; ++size) {
      for (int64_t row = 0; row < slice.rows; row += 1 << size) {
        const RowTile tile{static_cast<int32_t>(slice.first_row + row),
                           static_cast<int32_t>(std::min<int64_t>(1 << size, slice.rows - row)),
                           static_cast<int32_t>(next_slice)};
        add_tile(size, tile);
      }
    }
    ++next_slice;
  }
  for (int64_t row = rows_ - padding_; row < rows_; ++row) {
    const StepSlice entry{.first_row = static_cast<int32_t>(row)};
    std::memcpy(host_.data() + next_slice * sizeof(StepSlice), &entry, sizeof(entry));
    for (std::size_t size = 0; size < kTileSizes; ++size) {
      add_tile(size, {static_cast<int32_t>(row), 0, static_cast<int32_t>(next_slice)});
    }
    ++next_slice;
  }
}

StepView StepTables::view() const {
  const auto* data = static_cast<const std::byte*>(device_.get());
  return {reinterpret_cast<const StepSlice*>(data), tiles(1), reinterpret_cast<const int32_t*>(data + pages_at_)};
}

const RowTile* StepTables::tiles(int rows) const {
  return reinterpret_cast<const RowTile*>(static_cast<const std::byte*>(device_.get()) + tiles_at_[index_of(rows)]);
}

int StepTables::tile_count(int rows) const {
  return tile_counts_[index_of(rows)];
}

}  // namespace longship::cuda
