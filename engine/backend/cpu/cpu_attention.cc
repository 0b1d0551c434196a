#include "engine/backend/cpu/cpu_attention.h"

#include <algorithm>

namespace longship::cpu {

namespace {

// Values or multiply-adds below which another thread is not worth waking.
constexpr int64_t kGrainValues = 16384;
constexpr int64_t kGrainProducts = 65536;

int64_t items_per_grain(int64_t grain, int64_t size) {
  return std::max<int64_t>(1, grain / std::max<int64_t>(1, size));
}

// One head of one token into its page; a key is a column of its page.
template <class Value>
void write_head(const Value* key, const Value* value, int64_t head_dim, int64_t column, Value* keys, Value* values) {
  for (int64_t i = 0; i < head_dim; ++i) {
    keys[i * kPageTokens + column] = key[i];
  }
  std::copy_n(value, head_dim, values + column * head_dim);
}

void write_token(const Isa& isa, const HeadsView& keys, const HeadsView& values, int64_t row, int32_t page,
                 int64_t column, KvLayer& kv) {
  const int64_t dh = keys.head_dim;
  for (int64_t head = 0; head < keys.heads; ++head) {
    const int64_t origin = (page * keys.heads + head) * dh * kPageTokens;
    const float* key = keys.row(row) + head * dh;
    const float* value = values.row(row) + head * dh;
    if (kv.keys.dtype() == DType::kF32) {
      write_head(key, value, dh, column, kv.keys.data<float>() + origin, kv.values.data<float>() + origin);
    } else {
      uint16_t half_key[kMaxHeadDim];
      uint16_t half_value[kMaxHeadDim];
      isa.to_f16(key, dh, half_key);
      isa.to_f16(value, dh, half_value);
      write_head(half_key, half_value, dh, column, kv.keys.data<uint16_t>() + origin,
                 kv.values.data<uint16_t>() + origin);
    }
  }
}

// Query heads [begin, end) that read the same key/value head, from `begin` on and at most `most`.
int32_t shared_heads(const std::vector<int32_t>& kv_head, int32_t begin, int32_t most) {
  int32_t end = begin + 1;
  while (end < std::ssize(kv_head) && end - begin < most &&
         kv_head[static_cast<std::size_t>(end)] == kv_head[static_cast<std::size_t>(begin)]) {
    ++end;
  }
  return end - begin;
}

// Appends the units of one sequence; heads that share keys go together, up to `most_heads`. Returns the products of
// query and key values that they compute, about.
int64_t plan_slice(const BatchSlice& slice, const std::vector<int32_t>& kv_head, int32_t most_heads,
                   std::vector<AttentionUnit>& units) {
  int64_t keys = 0;
  for (int32_t head = 0; head < std::ssize(kv_head);) {
    const int32_t heads = shared_heads(kv_head, head, most_heads);
    const int32_t most_rows = static_cast<int32_t>(kMaxQueries) / heads;
    for (int64_t row = 0; row < slice.rows; row += most_rows) {
      const auto rows = static_cast<int32_t>(std::min<int64_t>(most_rows, slice.rows - row));
      units.push_back({slice.pages.data(), slice.first_row + row, slice.begin + row, rows, head, heads,
                       kv_head[static_cast<std::size_t>(head)]});
      keys += (slice.begin + row + rows) * rows * heads;
    }
    head += heads;
  }
  return keys;
}

}  // namespace

void write_kv(const Isa& isa, ThreadPool& pool, const HeadsView& keys, const HeadsView& values, const Batch& batch,
              KvLayer& kv) {
  const int64_t grain = items_per_grain(kGrainValues, 2 * keys.heads * keys.head_dim);
  for (const BatchSlice& slice : batch.slices) {
    pool.parallel_for(slice.rows, grain, [&](int64_t begin, int64_t end) {
      flush_denormals();
      for (int64_t row = begin; row < end; ++row) {
        const int64_t position = slice.begin + row;
        write_token(isa, keys, values, slice.first_row + row,
                    slice.pages[static_cast<std::size_t>(position / kPageTokens)], position % kPageTokens, kv);
      }
    });
  }
}

void attend(const Isa& isa, ThreadPool& pool, const AttentionTask& task, const Batch& batch,
            const std::vector<int32_t>& kv_head, std::vector<AttentionUnit>& units) {
  // Few tokens: a unit for each head, so that every thread gets some.
  const bool few = pool.threads() > 1 && batch.rows() * task.kv_heads < int64_t{4} * pool.threads();
  units.clear();
  int64_t keys = 0;
  for (const BatchSlice& slice : batch.slices) {
    LONGSHIP_CHECK(std::ssize(slice.pages) < int64_t{1} << kMergeLevels, "a context longer than the merge's levels");
    keys += plan_slice(slice, kv_head, few ? 1 : static_cast<int32_t>(kMaxQueries), units);
  }
  const int64_t count = std::ssize(units);
  const int64_t window = task.window == 0 ? keys : batch.rows() * std::ssize(kv_head) * task.window;
  const int64_t products = 2 * std::min(keys, window) * task.head_dim;
  pool.parallel_for(count, items_per_grain(kGrainProducts, products / std::max<int64_t>(1, count)),
                    [&](int64_t begin, int64_t end) {
                      flush_denormals();
                      for (int64_t i = begin; i < end; ++i) {
                        isa.attention(task, units[static_cast<std::size_t>(i)]);
                      }
                    });
}

}  // namespace longship::cpu
