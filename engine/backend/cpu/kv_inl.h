// Reading keys and values of every type of the cache; kv_page.h says where they stand.

namespace longship::LONGSHIP_CPU_NAMESPACE {

constexpr int kChunkVectors = static_cast<int>(cpu::kChunkKeys / cpu::kLanes);

template <cpu::KvType kType>
LONGSHIP_INLINE F32 load_kv(const std::byte* base, int64_t index) {
  if constexpr (kType == cpu::KvType::kF32) {
    return load(reinterpret_cast<const float*>(base) + index);
  } else if constexpr (kType == cpu::KvType::kF16) {
    return load_f16(reinterpret_cast<const uint16_t*>(base) + index);
  } else if constexpr (kType == cpu::KvType::kBF16) {
    return load_bf16(reinterpret_cast<const uint16_t*>(base) + index);
  } else {
    return load_i8(reinterpret_cast<const int8_t*>(base) + index);
  }
}

/// The keys of one head in one page, [Dh, 64], row by row. The scales of q8_0 follow: [Dh / 32, 64].
template <cpu::KvType kType>
class KeyPage {
 public:
  KeyPage(const std::byte* base, int64_t head_dim)
      : base_(base), scale_(reinterpret_cast<const uint16_t*>(base + head_dim * cpu::kChunkKeys)) {}

  /// V vectors of row i from vector `first` on. Rows are taken in order, for the same vectors each.
  template <int V>
  LONGSHIP_INLINE void row(int64_t i, int first, F32 (&keys)[V]) {
    if constexpr (kType == cpu::KvType::kQ8) {
      if (i % cpu::kBlock == 0) {
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) {
          scales_[v] = load_f16(scale_ + i / cpu::kBlock * cpu::kChunkKeys + (first + v) * cpu::kLanes);
        }
      }
    }
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) {
      keys[v] = load_kv<kType>(base_, i * cpu::kChunkKeys + (first + v) * cpu::kLanes);
      if constexpr (kType == cpu::KvType::kQ8) {
        keys[v] = mul(keys[v], scales_[v]);
      }
    }
  }

 private:
  const std::byte* base_;
  const uint16_t* scale_;
  F32 scales_[kChunkVectors];  // of q8_0 only
};

/// The values of one head in one page, [64, Dh]. The scales of q8_0 follow: [64, Dh / 32].
template <cpu::KvType kType>
class ValuePage {
 public:
  ValuePage(const std::byte* base, int64_t head_dim)
      : base_(base),
        scale_(reinterpret_cast<const uint16_t*>(base + head_dim * cpu::kChunkKeys)),
        head_dim_(head_dim) {}

  LONGSHIP_INLINE F32 vector(int64_t key, int64_t column) const {
    const int64_t index = key * head_dim_ + column;
    const F32 value = load_kv<kType>(base_, index);
    if constexpr (kType == cpu::KvType::kQ8) {
      return mul(value, broadcast_f16(scale_[index / cpu::kBlock]));
    } else {
      return value;
    }
  }

  /// The last values of a key; no byte beyond them is touched.
  LONGSHIP_INLINE F32 vector_n(int64_t key, int64_t column, int64_t lanes) const {
    const int64_t index = key * head_dim_ + column;
    if constexpr (kType == cpu::KvType::kF32) {
      return load_n(reinterpret_cast<const float*>(base_) + index, lanes);
    } else {  // q8_0 has no such values
      uint16_t last[cpu::kLanes] = {};
      __builtin_memcpy(last, base_ + index * 2, static_cast<size_t>(lanes * 2));
      return load_kv<kType>(reinterpret_cast<const std::byte*>(last), 0);
    }
  }

 private:
  const std::byte* base_;
  const uint16_t* scale_;
  int64_t head_dim_;
};

}  // namespace longship::LONGSHIP_CPU_NAMESPACE
