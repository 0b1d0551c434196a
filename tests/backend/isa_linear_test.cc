// Packing, and products with packed weights of every layout.
#include <set>

#include "engine/backend/cpu/packed_layout.h"
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
  Packed pack(const Isa& isa, const StoredMatrix& stored) {
    const Layout layout = layout_of(stored.dtype, false);
    Packed packed{layout, stored.rows, stored.columns, {}};
    packed.data.resize(static_cast<std::size_t>(row_blocks(stored.rows) * row_block_bytes(layout, stored.columns)));
    pack_rows(stored, 0, layout, packed.data.data(), isa, pool_);
    return packed;
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
    const auto groups = static_cast<int32_t>((columns + kGroup - 1) / kGroup);
    const std::vector<GroupStep> steps = ReductionTree(groups, {0, groups}).steps(0, kGroup, columns);
    std::vector<std::byte> room(static_cast<std::size_t>(with_room ? unpack_room_bytes(columns) : 0));
    const int64_t outputs = kBefore + packed.rows + kBehind;
    std::vector<float> nodes = untouched(tokens * outputs);
    const LinearTask task{x.data(), quants.data(), activations.data(), tokens,
                          columns,  steps.data(),  std::ssize(steps),  nodes.data(),
                          outputs,  room.data(),   std::ssize(room)};
    isa.linear(task, packed.part(kBefore), blocks.begin, blocks.end);
    return nodes;
  }

  void compare(const Packed& packed, int64_t tokens, bool with_room) {
    const std::vector<float> x = normal(tokens * packed.columns);
    const int64_t blocks = row_blocks(packed.rows);
    const int64_t begin = between(0, blocks - 1);
    for (const Range range : {Range{0, blocks}, Range{begin, between(begin + 1, blocks)}}) {
      expect_same(multiply(other(), packed, x, tokens, range, with_room),
                  multiply(avx2(), packed, x, tokens, range, with_room),
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

  static constexpr int64_t kGroup = 64;
  static constexpr int64_t kBefore = 3;
  static constexpr int64_t kBehind = 5;
  RandomData data_{3};
  ThreadPool pool_{1};
};

INSTANTIATE_TEST_SUITE_P(Isas, IsaLinearTest, testing::ValuesIn(kOtherIsas), [](const auto& i) { return i.param; });

TEST_P(IsaLinearTest, Packs) {
  for (const DType dtype : kWeightTypes) {
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
      ASSERT_EQ(pack(other(), matrix).data, pack(avx2(), matrix).data)
          << name(dtype) << ", " << rows << " x " << columns << ", skipped " << skip;
    }
  }
}

TEST_P(IsaLinearTest, Multiplies) {
  std::set<Layout> seen;
  for (const DType dtype : kWeightTypes) {
    if (!seen.insert(layout_of(dtype, false)).second && dtype != DType::kIQ4_NL) {
      continue;
    }
    SCOPED_TRACE(name(dtype));
    const bool plain = !is_quantised(layout_of(dtype, false));
    for (const int64_t tokens : {1, 2, 3, 4, 5, 6, 7, 9, 15, 16, 21, 64, 130}) {
      const int64_t rows = tokens > 20 ? 37 : between(1, 100);
      const int64_t columns = plain ? between(1, 130) : 32 * between(1, 5);
      const std::vector<std::byte> stored = data_.stored(dtype, rows, columns);
      const Packed packed = pack(avx2(), {dtype, rows, columns, stored.data()});
      ASSERT_NO_FATAL_FAILURE(compare(packed, tokens, tokens % 2 == 0));
    }
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
