#pragma once

#include <cstddef>
#include <random>
#include <vector>

#include "engine/weights/blocks.h"
#include "engine/weights/quants.h"

namespace longship {

/// Rows as a file holds them, of plausible values, the same in every run.
inline std::vector<std::byte> made_up_rows(DType dtype, int64_t rows, int64_t columns) {
  std::vector<std::byte> stored(static_cast<std::size_t>(rows * bytes_of(dtype, columns)));
  std::minstd_rand random(1);
  const auto block = static_cast<std::size_t>(info(dtype).block_bytes);
  for (std::size_t at = 0; at < stored.size(); at += block) {
    if (!is_block_quantised(dtype)) {
      store_value(dtype, static_cast<float>(random() % 2048) / 10240.0F - 0.1F, &stored[at]);
      continue;
    }
    for (std::size_t i = 0; i < block; ++i) {
      stored[at + i] = static_cast<std::byte>(random() >> 8U);
    }
    set_scales(dtype, 0.01F, 0.02F, &stored[at]);
  }
  return stored;
}

}  // namespace longship
