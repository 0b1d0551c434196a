// Fused operations give the bits of what they are made of, and so do products that read what they kept.
#include <algorithm>

#include "core/reduction_tree.h"
#include "engine/backend/kv_page.h"
#include "variants.h"

namespace longship {
namespace {

class FusedTest : public BackendTest {
 protected:
  Tensor random(const Shape& shape, float spread = 1.0F) { return to_device(data_.tensor(shape, spread)); }
  Tensor copy_of(const Tensor& x) { return to_device(to_host(x)); }
  std::vector<int64_t> token_counts() const {
    return GetParam().slow ? std::vector<int64_t>{1, 5} : std::vector<int64_t>{1, 2, 16, 150, 300};
  }

  AddNorm some_norm(int64_t tokens, int64_t width, bool bias, bool layer) {
    return {.bias = bias ? random({width}) : Tensor(),
            .hidden = random({tokens, width}, 3.0F),
            .gain = random({width}),
            .norm_bias = layer ? random({width}) : Tensor(),
            .eps = 1e-5F,
            .normed = device_tensor({tokens, width})};
  }

  // The same work on memory of its own.
  AddNorm twin(const AddNorm& one) {
    AddNorm two = one;
    two.hidden = copy_of(one.hidden);
    two.normed = device_tensor(one.normed.shape());
    return two;
  }

  PackedWeight weight(DType dtype, int64_t rows, int64_t columns) {
    const std::vector<std::byte> stored = data_.stored(dtype, rows, columns);
    return pack(kernels(), {dtype, rows, columns, stored.data()});
  }

  static std::vector<GroupStep> steps_of(int64_t columns, int64_t group) {
    const auto groups = static_cast<int32_t>((columns + group - 1) / group);
    return ReductionTree(groups, {0, groups}).steps(0, group, columns);
  }

  Tensor linear(const Tensor& x, const PackedWeight& by) {
    Tensor nodes = device_tensor({1, x.dim(0), by.weight.rows});
    kernels().linear(x, {&by.weight, 1}, steps_of(x.dim(1), 64), nodes, stream());
    return to_host(nodes);
  }

  Tensor zeros(DType type, const Shape& shape) {
    Tensor x = kernels().allocate(type, shape);
    const std::vector<std::byte> nothing(static_cast<std::size_t>(x.bytes()));
    kernels().write(nothing.data(), x, stream());
    return x;
  }
  std::vector<std::byte> bytes_in(const Tensor& x) {
    std::vector<std::byte> bytes(static_cast<std::size_t>(x.bytes()));
    kernels().read(x, bytes.data(), stream());
    return bytes;
  }

