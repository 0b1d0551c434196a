#pragma once

#include <cstddef>
#include <cstdint>

#include "core/dtype.h"
#include "cuda/api.h"

namespace longship::cuda {

/// A table in the device's memory as a checkpoint has it: rows of whole blocks.
struct StoredTable {
  const std::byte* data = nullptr;
  int64_t row_bytes = 0;
  int64_t columns = 0;
  int64_t skip = 0;  ///< Columns of the first block that are not the table's.
  DType dtype = DType::kF32;
  int block_values = 1;
  int block_bytes = 4;
};

/// See Kernels::embed.
void launch_embed(const StoredTable& table, const int32_t* ids, int64_t count, float* out, StreamHandle stream);

}  // namespace longship::cuda
