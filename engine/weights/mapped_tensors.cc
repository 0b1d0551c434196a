#include "engine/weights/mapped_tensors.h"

#include "core/unsupported.h"

namespace longship {

void MappedTensors::add(SourceTensor tensor, std::span<const std::byte> bytes) {
  index_.emplace(tensor.name, tensors_.size());
  tensors_.push_back(std::move(tensor));
  bytes_.push_back(bytes);
}

void MappedTensors::add_unsupported(std::string name, std::string type) {
  unsupported_.emplace(std::move(name), std::move(type));
}

std::vector<std::string> MappedTensors::unsupported() const {
  std::vector<std::string> names;
  for (const auto& [name, type] : unsupported_) {
    names.push_back(name);
  }
  return names;
}

const SourceTensor* MappedTensors::find(std::string_view name) const {
  const std::string key(name);
  if (const auto found = index_.find(key); found != index_.end()) {
    return &tensors_[found->second];
  }
  if (const auto found = unsupported_.find(key); found != unsupported_.end()) {
    throw unsupported_error(path_, key, "the type " + found->second + " is not supported",
                            "Convert it to another type, such as BF16, or Q8_0 in GGUF files.");
  }
  return nullptr;
}

std::span<const std::byte> MappedTensors::bytes_of_tensor(const SourceTensor& tensor) const {
  return bytes_[static_cast<std::size_t>(&tensor - tensors_.data())];
}

RegionView MappedTensors::view(const SourceTensor& tensor, const Region& region) {
  const int64_t row_bytes = bytes_of(tensor.dtype, tensor.columns());
  const int64_t rows = region.row_end - region.row_begin;
  const int64_t block = info(tensor.dtype).block_values;
  LONGSHIP_CHECK(region.row_begin >= 0 && rows >= 0 && region.row_end <= tensor.rows() && region.column_begin >= 0 &&
                     region.column_begin <= region.column_end && region.column_end <= tensor.columns() &&
                     region.column_begin % block == 0 && region.column_end % block == 0,
                 "a region outside the tensor " + tensor.name);
  bytes_read_ += static_cast<uint64_t>(rows * bytes_of(tensor.dtype, region.column_end - region.column_begin));
  return {bytes_of_tensor(tensor).data() + region.row_begin * row_bytes + bytes_of(tensor.dtype, region.column_begin),
          row_bytes};
}

}  // namespace longship
