#include "engine/weights/mapped_tensors.h"

#include <cstring>

#include "core/error.h"

namespace longship {

void MappedTensors::add(SourceTensor tensor, std::span<const std::byte> bytes) {
  index_.emplace(tensor.name, tensors_.size());
  tensors_.push_back(std::move(tensor));
  bytes_.push_back(bytes);
}

void MappedTensors::add_unsupported(std::string name, std::string type) {
  unsupported_.emplace(std::move(name), std::move(type));
}

const SourceTensor* MappedTensors::find(std::string_view name) const {
  const std::string key(name);
  if (const auto found = index_.find(key); found != index_.end()) {
    return &tensors_[found->second];
  }
  if (const auto found = unsupported_.find(key); found != unsupported_.end()) {
    throw model_file_error(path_, key, "the type " + found->second + " is not supported");
  }
  return nullptr;
}

std::span<const std::byte> MappedTensors::bytes_of_tensor(const SourceTensor& tensor) const {
  return bytes_[static_cast<std::size_t>(&tensor - tensors_.data())];
}

void MappedTensors::read(const SourceTensor& tensor, const Region& region, std::span<std::byte> out) {
  const int64_t row_bytes = bytes_of(tensor.dtype, tensor.columns());
  const int64_t begin = bytes_of(tensor.dtype, region.column_begin);
  const int64_t size = bytes_of(tensor.dtype, region.column_end) - begin;
  const int64_t rows = region.row_end - region.row_begin;
  const int64_t block = info(tensor.dtype).block_values;
  LONGSHIP_CHECK(region.row_begin >= 0 && rows >= 0 && region.row_end <= tensor.rows() && region.column_begin >= 0 &&
                     size >= 0 && region.column_end <= tensor.columns() && region.column_begin % block == 0 &&
                     region.column_end % block == 0 && static_cast<int64_t>(out.size()) == rows * size,
                 "a region outside the tensor " + tensor.name);
  const std::byte* from = bytes_of_tensor(tensor).data() + region.row_begin * row_bytes + begin;
  if (size == row_bytes) {
    std::memcpy(out.data(), from, out.size());
  } else {
    for (int64_t row = 0; row < rows; ++row) {
      std::memcpy(out.data() + row * size, from + row * row_bytes, static_cast<std::size_t>(size));
    }
  }
  bytes_read_ += out.size();
}

std::span<const std::byte> MappedTensors::map(const SourceTensor& tensor) {
  const std::span<const std::byte> bytes = bytes_of_tensor(tensor);
  bytes_read_ += bytes.size();
  return bytes;
}

}  // namespace longship