  RandomData data_{17};
};

INSTANTIATE_TEST_SUITE_P(Backends, FusedTest, testing::ValuesIn(every_variant()), variant_name);

TEST_P(FusedTest, AddNormIsAddThenNorm) {
  for (const int64_t width : {1, 15, 96, 576, 1000}) {
    for (const int64_t tokens : token_counts()) {
      for (const bool bias : {false, true}) {
        for (const bool layer : {false, true}) {
          const AddNorm fused = some_norm(tokens, width, bias, layer);
          const AddNorm plain = twin(fused);
          const Tensor x = random({tokens, width});
          kernels().Kernels::add_norm(x, {0, tokens}, plain, {}, stream());
          for (const Range rows : {Range{0, tokens / 2}, Range{tokens / 2, tokens}}) {
            if (rows.size() > 0) {
              kernels().add_norm(x, rows, fused, {}, stream());
            }
          }
          expect_same_bits(to_host(fused.hidden), to_host(plain.hidden), "hidden");
          expect_same_bits(to_host(fused.normed), to_host(plain.normed), "normed");
        }
      }
    }
  }
}

TEST_P(FusedTest, ProductsOfNormedValuesAreThoseOfANorm) {
  constexpr int64_t kWidth = 192;
  kernels().reserve(300, kWidth);
  for (const DType dtype : kWeightTypes) {
    const PackedWeight reader = weight(dtype, 40, kWidth);
    for (const int64_t tokens : token_counts()) {
      const AddNorm fused = some_norm(tokens, kWidth, true, false);
      const AddNorm plain = twin(fused);
      const Tensor x = random({tokens, kWidth});
      kernels().Kernels::add_norm(x, {0, tokens}, plain, {}, stream());
      const Tensor expected = linear(plain.normed, reader);
      const int64_t half = tokens / 2;
      kernels().add_norm(x, {0, tokens - half}, fused, {&reader.weight, 1}, stream());
      if (half > 0) {
        kernels().add_norm(x, {tokens - half, tokens}, fused, {&reader.weight, 1}, stream());
      }
      expect_same_bits(linear(fused.normed, reader), expected, std::string(name(dtype)));
    }
  }
}

// What was kept of values counts for one product only.
TEST_P(FusedTest, ProductsSeeValuesThatChangedSince) {
  constexpr int64_t kWidth = 96;
  constexpr int64_t kTokens = 3;
  kernels().reserve(kTokens, kWidth);
  const PackedWeight reader = weight(DType::kQ8_0, 40, kWidth);
  AddNorm fused = some_norm(kTokens, kWidth, false, false);
  kernels().add_norm(random({kTokens, kWidth}), {0, kTokens}, fused, {&reader.weight, 1}, stream());
  linear(fused.normed, reader);
  const Tensor other = data_.tensor({kTokens, kWidth});
  const Tensor expected = linear(to_device(other), reader);
  kernels().write(other.data<void>(), fused.normed, stream());
  expect_same_bits(linear(fused.normed, reader), expected, "values written over");
}

TEST_P(FusedTest, GatedProductIsProductThenSiluMul) {
  for (const DType dtype : kWeightTypes) {
    for (const int64_t inner : {32, 83, 608}) {
      constexpr int64_t kColumns = 160;
      kernels().reserve(300, std::max(inner, kColumns));
      const PackedWeight gate = weight(dtype, inner, kColumns);
      // Sometimes of another type.
      const PackedWeight up = weight(inner == 32 ? DType::kQ6_K : dtype, inner, kColumns);
      const bool read = inner % 32 == 0;  // by a weight whose blocks are whole
      const PackedWeight down = weight(read ? DType::kQ4_0 : DType::kF32, 24, inner);
      const std::vector<Weight> parts = {gate.weight, up.weight};
      for (const int64_t tokens : token_counts()) {
        const Tensor x = random({tokens, kColumns}, 2.0F);
        Tensor gate_up = device_tensor({tokens, 2 * inner});
        Tensor plain = device_tensor({tokens, inner});
        Tensor fused = device_tensor({tokens, inner});
        kernels().Kernels::linear_silu_mul(x, parts, steps_of(kColumns, 64), gate_up, plain, {}, stream());
        const Tensor expected = linear(plain, down);
        kernels().linear_silu_mul(x, parts, steps_of(kColumns, 64), gate_up, fused, {&down.weight, 1}, stream());
        expect_same_bits(linear(fused, down), expected, "down after " + std::string(name(dtype)));
        expect_same_bits(to_host(fused), to_host(plain), std::string(name(dtype)));
      }
    }
  }
}

TEST_P(FusedTest, RopeAndKvWriteAreOne) {
  constexpr int64_t kRows = 70;  // over the end of a page, behind keys that are there
  constexpr int64_t kHeads = 4;
  constexpr int64_t kKvHeads = 2;
  Batch batch;
  batch.slices = {{.first_row = 0, .rows = kRows - 1, .begin = 33, .pages = {2, 0}},
                  {.first_row = kRows - 1, .rows = 1, .begin = 5, .pages = {1}}};
  batch.positions = kernels().allocate(DType::kI32, {kRows});
  kernels().begin_step(batch, stream());
  for (const DType type : {DType::kF32, DType::kF16, DType::kBF16, DType::kQ8_0}) {
    for (const int64_t width : {32, 64}) {
      const Tensor cos = random({kRows, width / 2});
      const Tensor sin = random({kRows, width / 2});
      const Tensor fused = random({kRows, (kHeads + 2 * kKvHeads) * width});
      const Tensor plain = copy_of(fused);
      KvLayer kv[2];
      for (KvLayer& layer : kv) {
        layer = {zeros(type, {3, kKvHeads, width, kPageTokens}), zeros(type, {3, kKvHeads, kPageTokens, width})};
      }
      const auto write = [&](const Tensor& x, KvLayer& layer, bool as_one) {
        const HeadsView query{x, 0, kHeads, width};
        const HeadsView keys{x, kHeads * width, kKvHeads, width};
        const HeadsView values{x, (kHeads + kKvHeads) * width, kKvHeads, width};
        as_one ? kernels().rope_kv_write(query, keys, values, cos, sin, batch, layer, stream())
               : kernels().Kernels::rope_kv_write(query, keys, values, cos, sin, batch, layer, stream());
      };
      write(fused, kv[0], true);
      write(plain, kv[1], false);
      const Tensor rotated = to_host(fused);
      const Tensor expected = to_host(plain);
      for (int64_t row = 0; row < kRows; ++row) {
        const int64_t begin = row * fused.dim(1);
        EXPECT_TRUE(std::equal(rotated.data<float>() + begin, rotated.data<float>() + begin + kHeads * width,
                               expected.data<float>() + begin));
      }
      EXPECT_EQ(bytes_in(kv[0].keys), bytes_in(kv[1].keys)) << name(type);
      EXPECT_EQ(bytes_in(kv[0].values), bytes_in(kv[1].values)) << name(type);
    }
  }
}

}  // namespace
}  // namespace longship
