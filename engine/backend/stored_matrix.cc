#include "engine/backend/kernels.h"
#include "engine/weights/blocks.h"

namespace longship {

void StoredMatrix::dequantise(int64_t row_index, Range range, float* out) const {
  dequantize_columns(dtype, row(row_index), in_blocks(range), out);
  if (scales.values != nullptr) {
    for (int64_t column = range.begin; column < range.end; ++column) {
      out[column - range.begin] *= scales.at(row_index, column);
    }
  }
}

}  // namespace longship
