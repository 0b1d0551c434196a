#include "engine/backend/cuda/step_tables.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

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

void StepTables::Part::add(const BatchSlice& slice) {
  rows += slice.rows;
  one_row_each = one_row_each && slice.rows <= 1;
  chunks = std::max(chunks, chunks_of(slice));
  for (std::size_t size = 0; size < kTileSizes; ++size) {
    lists[size].count += static_cast<int>(tiles_of(slice, 1 << size));
  }
}

void StepTables::Part::add_padding(int64_t padding) {
  rows += padding;
  chunks = rounded_chunks(chunks);
  for (TileList& list : lists) {
    list.count += static_cast<int>(padding);
  }
}

// Slices, tiles of each size, page numbers. Tiles of the short and of the long slices are those of all where there is
// but one kind.
void StepTables::place(const Batch& batch) {
  parts_ = {};
  long_slices_.clear();
  long_slice_rows_.clear();
  std::size_t pages = 0;
  for (const BatchSlice& slice : batch.slices) {
    parts_[index_of(Slices::kAll)].add(slice);
    parts_[index_of(kind_of(slice))].add(slice);
    if (kind_of(slice) == Slices::kLong) {
      long_slices_.push_back(static_cast<int32_t>(&slice - batch.slices.data()));
      long_slice_rows_.push_back(slice.rows);
    }
    pages += static_cast<std::size_t>(chunks_of(slice));
  }
  padding_ = batch.rows() - rows();
  if (part(Slices::kAll).one_row_each) {
    parts_[index_of(Slices::kAll)].add_padding(padding_);
    parts_[index_of(Slices::kShort)].add_padding(padding_);
  }
  LONGSHIP_CHECK(rows() == batch.rows(), "only a step of one row a sequence has rows of none");
  std::size_t at = aligned((batch.slices.size() + static_cast<std::size_t>(padding_)) * sizeof(StepSlice));
  for (Part& part : parts_) {
    const bool all = &part != parts_.data() && part.rows == rows();
    for (std::size_t size = 0; size < kTileSizes; ++size) {
      part.lists[size].at = all ? parts_[0].lists[size].at : at;
      at = all ? at : aligned(at + static_cast<std::size_t>(part.lists[size].count) * sizeof(RowTile));
    }
  }
  long_slices_at_ = at;
  pages_at_ = aligned(at + long_slices_.size() * sizeof(int32_t));
  host_.assign(pages_at_ + pages * sizeof(int32_t), std::byte{});
}

void StepTables::fill(const Batch& batch) {
  std::size_t next_slice = 0;
  int32_t page = 0;
  for (const BatchSlice& slice : batch.slices) {
    const StepSlice entry{static_cast<int32_t>(slice.first_row), static_cast<int32_t>(slice.rows),
                          static_cast<int32_t>(slice.begin), page};
    std::memcpy(host_.data() + next_slice++ * sizeof(StepSlice), &entry, sizeof(entry));
    const auto pages = static_cast<std::size_t>(chunks_of(slice));
    std::memcpy(host_.data() + pages_at_ + static_cast<std::size_t>(page) * sizeof(int32_t), slice.pages.data(),
                pages * sizeof(int32_t));
    page += static_cast<int32_t>(pages);
  }
  for (const Slices which : {Slices::kAll, Slices::kShort, Slices::kLong}) {
    fill_tiles(batch, which);
  }
  fill_padding(batch.slices.size());
  std::memcpy(host_.data() + long_slices_at_, long_slices_.data(), long_slices_.size() * sizeof(int32_t));
}

void StepTables::fill_tiles(const Batch& batch, Slices which) {
  std::array<TileList, kTileSizes> lists = part(which).lists;
  int64_t slot = 0;
  int32_t first_page = 0;
  for (const BatchSlice& slice : batch.slices) {
    const int32_t page = std::exchange(first_page, first_page + static_cast<int32_t>(chunks_of(slice)));
    if (which != Slices::kAll && which != kind_of(slice)) {
      continue;
    }
    const auto number = static_cast<int32_t>(&slice - batch.slices.data());
    for (std::size_t size = 0; size < kTileSizes; ++size) {
      for (int64_t row = 0; row < slice.rows; row += 1 << size) {
        const RowTile tile{static_cast<int32_t>(slice.first_row + row),
                           static_cast<int32_t>(std::min<int64_t>(1 << size, slice.rows - row)),
                           number,
                           static_cast<int32_t>(slot + row),
                           static_cast<int32_t>(slice.begin + row),
                           page};
        std::memcpy(host_.data() + lists[size].at, &tile, sizeof(tile));
        lists[size].at += sizeof(tile);
      }
    }
    slot += slice.rows;
  }
}

void StepTables::fill_padding(std::size_t first_slice) {
  for (int64_t i = 0; i < padding_; ++i) {
    const auto row = static_cast<int32_t>(rows() - padding_ + i);
    const std::size_t slice = first_slice + static_cast<std::size_t>(i);
    const StepSlice entry{.first_row = row};
    std::memcpy(host_.data() + slice * sizeof(StepSlice), &entry, sizeof(entry));
    const RowTile tile{.row = row, .slice = static_cast<int32_t>(slice), .slot = row};
    for (const TileList& list : part(Slices::kAll).lists) {
      const auto place = static_cast<std::size_t>(list.count - padding_ + i) * sizeof(RowTile);
      std::memcpy(host_.data() + list.at + place, &tile, sizeof(tile));
    }
  }
}

StepView StepTables::view() const {
  const auto* data = static_cast<const std::byte*>(device_.get());
  return {reinterpret_cast<const StepSlice*>(data), tiles(1), reinterpret_cast<const int32_t*>(data + pages_at_)};
}

const RowTile* StepTables::tiles(int rows, Slices which) const {
  return reinterpret_cast<const RowTile*>(static_cast<const std::byte*>(device_.get()) +
                                          part(which).lists[index_of(rows)].at);
}

int StepTables::tile_count(int rows, Slices which) const {
  return part(which).lists[index_of(rows)].count;
}

const int32_t* StepTables::long_slices() const {
  return reinterpret_cast<const int32_t*>(static_cast<const std::byte*>(device_.get()) + long_slices_at_);
}

int StepTables::long_tile_count(int rows) const {
  int64_t count = 0;
  for (const int64_t slice_rows : long_slice_rows_) {
    count += (slice_rows + rows - 1) / rows;
  }
  return static_cast<int>(count);
}

}  // namespace longship::cuda
