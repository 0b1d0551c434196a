// Packing, and products with packed weights of every layout.
#include <algorithm>
#include <bit>
#include <set>

#include "engine/backend/cpu/packed_layout.h"
#include "engine/weights/blocks.h"
#include "isa_variants.h"
#include "variants.h"

namespace longship::cpu {
namespace {

struct Packed {
  Layout layout;
  int64_t rows;
  int64_t columns;
  std::vector<std::byte> data;

  LinearPart part(int64_t first_output) const {
    return {data.data(), row_block_bytes(layout, columns), rows, first_output, layout};
  }
};

class IsaLinearTest : public IsaTest {
 protected:
  Packed pack(const Isa& isa, const StoredMatrix& stored, bool exact = false) {
    const Layout layout = layout_of(stored.dtype, exact);
    Packed packed{layout, stored.rows, stored.columns, {}};
    packed.data.resize(static_cast<std::size_t>(row_blocks(stored.rows) * row_block_bytes(layout, stored.columns)));
    pack_rows(stored, 0, layout, packed.data.data(), isa, pool_);
    return packed;
  }

  static std::vector<std::byte> round_to_pairs(const Isa& isa, const std::vector<float>& x, int64_t rows,
                                               int64_t columns) {
    const int64_t bytes = pairs_of(columns) * isa.pair_bytes;
    std::vector<std::byte> pairs(static_cast<std::size_t>(rows * bytes + kSpare), kUntouchedByte);
    for (int64_t row = 0; row < rows; ++row) {
      isa.round_to_pairs(x.data() + row * columns, columns, pairs.data() + row * bytes);
    }
    return pairs;
  }

  /// The nodes of products of `tokens` tokens with all row blocks, or with those of [begin, end).
  std::vector<float> multiply(const Isa& isa, const Packed& packed, const std::vector<float>& x, int64_t tokens,
                              Range blocks, bool with_room) {
    const int64_t columns = packed.columns;
    std::vector<int8_t> quants(x.size());
    std::vector<ActivationBlock> activations(x.size() / kBlock);
    if (is_quantised(packed.layout)) {
      for (int64_t t = 0; t < tokens; ++t) {
        avx2().quantise(x.data() + t * columns, columns, quants.data() + t * columns,
                        activations.data() + t * columns / kBlock);
      }
    }
    const auto pairs = round_to_pairs(isa, x, tokens, columns);
    const auto groups = static_cast<int32_t>((columns + group_ - 1) / group_);
    const std::vector<GroupStep> steps = ReductionTree(groups, {0, groups}).steps(0, group_, columns);
    std::vector<std::byte> room(static_cast<std::size_t>(with_room ? linear_room_bytes(columns) : 0));
    const int64_t outputs = kBefore + packed.rows + kBehind;
    std::vector<float> nodes = untouched(tokens * outputs);
    LinearTask task{.x = x.data(),
                    .quants = quants.data(),
                    .blocks = activations.data(),
                    .pairs = pairs.data(),
                    .tokens = tokens,
                    .columns = columns,
                    .steps = steps.data(),
                    .step_count = std::ssize(steps),
                    .nodes = nodes.data(),
                    .outputs = outputs,
                    .room = room.data(),
                    .room_bytes = std::ssize(room)};
    const auto linear = packed.layout == Layout::kBF16Pairs ? isa.linear_pairs : isa.linear;
    const int64_t middle = blocks.begin + blocks.size() / 2;
    linear(task, packed.part(kBefore), blocks.begin, middle);
    task.room_has_activations = blocks.begin < middle && is_quantised(packed.layout);
    linear(task, packed.part(kBefore), middle, blocks.end);
    return nodes;
  }

