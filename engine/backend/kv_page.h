#pragma once

#include <cstdint>

#include "core/half.h"
#include "engine/backend/kernels.h"

namespace longship {

/// Values of a key or value that share a scale in a q8_0 cache.
inline constexpr int64_t kKvBlock = 32;

/// The keys and values of one head in one page: where each value stands, and what it is, in every type of the cache.
/// Keys [Dh, 64], values [64, Dh]. In kQ8_0 a value is scale x integer, as in GGUF, but the integers of a page come
/// first and the f16 scales behind them: of keys [Dh / 32, 64], of values [64, Dh / 32].
class KvPage {
 public:
  KvPage(const KvLayer& kv, int64_t page, int64_t head) : dtype_(kv.keys.dtype()), head_dim_(kv.keys.dim(2)) {
    const int64_t origin = bytes_of(dtype_, (page * kv.keys.dim(1) + head) * head_dim_ * kPageTokens);
    keys_ = kv.keys.data<std::byte>() + origin;
    values_ = kv.values.data<std::byte>() + origin;
  }

  std::byte* keys() const { return keys_; }
  std::byte* values() const { return values_; }

  /// Stores key and value [Dh] of the token in column `column`.
  void write(int64_t column, const float* key, const float* value) const;
  float key(int64_t i, int64_t column) const;
  float value(int64_t column, int64_t i) const;

 private:
  DType dtype_;
  int64_t head_dim_;
  std::byte* keys_;
  std::byte* values_;
};

}  // namespace longship
