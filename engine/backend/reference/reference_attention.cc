#include "engine/backend/reference/reference_attention.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/range.h"
#include "engine/backend/attention_merge.h"
#include "engine/backend/kv_page.h"

namespace longship {

namespace {

// Unnormalised output of some keys: sum of exp(score - maximum) v, and the sum of the weights.
struct Partial {
  double maximum = 0;
  double sum = 0;
  std::vector<double> out;
};

Partial merge(const Partial& older, const Partial& newer) {
  Partial result{std::max(older.maximum, newer.maximum), 0, older.out};
  const double a = std::exp(older.maximum - result.maximum);
  const double b = std::exp(newer.maximum - result.maximum);
  result.sum = older.sum * a + newer.sum * b;
  for (std::size_t i = 0; i < result.out.size(); ++i) {
    result.out[i] = older.out[i] * a + newer.out[i] * b;
  }
  return result;
}

// Keys [begin, end) of the page that holds them.
Partial attend_chunk(const float* q, int64_t dh, const KvPage& page, Range keys, double scale) {
  Partial partial{-INFINITY, 0, std::vector<double>(static_cast<std::size_t>(dh), 0.0)};
  std::vector<double> scores;
  for (int64_t key = keys.begin; key < keys.end; ++key) {
    double dot = 0;
    for (int64_t i = 0; i < dh; ++i) {
      dot += static_cast<double>(q[i]) * static_cast<double>(page.key(i, key));
    }
    scores.push_back(dot * scale);
    partial.maximum = std::max(partial.maximum, scores.back());
  }
  for (int64_t key = keys.begin; key < keys.end; ++key) {
    const double weight = std::exp(scores[static_cast<std::size_t>(key - keys.begin)] - partial.maximum);
    partial.sum += weight;
    for (int64_t i = 0; i < dh; ++i) {
      partial.out[static_cast<std::size_t>(i)] += weight * static_cast<double>(page.value(key, i));
    }
  }
  return partial;
}

}  // namespace

void reference_kv_write(const HeadsView& keys, const HeadsView& values, const Batch& batch, KvLayer& kv) {
  const int64_t dh = keys.head_dim;
  for (const BatchSlice& slice : batch.slices) {
    for (int64_t row = 0; row < slice.rows; ++row) {
      const int64_t position = slice.begin + row;
      const int32_t page = slice.pages[static_cast<std::size_t>(position / kPageTokens)];
      for (int64_t head = 0; head < keys.heads; ++head) {
        KvPage(kv, page, head)
            .write(position % kPageTokens, keys.row(slice.first_row + row) + head * dh,
                   values.row(slice.first_row + row) + head * dh);
      }
    }
  }
}

void reference_attention(const HeadsView& query, const KvLayer& kv, const Batch& batch, const AttentionSpec& spec,
                         Tensor& out) {
  const int64_t dh = query.head_dim;
  for (const BatchSlice& slice : batch.slices) {
    for (int64_t row = slice.first_row; row < slice.first_row + slice.rows; ++row) {
      const int64_t end = slice.begin + row - slice.first_row + 1;
      const int64_t begin = spec.window == 0 ? 0 : std::max<int64_t>(0, end - spec.window);
      for (int64_t head = 0; head < query.heads; ++head) {
        ChunkMerger<Partial, decltype(&merge)> merger(&merge);
        for (int64_t chunk = begin / kPageTokens; chunk * kPageTokens < end; ++chunk) {
          const int64_t first = chunk * kPageTokens;
          const KvPage page(kv, slice.pages[static_cast<std::size_t>(chunk)],
                            spec.kv_head[static_cast<std::size_t>(head)]);
          const Range keys = {std::max(begin - first, int64_t{0}), std::min(end - first, kPageTokens)};
          merger.add(chunk, attend_chunk(query.row(row) + head * dh, dh, page, keys, static_cast<double>(spec.scale)));
        }
        const Partial total = merger.finish();
        for (int64_t i = 0; i < dh; ++i) {
          out.data<float>()[(row * query.heads + head) * dh + i] =
              static_cast<float>(total.out[static_cast<std::size_t>(i)] / total.sum);
        }
      }
    }
  }
}

}  // namespace longship
