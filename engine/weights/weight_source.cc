#include "engine/weights/weight_source.h"

#include <cstring>

#include "core/error.h"

namespace longship {

void WeightSource::read(const SourceTensor& tensor, const Region& region, std::span<std::byte> out) {
  const RegionView from = view(tensor, region);
  const auto rows = static_cast<std::size_t>(region.row_end - region.row_begin);
  const auto size = static_cast<std::size_t>(bytes_of(tensor.dtype, region.column_end - region.column_begin));
  LONGSHIP_CHECK(out.size() == rows * size, "a buffer of another size than the region of " + tensor.name);
  for (std::size_t row = 0; row < rows; ++row) {
    std::memcpy(out.data() + row * size, from.data + static_cast<int64_t>(row) * from.stride_bytes, size);
  }
}

}  // namespace longship