  /// What they are of BF16 weights `stored` [rows, columns] where the columns of a step are added 32 at a time, the
  /// even and the odd ones of these apart. The outputs around them are untouched.
  std::vector<float> sums_by_runs(const std::vector<std::byte>& stored, int64_t rows, int64_t columns,
                                  const std::vector<float>& x, int64_t tokens, Range blocks) {
    constexpr int64_t kRun = 32;
    std::vector<float> w(stored.size() / 2);
    dequantize(DType::kBF16, stored.data(), std::ssize(w), w.data());
    const std::vector<std::byte> pairs = round_to_pairs(avx2(), x, tokens, columns);  // floats
    const auto rounded = [&](int64_t t, int64_t column) {
      float value;
      std::memcpy(&value, &pairs[static_cast<std::size_t>(t * pairs_of(columns) * 8 + column * 4)], sizeof(value));
      return value;
    };
    const auto groups = static_cast<int32_t>((columns + group_ - 1) / group_);
    const int64_t outputs = kBefore + rows + kBehind;
    std::vector<float> nodes = untouched(tokens * outputs);
    for (int64_t t = 0; t < tokens; ++t) {
      for (int64_t row = blocks.begin * kLanes; row < std::min(rows, blocks.end * kLanes); ++row) {
        std::vector<float> partials;
        for (const GroupStep& step : ReductionTree(groups, {0, groups}).steps(0, group_, columns)) {
          float sum = 0.0F;
          for (int64_t run = step.begin; run < step.end; run += kRun) {
            float halves[2] = {0.0F, 0.0F};
            for (int64_t column = run; column < std::min(run + kRun, step.end); ++column) {
              const float weight = w[static_cast<std::size_t>(row * columns + column)];
              halves[column % 2] = std::fma(rounded(t, column), weight, halves[column % 2]);
            }
            sum += halves[0] + halves[1];
          }
          for (int32_t merge = 0; merge < step.merges; ++merge) {
            sum = partials.back() + sum;
            partials.pop_back();
          }
          partials.push_back(sum);
        }
        nodes[static_cast<std::size_t>(t * outputs + kBefore + row)] = partials.back();
      }
    }
    return nodes;
  }

  void compare(const std::vector<std::byte>& stored, const Packed& packed, int64_t tokens, bool with_room) {
    const std::vector<float> x = normal(tokens * packed.columns);
    const int64_t blocks = row_blocks(packed.rows);
    const int64_t begin = between(0, blocks - 1);
    for (const Range range : {Range{0, blocks}, Range{begin, between(begin + 1, blocks)}}) {
      expect_same(multiply(other(), packed, x, tokens, range, with_room),
                  packed.layout == Layout::kBF16Pairs && adds_pairs_by_runs()
                      ? sums_by_runs(stored, packed.rows, packed.columns, x, tokens, range)
                      : multiply(avx2(), packed, x, tokens, range, with_room),
                  std::to_string(packed.rows) + " x " + std::to_string(packed.columns) + " for " +
                      std::to_string(tokens) + " tokens");
    }
  }

  /// In some of the blocks: products with them leave the range of f16. A minimum that is NaN could change its sign.
  static void set_scales_out_of_range(DType dtype, std::vector<std::byte>& stored) {
    const auto block = static_cast<std::size_t>(info(dtype).block_bytes);
    for (std::size_t at = 0; at + 2 * block < stored.size(); at += 3 * block) {
      set_scales(dtype, 60000.0F, -60000.0F, &stored[at]);
      set_scales(dtype, std::numeric_limits<float>::quiet_NaN(), 60000.0F, &stored[at + block]);
    }
  }

