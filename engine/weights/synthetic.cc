#include "engine/weights/synthetic.h"

#include <algorithm>
#include <cstring>

#include "core/rng.h"
#include "core/unsupported.h"
#include "engine/weights/blocks.h"
#include "engine/weights/quants.h"

namespace longship {

namespace {

// About the spread of trained weights.
constexpr float kSpread = 0.02F;

bool is_gain(const std::string& name) {
  return name.find("norm") != std::string::npos || name.find("ln_") != std::string::npos;
}

void fill_block(DType dtype, uint32_t index, std::byte* block) {
  const int32_t size = info(dtype).block_bytes;
  for (int32_t at = 0; at < size; at += 16) {
    const Philox::Block words = Philox::block({index, static_cast<uint32_t>(at), 0, 0}, {0, 0});
    std::memcpy(block + at, words.data(), static_cast<std::size_t>(std::min(16, size - at)));
  }
  if (is_block_quantised(dtype)) {
    set_scales(dtype, kSpread / 16, kSpread / 16, block);
  } else {
    const float uniform = static_cast<float>(Philox::block({index, 0, 0, 0}, {0, 0})[0]) * 0x1.0p-32F;
    store_value(dtype, (uniform - 0.5F) * 2 * kSpread, block);
  }
}

}  // namespace

SyntheticWeights::SyntheticWeights(std::string path, DType matrices) : path_(std::move(path)), matrices_(matrices) {}

const SourceTensor* SyntheticWeights::find(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto found = tensors_.find(std::string(name));
  return found == tensors_.end() ? nullptr : &found->second;
}

const SourceTensor* SyntheticWeights::expect(std::string_view name, const Shape& shape) {
  const std::lock_guard lock(mutex_);
  const std::string key(name);
  const auto found = tensors_.find(key);
  if (found != tensors_.end()) {
    return &found->second;
  }
  const DType dtype = shape.size() == 2 ? matrices_ : DType::kF32;
  const int64_t block = info(dtype).block_values;
  if (shape.back() % block != 0) {
    throw unsupported_error(path_, key,
                            "rows of " + std::to_string(shape.back()) + " values are no whole blocks of " +
                                std::string(longship::name(dtype)),
                            "Choose another --synthetic-type.");
  }
  return &tensors_.emplace(key, SourceTensor{key, dtype, shape}).first->second;
}

RegionView SyntheticWeights::view(const SourceTensor& tensor, const Region& region) {
  const int64_t stride = info(tensor.dtype).block_bytes;
  const int64_t row_bytes = bytes_of(tensor.dtype, tensor.columns());
  const int64_t rows = region.row_end - region.row_begin;
  bytes_read_ += static_cast<uint64_t>(rows * bytes_of(tensor.dtype, region.column_end - region.column_begin));
  const std::byte* begin =
      pattern(tensor.dtype, region.row_end * stride + row_bytes, tensor.shape.size() == 1 && is_gain(tensor.name));
  return {begin + region.row_begin * stride + bytes_of(tensor.dtype, region.column_begin), stride};
}

const std::byte* SyntheticWeights::pattern(DType dtype, int64_t bytes, bool ones) {
  const std::lock_guard lock(mutex_);
  std::deque<Bytes>& patterns = patterns_[{dtype, ones}];
  if (patterns.empty() || std::ssize(patterns.back()) < bytes) {
    const int64_t size = info(dtype).block_bytes;
    Bytes& added = patterns.emplace_back(static_cast<std::size_t>((bytes + size - 1) / size * size));
    for (int64_t at = 0; at < std::ssize(added); at += size) {
      if (ones) {
        store_value(dtype, 1.0F, &added[static_cast<std::size_t>(at)]);
      } else {
        fill_block(dtype, static_cast<uint32_t>(at / size), &added[static_cast<std::size_t>(at)]);
      }
    }
  }
  return patterns.back().data();
}

}  // namespace longship
