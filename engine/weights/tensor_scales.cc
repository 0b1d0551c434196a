#include "engine/weights/tensor_scales.h"

#include <algorithm>
#include <string>

#include "core/bytes.h"
#include "core/error.h"
#include "engine/weights/blocks.h"

namespace longship {

namespace {

constexpr int64_t kBlock = 128;

const SourceTensor* scales_of(const WeightSource& source, const SourceTensor& tensor) {
  for (const char* ending : {"_scale_inv", "_scale"}) {
    if (const SourceTensor* scales = source.find(tensor.name + ending)) {
      return scales;
    }
  }
  return nullptr;
}

int64_t blocks(int64_t extent) {
  return (extent + kBlock - 1) / kBlock;
}

}  // namespace

std::optional<TensorScales> TensorScales::find(WeightSource& source, const SourceTensor& tensor) {
  const SourceTensor* scales = tensor.dtype == DType::kF8_E4M3 ? scales_of(source, tensor) : nullptr;
  if (scales == nullptr) {
    return std::nullopt;
  }
  TensorScales found;
  const int64_t count = element_count(scales->shape);
  found.block_columns_ = std::max<int64_t>(1, tensor.columns());
  if (count == 1) {
    found.block_rows_ = std::max<int64_t>(1, tensor.rows());
  } else if (scales->shape == Shape{blocks(tensor.rows()), blocks(tensor.columns())}) {
    found.block_rows_ = kBlock;
    found.block_columns_ = kBlock;
    found.per_row_ = scales->columns();
  } else if (count != tensor.rows()) {
    throw model_file_error(source.path(), scales->name,
                           "has neither one number, nor one a row, nor one for each block of 128 x 128");
  }
  Bytes stored(static_cast<std::size_t>(bytes_of(scales->dtype, count)));
  source.read(*scales, {0, scales->rows(), 0, scales->columns()}, stored);
  found.values_.resize(static_cast<std::size_t>(count));
  dequantize(scales->dtype, stored.data(), count, found.values_.data());
  return found;
}

}  // namespace longship
