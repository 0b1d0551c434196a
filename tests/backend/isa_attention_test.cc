// Attention of every type of keys and values.
#include "core/half.h"
#include "isa_variants.h"

namespace longship::cpu {
namespace {

struct Shape {
  KvType type;
  int64_t head_dim;
  int32_t rows;
  int32_t heads;
  int64_t position;
  int64_t window;
};

class IsaAttentionTest : public IsaTest {
 protected:
  static constexpr int64_t kKvHeads = 2;

  /// Pages of keys, or of values, that hold numbers.
  std::vector<std::byte> pages(const Shape& shape, int64_t count) {
    std::vector<std::byte> all;
    for (int64_t page = 0; page < count * kKvHeads; ++page) {
      append_page(shape, all);
    }
    return all;
  }

  static int64_t page_bytes(const Shape& shape) {
    const int64_t values = shape.head_dim * kChunkKeys;
    switch (shape.type) {
      case KvType::kF32:
        return values * 4;
      case KvType::kQ8:
        return values + values / kBlock * 2;
      default:
        return values * 2;
    }
  }

  /// What the queries of the unit see of `chunks`, as segments of `segment` chunks where that is not 0.
  std::vector<float> attend(const Isa& isa, const Shape& shape, int64_t segment) {
    const int64_t chunks = (shape.position + shape.rows + kChunkKeys - 1) / kChunkKeys;
    const int64_t out_stride = (shape.heads + 2) * shape.head_dim;
    std::vector<float> out = untouched((shape.rows + 2) * out_stride);
    AttentionUnit unit{numbers_.data(), 1, shape.position, shape.rows, 1, shape.heads, 1};
    const int64_t units = segment == 0 ? 1 : (chunks + segment - 1) / segment;
    std::vector<float> partials = untouched(units * unit.queries() * partial_values(shape.head_dim));
    const AttentionTask task{.query = query_.data(),
                             .query_stride = out_stride,
                             .out = out.data(),
                             .out_stride = out_stride,
                             .keys = keys_.data(),
                             .values = values_.data(),
                             .type = shape.type,
                             .page_bytes = page_bytes(shape),
                             .kv_heads = kKvHeads,
                             .head_dim = shape.head_dim,
                             .scale = 1.0F / std::sqrt(static_cast<float>(shape.head_dim)),
                             .window = shape.window,
                             .partials = partials.data()};
    if (segment == 0) {
      isa.attention(task, unit);
      return out;
    }
    std::vector<AttentionUnit> all;
    for (int64_t i = 0; i < units; ++i) {
      unit.first_chunk = i * segment;
      unit.end_chunk = (i + 1) * segment;
      unit.partial = i * unit.queries();
      all.push_back(unit);
      isa.attention(task, unit);
    }
    isa.merge_segments(task, all.data(), {0, units, 0});
    out.insert(out.end(), partials.begin(), partials.end());
    return out;
  }

  void draw(const Shape& shape) {
    const int64_t chunks = (shape.position + shape.rows + kChunkKeys - 1) / kChunkKeys;
    keys_ = pages(shape, chunks + 1);
    values_ = pages(shape, chunks + 1);
    query_ = normal((shape.rows + 2) * (shape.heads + 2) * shape.head_dim, 2.0F);
    numbers_.clear();
    for (int64_t chunk = chunks; chunk > 0; --chunk) {
      numbers_.push_back(static_cast<int32_t>(chunk));
    }
  }

  void compare(const Shape& shape, int64_t segment) {
    expect_same(attend(other(), shape, segment), attend(avx2(), shape, segment),
                "heads of " + std::to_string(shape.head_dim) + ", " + std::to_string(shape.rows) + " rows of " +
                    std::to_string(shape.heads) + " heads at " + std::to_string(shape.position) + ", window " +
                    std::to_string(shape.window) + ", segments of " + std::to_string(segment));
  }

  std::vector<float> query_;

 private:
  void append_page(const Shape& shape, std::vector<std::byte>& all) {
    const int64_t values = shape.head_dim * kChunkKeys;
    if (shape.type == KvType::kQ8) {
      const std::vector<std::byte> integers = bytes(values);
      all.insert(all.end(), integers.begin(), integers.end());
      append_halves(values / kBlock, 0.02F, all);
    } else if (shape.type == KvType::kF16) {
      append_halves(values, 1.0F, all);
    } else {
      const std::vector<float> numbers = normal(values);
      const auto* from = reinterpret_cast<const std::byte*>(numbers.data());
      for (int64_t i = 0; i < values; ++i) {
        const std::byte* value = from + 4 * i + (shape.type == KvType::kBF16 ? 2 : 0);
        all.insert(all.end(), value, from + 4 * i + 4);
      }
    }
  }

  void append_halves(int64_t count, float spread, std::vector<std::byte>& all) {
    for (const float value : normal(count, spread)) {
      const uint16_t half = f32_to_f16(value);
      const auto* from = reinterpret_cast<const std::byte*>(&half);
      all.insert(all.end(), from, from + sizeof(half));
    }
  }

  std::vector<int32_t> numbers_;
  std::vector<std::byte> keys_;
  std::vector<std::byte> values_;
};

INSTANTIATE_TEST_SUITE_P(Isas, IsaAttentionTest, testing::ValuesIn(kOtherIsas), [](const auto& i) { return i.param; });

TEST_P(IsaAttentionTest, OfEveryTypeAndShape) {
  for (const KvType type : {KvType::kF32, KvType::kF16, KvType::kBF16, KvType::kQ8}) {
    SCOPED_TRACE(static_cast<int>(type));
    for (const auto& [rows, heads] : {std::pair{1, 1}, {1, 2}, {3, 1}, {2, 2}, {1, 5}, {3, 2}}) {
      for (const int64_t position : {0, 60, 63, 130}) {
        const int64_t head_dim = type == KvType::kQ8 ? 32 * between(1, 3) : 2 * between(1, 40);
        const int64_t window = between(0, 2) * 50;
        const Shape shape{type, head_dim, rows, heads, position, window};
        draw(shape);
        ASSERT_NO_FATAL_FAILURE(compare(shape, 0));
      }
    }
  }
}

TEST_P(IsaAttentionTest, OfSegments) {
  for (const KvType type : {KvType::kF32, KvType::kF16, KvType::kBF16, KvType::kQ8}) {
    SCOPED_TRACE(static_cast<int>(type));
    const Shape shape{type, type == KvType::kQ8 ? 64 : 44, 1, 3, 500, 0};
    draw(shape);
    ASSERT_NO_FATAL_FAILURE(compare(shape, 2));
  }
}

TEST_P(IsaAttentionTest, OfQueriesThatAreNotFinite) {
  using Limits = std::numeric_limits<float>;
  for (const float value : {Limits::quiet_NaN(), Limits::infinity(), -Limits::infinity(), Limits::max()}) {
    SCOPED_TRACE(value);
    const Shape shape{KvType::kF32, 20, 2, 2, 100, 0};
    draw(shape);
    for (std::size_t i = 7; i < query_.size(); i += 40) {
      query_[i] = value;
    }
    ASSERT_NO_FATAL_FAILURE(compare(shape, 0));
    ASSERT_NO_FATAL_FAILURE(compare(shape, 1));
  }
}

}  // namespace
}  // namespace longship::cpu
