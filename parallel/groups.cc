#include "parallel/groups.h"

#include <numeric>

namespace longship {

int64_t ffn_group_columns(int64_t columns, DType weight) {
  constexpr int64_t kFewestGroups = 24;
  constexpr int64_t kLargest = 256;
  const int64_t least = is_block_quantised(weight) ? 32 : 2;
  int64_t size = kLargest;
  while (size > least && (columns + size - 1) / size < kFewestGroups) {
    size /= 2;
  }
  return size;
}

int64_t heads_per_group(int64_t head_dim, bool block_quantised) {
  const int64_t whole = block_quantised ? 32 : 2;
  return whole / std::gcd(whole, head_dim);
}

int64_t vocabulary_unit(int64_t rows, int tp) {
  constexpr int64_t kBlockRows = 1024;
  return rows >= kBlockRows * tp ? kBlockRows : 1;
}

}  // namespace longship
