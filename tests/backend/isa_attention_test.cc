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

  AttentionTask task_of(const Shape& shape, std::vector<float>& out, std::vector<float>& partials) const {
    const int64_t out_stride = (shape.heads + 2) * shape.head_dim;
    return {.query = query_.data(),
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
            .exact = exact_,
            .partials = partials.data()};
  }

  /// Partials of segments of two chunks of one row, of every `heads` heads, which read the key/value heads in turn:
  /// each unit alone, or those of a segment together.
  std::vector<float> attend_units(const Isa& isa, const Shape& shape, int32_t heads, bool together) {
    constexpr int64_t kSegment = 2;
    const int64_t chunks = (shape.position + kChunkKeys) / kChunkKeys;
    const int64_t first_seen = shape.window == 0 ? 0 : (shape.position + 1 - shape.window) / kChunkKeys;
    const int64_t first = first_seen / kSegment;
    const int64_t segments = (chunks + kSegment - 1) / kSegment - first;
    const int64_t groups = (shape.heads + 2) / heads;
    std::vector<float> out = untouched((shape.rows + 2) * (shape.heads + 2) * shape.head_dim);
    std::vector<float> partials = untouched(groups * segments * heads * partial_values(shape.head_dim));
    const AttentionTask task = task_of(shape, out, partials);
    std::vector<AttentionUnit> units;
    for (int32_t group = 0; group < groups; ++group) {
      for (int64_t segment = 0; segment < segments; ++segment) {
        units.push_back({numbers_.data(), 1, shape.position, 1, group * heads, heads, group % 2,
                         kSegment * (first + segment), kSegment * (first + segment + 1), std::ssize(units) * heads});
      }
    }
    for (int64_t segment = 0; segment < segments; ++segment) {
      for (int64_t group = 0; !together && group < groups; ++group) {
        isa.attention(task, units.data(), {group * segments + segment, 1, 1});
      }
      if (together) {
        isa.attention(task, units.data(), {segment, segments, groups});
      }
    }
    return partials;
  }

  /// What the queries of the unit see of `chunks`, as segments of `segment` chunks where that is not 0.
  std::vector<float> attend(const Isa& isa, const Shape& shape, int64_t segment) {
    const int64_t chunks = (shape.position + shape.rows + kChunkKeys - 1) / kChunkKeys;
    const int64_t out_stride = (shape.heads + 2) * shape.head_dim;
    std::vector<float> out = untouched((shape.rows + 2) * out_stride);
    AttentionUnit unit{numbers_.data(), 1, shape.position, shape.rows, 1, shape.heads, 1};
    const int64_t units = segment == 0 ? 1 : (chunks + segment - 1) / segment;
    std::vector<float> partials = untouched(units * unit.queries() * partial_values(shape.head_dim));
    const AttentionTask task = task_of(shape, out, partials);
    if (segment == 0) {
      isa.attention(task, &unit, {0, 1, 1});
      return out;
    }
    std::vector<AttentionUnit> all;
    for (int64_t i = 0; i < units; ++i) {
      unit.first_chunk = i * segment;
      unit.end_chunk = (i + 1) * segment;
      unit.partial = i * unit.queries();
      all.push_back(unit);
      isa.attention(task, &unit, {0, 1, 1});
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

  /// Makes scales of keys and values from `key` on not finite, in the last page.
  void spoil_behind(const Shape& shape, int64_t key) {
    const int64_t blocks = shape.head_dim / kBlock;
    const int64_t page = (numbers_[static_cast<std::size_t>(key / kChunkKeys)] * kKvHeads + 1) * page_bytes(shape);
    const auto scale = [&](std::vector<std::byte>& pages, int64_t index) {
      const uint16_t not_a_number = 0x7E00;
      std::memcpy(pages.data() + page + shape.head_dim * kChunkKeys + 2 * index, &not_a_number, sizeof(not_a_number));
    };
    for (int64_t column = key % kChunkKeys; column > 0 && column < kChunkKeys; ++column) {
      for (int64_t block = 0; block < blocks; ++block) {
        scale(keys_, block * kChunkKeys + column);
        scale(values_, column * blocks + block);
      }
    }
  }

  std::vector<float> query_;
  bool exact_ = false;

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

// Of the instruction set of every CPU; the others are compared with it.
class IntegerAttention : public IsaAttentionTest {
 public:
  void expect_near(const Shape& shape) {
    draw(shape);
    exact_ = true;
    const std::vector<float> exact = attend(avx2(), shape, 0);
    exact_ = false;
    const std::vector<float> integers = attend(avx2(), shape, 0);
    double error = 0;
    double size = 0;
    for (std::size_t i = 0; i < exact.size(); ++i) {
      if (exact[i] != kUntouched) {
        error += std::pow(static_cast<double>(exact[i]) - static_cast<double>(integers[i]), 2);
        size += std::pow(static_cast<double>(exact[i]), 2);
      }
    }
    EXPECT_LT(std::sqrt(error / size), kMostError) << shape.head_dim << " " << shape.position;
    EXPECT_GT(size, 0);
  }

  void expect_rest_ignored(const Shape& shape) {
    draw(shape);
    const std::vector<float> before = attend(avx2(), shape, 0);
    spoil_behind(shape, shape.position + shape.rows);
    expect_same(attend(avx2(), shape, 0), before, "keys behind the last");
  }

 private:
  // Scores are of size 2, and their errors of one of 100, as by the rounding of keys.
  static constexpr double kMostError = 0.04;

  void TestBody() override {}
};

INSTANTIATE_TEST_SUITE_P(Isas, IsaAttentionTest, testing::ValuesIn(kOtherIsas), [](const auto& i) { return i.param; });

TEST_P(IsaAttentionTest, OfEveryTypeAndShape) {
  for (const auto& [type, exact] : {std::pair{KvType::kF32, true},
                                    {KvType::kF16, true},
                                    {KvType::kBF16, true},
                                    {KvType::kQ8, true},
                                    {KvType::kQ8, false}}) {
    SCOPED_TRACE(std::to_string(static_cast<int>(type)) + (exact ? " exact" : ""));
    exact_ = exact;
    for (const auto& [rows, heads] : {std::pair{1, 1}, {1, 2}, {3, 1}, {2, 2}, {1, 5}, {3, 2}}) {
      for (const int64_t position : {0, 60, 63, 130}) {
        const int64_t head_dim = type == KvType::kQ8 ? 32 * between(1, 6) : 2 * between(1, 40);
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

TEST_P(IsaAttentionTest, OfUnitsTogetherAsOfEachAlone) {
  for (const auto& [type, exact] :
       {std::pair{KvType::kF32, true}, {KvType::kF16, true}, {KvType::kQ8, true}, {KvType::kQ8, false}}) {
    exact_ = exact;
    for (const auto& [heads, of_unit] : {std::pair{6, 2}, {4, 3}, {1, 1}, {10, 6}}) {
      const Shape shape{type, 64, 1, heads, 450, heads == 4 ? 100 : 0};
      draw(shape);
      for (const Isa* isa : {&avx2(), &other()}) {
        expect_same(attend_units(*isa, shape, of_unit, true), attend_units(*isa, shape, of_unit, false),
                    std::to_string(static_cast<int>(type)) + ", " + std::to_string(of_unit) + " heads a unit");
      }
    }
  }
}

TEST_P(IsaAttentionTest, OfQueriesThatAreNotFinite) {
  using Limits = std::numeric_limits<float>;
  for (const float value : {Limits::quiet_NaN(), Limits::infinity(), -Limits::infinity(), Limits::max()}) {
    SCOPED_TRACE(value);
    const bool integers = value > 0;
    const Shape shape{integers ? KvType::kQ8 : KvType::kF32, integers ? 32 : 20, 2, 2, 100, 0};
    draw(shape);
    for (std::size_t i = 7; i < query_.size(); i += 40) {
      query_[i] = value;
    }
    ASSERT_NO_FATAL_FAILURE(compare(shape, 0));
    ASSERT_NO_FATAL_FAILURE(compare(shape, 1));
  }
}

// What a cache of q8_0 gives by integers is near what it gives by f32, each dimension within the rounding of queries (a
// 254th of the largest in 32) and of weights (a 32767th of the largest product with a scale).
TEST(IntegerAttentionTest, IsNearThatOfFloats) {
  IntegerAttention attention;
  for (const auto& [rows, heads, head_dim, window] :
       {std::array<int32_t, 4>{1, 6, 128, 0}, {2, 3, 64, 0}, {6, 1, 96, 100}, {1, 1, 192, 0}}) {
    for (const int64_t position : {0, 63, 64, 300}) {
      attention.expect_near({KvType::kQ8, head_dim, rows, heads, position, window});
    }
  }
}

// Pages are used again: what other sequences left behind the last key is nothing.
TEST(IntegerAttentionTest, IgnoresWhatIsBehindTheLastKey) {
  IntegerAttention attention;
  attention.expect_rest_ignored({KvType::kQ8, 64, 2, 3, 70, 0});
  attention.expect_rest_ignored({KvType::kQ8, 128, 1, 6, 5, 0});
}

}  // namespace
}  // namespace longship::cpu