  static constexpr std::size_t kSpare = 16;
  static constexpr std::byte kUntouchedByte{0x5A};
  static constexpr int64_t kBefore = 3;
  static constexpr int64_t kBehind = 5;
  int64_t group_ = 64;  ///< Columns of a step.
  RandomData data_{3};
  ThreadPool pool_{1};
};

INSTANTIATE_TEST_SUITE_P(Isas, IsaLinearTest, testing::ValuesIn(kOtherIsas), [](const auto& i) { return i.param; });

// BF16 weights are packed in another way where activations stay as they are.
std::vector<std::pair<DType, bool>> types_and_exactness() {
  std::vector<std::pair<DType, bool>> all = {{DType::kBF16, true}};
  for (const DType dtype : kWeightTypes) {
    all.emplace_back(dtype, false);
  }
  return all;
}

TEST_P(IsaLinearTest, Packs) {
  for (const auto& [dtype, exact] : types_and_exactness()) {
    for (int run = 0; run < 6; ++run) {
      const int64_t rows = run == 0 ? 32 : between(1, 40);
      const int64_t columns = 32 * between(1, 12);
      const int64_t skip = info(dtype).block_values > kBlock ? 32 * between(0, 7) : 0;
      const int64_t whole = (skip + columns + 255) / 256 * 256;
      std::vector<std::byte> stored = data_.stored(dtype, rows, whole);
      if (run == 1 && is_block_quantised(dtype)) {
        set_scales_out_of_range(dtype, stored);
      }
      const StoredMatrix matrix{dtype, rows, columns, stored.data(), skip, bytes_of_blocks(dtype, whole)};
      ASSERT_EQ(pack(other(), matrix, exact).data, pack(avx2(), matrix, exact).data)
          << name(dtype) << ", " << rows << " x " << columns << ", skipped " << skip;
    }
  }
}

// Each instruction set has a form of its own for pairs: both as floats.
TEST_P(IsaLinearTest, RoundsToPairs) {
  const auto values = [](const Isa& isa, const std::vector<std::byte>& pairs) {
    const std::size_t bytes = static_cast<std::size_t>(isa.pair_bytes) / 2;
    std::vector<float> all;
    for (std::size_t at = 0; at + kSpare < pairs.size(); at += bytes) {
      uint32_t bits = 0;  // bf16 is the high half of a float
      std::memcpy(reinterpret_cast<std::byte*>(&bits) + sizeof(bits) - bytes, &pairs[at], bytes);
      all.push_back(std::bit_cast<float>(bits));
    }
    EXPECT_EQ(std::count(pairs.end() - kSpare, pairs.end(), kUntouchedByte), kSpare) << "wrote behind the end";
    return all;
  };
  for (int64_t columns = 1; columns < 70; ++columns) {
    const std::vector<float> x = any(columns);
    expect_same(values(other(), round_to_pairs(other(), x, 1, columns)),
                values(avx2(), round_to_pairs(avx2(), x, 1, columns)), std::to_string(columns) + " columns");
  }
}

TEST_P(IsaLinearTest, Multiplies) {
  std::set<std::pair<Layout, bool>> seen;
  for (const auto& [dtype, exact] : types_and_exactness()) {
    if (!seen.insert({layout_of(dtype, exact), dtype == DType::kIQ4_NL}).second) {
      continue;
    }
    SCOPED_TRACE(name(dtype));
    const bool plain = !is_quantised(layout_of(dtype, exact));
    for (const int64_t tokens : {1, 2, 3, 4, 5, 6, 7, 9, 12, 15, 16, 21, 37, 64, 130}) {
      // Many columns: more than are read side by side of few rows, or are unpacked, or stay in the nearest cache, at a
      // time; they end amidst a step.
      for (const bool many : {false, true}) {
        if (many && tokens > 4 && tokens != 37) {
          continue;
        }
        const int64_t rows = tokens > 20 ? 37 : between(1, 100);
        const int64_t columns = (plain ? between(1, 130) : 32 * between(1, 5)) + (many ? 2048 : 0);
        group_ = !many ? 64 : plain ? 80 : 96;
        const std::vector<std::byte> stored = data_.stored(dtype, rows, columns);
        const Packed packed = pack(avx2(), {dtype, rows, columns, stored.data()}, exact);
        for (const bool with_room : {false, true}) {
          ASSERT_NO_FATAL_FAILURE(compare(stored, packed, tokens, with_room));
        }
      }
    }
  }
}

// Small numbers count as zero, whatever the instruction thinks of the thread's mode.
TEST_P(IsaLinearTest, MultipliesNumbersOfEverySizeByPairs) {
  const std::vector<float> weights = any(21 * 96);
  std::vector<std::byte> stored;
  for (const float& weight : weights) {
    const auto* value = reinterpret_cast<const std::byte*>(&weight);
    stored.insert(stored.end(), value + 2, value + 4);
  }
  const Packed packed = pack(avx2(), {DType::kBF16, 21, 96, stored.data()});
  for (const int64_t tokens : {1, 3, 30}) {
    std::vector<float> x = any(tokens * 96, true);
    for (float& value : x) value *= 1e-20F;
    expect_same(multiply(other(), packed, x, tokens, {0, 2}, false),
                adds_pairs_by_runs() ? sums_by_runs(stored, 21, 96, x, tokens, {0, 2})
                                     : multiply(avx2(), packed, x, tokens, {0, 2}, false),
                std::to_string(tokens) + " tokens");
  }
}

// Integers at the ends of their range: nothing may saturate.
TEST_P(IsaLinearTest, MultipliesTheLargestIntegers) {
  for (const DType dtype : kWeightTypes) {
    if (!is_quantised(layout_of(dtype, false))) {
      continue;
    }
    SCOPED_TRACE(name(dtype));
    for (const auto byte : {std::byte{0xFF}, std::byte{0x00}, std::byte{0x80}, std::byte{0x7F}}) {
      std::vector<std::byte> stored(static_cast<std::size_t>(16 * bytes_of_blocks(dtype, 256)), byte);
      for (std::size_t at = 0; at < stored.size(); at += static_cast<std::size_t>(info(dtype).block_bytes)) {
        set_scales(dtype, 0.5F, 0.25F, &stored[at]);
      }
      const Packed packed = pack(avx2(), {dtype, 16, 256, stored.data()});
      for (const float sign : {1.0F, -1.0F}) {
        for (const int64_t tokens : {1, 4, 64}) {
          const std::vector<float> x(static_cast<std::size_t>(tokens * 256), sign);
          expect_same(multiply(other(), packed, x, tokens, {0, 1}, true),
                      multiply(avx2(), packed, x, tokens, {0, 1}, true), "largest integers");
        }
      }
    }
  }
}

}  // namespace
}  // namespace longship::cpu
