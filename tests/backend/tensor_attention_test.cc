// Attention by matrix units, of many rows and of few, beside the reference: its operands are rounded to 16 bits.
#include "core/range.h"
#include "engine/backend/cuda/cuda_kernels.h"
#include "variants.h"

namespace longship {
namespace {

struct Case {
  DType kv_type;
  int64_t heads;
  int64_t kv_heads;
  int64_t head_dim;
  int64_t window;
  std::vector<Range> ranges;  ///< Tokens of each sequence in the step.
};

// What the parts of the sequence before a step left, and of pages the rest: values that are not numbers.
KvLayer poisoned_store(Kernels& kernels, const Case& c, int64_t pages, Stream& stream) {
  KvLayer kv;
  for (const bool keys : {true, false}) {
    Tensor host = Tensor::allocate(
        c.kv_type, {pages, c.kv_heads, keys ? c.head_dim : kPageTokens, keys ? kPageTokens : c.head_dim});
    std::memset(host.data<void>(), 0xFF, static_cast<std::size_t>(host.bytes()));
    (keys ? kv.keys : kv.values) = to_device(kernels, host, stream);
  }
  return kv;
}

Batch batch_of(Kernels& kernels, std::span<const Range> ranges, bool from_the_beginning) {
  Batch batch;
  int64_t rows = 0;
  int32_t pages = 0;
  for (const Range& range : ranges) {
    const int64_t begin = from_the_beginning ? 0 : range.begin;
    batch.slices.push_back({rows, range.end - begin, begin, {}});
    for (int64_t key = 0; key < range.end; key += kPageTokens) {
      batch.slices.back().pages.push_back(pages++);
    }
    std::reverse(batch.slices.back().pages.begin(), batch.slices.back().pages.end());
    rows += range.end - begin;
  }
  batch.positions = kernels.allocate(DType::kI32, {rows});
  return batch;
}

// out [rows x heads, head_dim] of the step.
Tensor attend(Kernels& kernels, const Case& c) {
  const auto stream = kernels.make_stream();
  RandomData data(11);
  const Batch before = batch_of(kernels, c.ranges, true);
  const Batch step = batch_of(kernels, c.ranges, false);
  KvLayer kv = poisoned_store(kernels, c, before.slices.back().pages.front() + 1, *stream);
  const auto random = [&](int64_t rows, int64_t heads, float spread) {
    return HeadsView{to_device(kernels, data.tensor({rows, heads * c.head_dim + 1}, spread), *stream), 1, heads,
                     c.head_dim};
  };
  kernels.reserve(before.rows(), 1);
  kernels.begin_step(before, *stream);
  kernels.kv_write(random(before.rows(), c.kv_heads, 1), random(before.rows(), c.kv_heads, 1), before, kv, *stream);
  AttentionSpec spec{.scale = 1.0F / std::sqrt(static_cast<float>(c.head_dim)), .window = c.window, .kv_head = {}};
  for (int64_t head = 0; head < c.heads; ++head) {
    spec.kv_head.push_back(static_cast<int32_t>(head * c.kv_heads / c.heads));
  }
  Tensor out = kernels.allocate(DType::kF32, {step.rows() * c.heads, c.head_dim});
  kernels.begin_step(step, *stream);
  kernels.attention(random(step.rows(), c.heads, 2), kv, step, spec, out, *stream);
  return to_host(kernels, out, *stream);
}

struct Difference {
  double all = 0;    ///< ||a - b|| / ||b||
  double worst = 0;  ///< The same of one query.
};

Difference difference_of(const Tensor& actual, const Tensor& expected) {
  Difference result;
  double all_error = 0;
  double all_size = 0;
  for (int64_t query = 0; query < expected.dim(0); ++query) {
    double error = 0;
    double size = 0;
    for (int64_t i = 0; i < expected.dim(1); ++i) {
      const auto right = static_cast<double>(expected.data<float>()[query * expected.dim(1) + i]);
      const auto wrong = static_cast<double>(actual.data<float>()[query * expected.dim(1) + i]) - right;
      error += wrong * wrong;
      size += right * right;
    }
    result.worst = std::max(result.worst, std::isfinite(error) ? std::sqrt(error / size) : INFINITY);
    all_error += error;
    all_size += size;
  }
  result.all = std::sqrt(all_error / all_size);
  return result;
}

void expect_near_reference(const Case& c) {
  const auto reference = make_kernels({.name = "reference"});
  const auto kernels = make_cuda_kernels({.name = "cuda"}, 0);
  const Difference found = difference_of(attend(*kernels, c), attend(*reference, c));
  // Queries and weights are rounded to 8 or to 11 bits, and keys and values of other types too: half as much again,
  // as four such errors of either sign are to two.
  const bool f16 = c.kv_type == DType::kF16 || c.kv_type == DType::kQ8_0;
  const double more = c.kv_type == DType::kQ8_0 || c.kv_type == DType::kF32 ? 1.5 : 1.0;
  SCOPED_TRACE(std::string(name(c.kv_type)) + " heads of " + std::to_string(c.head_dim));
  EXPECT_LE(found.all, more * (f16 ? 5e-4 : 4e-3));
  EXPECT_LE(found.worst, more * (f16 ? 2e-3 : 1.5e-2));
  EXPECT_GT(found.all, 1e-6) << "nothing was rounded: another kernel ran";
}

// Short slices beside long ones, ends inside of tiles and pages, tiles and chunks of several segments.
TEST(TensorAttention, IsNearTheReference) {
  const std::vector<Range> mixed = {{130, 131}, {0, 40}, {3, 5}, {70, 90}, {50, 66}, {60, 61}};
  expect_near_reference({DType::kF16, 4, 2, 64, 0, mixed});
  expect_near_reference({DType::kBF16, 7, 1, 128, 0, {{0, 30}, {120, 150}}});
  expect_near_reference({DType::kQ8_0, 3, 3, 96, 0, {{150, 290}}});
  expect_near_reference({DType::kF32, 6, 2, 80, 0, {{63, 129}, {64, 65}}});
  expect_near_reference({DType::kF16, 1, 1, 256, 0, {{600, 620}}});
  expect_near_reference({DType::kQ8_0, 2, 1, 192, 0, {{10, 30}}});
  expect_near_reference({DType::kBF16, 20, 1, 24, 0, {{0, 17}}});
}

// Of Hopper's warpgroups: several steps of two pages, of which the last has one, tiles whose second half is empty or
// sees less, heads that are padded, more heads than rows.
TEST(TensorAttention, WarpgroupsAreNearTheReference) {
  expect_near_reference({DType::kBF16, 4, 1, 128, 0, {{0, 90}, {300, 340}}});
  expect_near_reference({DType::kF16, 8, 2, 64, 0, {{520, 545}}});
  expect_near_reference({DType::kBF16, 2, 2, 72, 0, {{100, 270}}});
  expect_near_reference({DType::kF16, 16, 1, 120, 0, {{0, 17}, {63, 90}}});
  expect_near_reference({DType::kBF16, 1, 1, 128, 150, {{500, 640}}});
  expect_near_reference({DType::kF16, 8, 8, 64, 0, {{0, 260}}});  // many tiles a block
}

TEST(TensorAttention, SeesNoMoreThanTheWindow) {
  expect_near_reference({DType::kF16, 2, 1, 64, 3, {{0, 70}}});
  expect_near_reference({DType::kBF16, 4, 1, 32, 40, {{190, 270}, {0, 20}}});
  expect_near_reference({DType::kF16, 3, 1, 128, 129, {{250, 300}}});
}

// One row of each sequence, and a few: one page and many, parts of pages, heads of every width in one or several
// blocks of 16 queries.
TEST(DecodeAttention, IsNearTheReference) {
  const std::vector<Range> mixed = {{130, 131}, {0, 1}, {63, 64}, {64, 65}, {300, 301}};
  for (const DType type : {DType::kBF16, DType::kF16, DType::kQ8_0}) {
    expect_near_reference({type, 8, 2, 128, 0, mixed});
    expect_near_reference({type, 3, 1, 64, 0, {{200, 203}, {61, 70}, {0, 2}}});
    expect_near_reference({type, 18, 1, 96, 0, {{70, 71}}});
    expect_near_reference({type, 2, 1, 192, 0, {{140, 142}, {3, 4}}});
    expect_near_reference({type, 4, 2, 256, 0, {{190, 191}, {60, 68}}});
    expect_near_reference({type, 1, 1, 32, 0, {{2200, 2201}}});
  }
  expect_near_reference({DType::kF16, 4, 1, 8, 0, mixed});
  expect_near_reference({DType::kBF16, 5, 1, 72, 0, {{100, 104}}});
  expect_near_reference({DType::kF16, 2, 2, 200, 0, {{100, 101}}});
}

TEST(DecodeAttention, SeesNoMoreThanTheWindow) {
  expect_near_reference({DType::kF16, 2, 1, 64, 3, {{70, 71}, {0, 1}, {64, 67}}});
  expect_near_reference({DType::kQ8_0, 4, 2, 128, 100, {{300, 301}, {20, 21}}});
  expect_near_reference({DType::kBF16, 16, 1, 128, 200, {{250, 251}, {320, 325}}});
}

}  // namespace
}  // namespace longship
