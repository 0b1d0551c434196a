#include "engine/model/param_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <map>

#include "engine/model/slice_reader.h"

namespace longship {
namespace {

// A source of f32 tensors whose value at (row, column) is 1000 row + column.
class CountingSource : public WeightSource {
 public:
  void add(const std::string& name, Shape shape) { tensors_.push_back({name, DType::kF32, std::move(shape)}); }

  std::span<const SourceTensor> tensors() const override { return tensors_; }
  const SourceTensor* find(std::string_view name) const override {
    for (const SourceTensor& tensor : tensors_) {
      if (tensor.name == name) {
        return &tensor;
      }
    }
    return nullptr;
  }
  RegionView view(const SourceTensor&, const Region& region) override {
    std::vector<float>& values = views_.emplace_back();
    for (int64_t row = region.row_begin; row < region.row_end; ++row) {
      for (int64_t column = region.column_begin; column < region.column_end; ++column) {
        values.push_back(static_cast<float>(1000 * row + column));
      }
    }
    bytes_ += values.size() * sizeof(float);
    return {reinterpret_cast<const std::byte*>(values.data()),
            (region.column_end - region.column_begin) * static_cast<int64_t>(sizeof(float))};
  }
  const std::string& path() const override { return path_; }
  uint64_t bytes_read() const override { return bytes_; }

 private:
  std::vector<SourceTensor> tensors_;
  std::string path_ = "counting";
  uint64_t bytes_ = 0;
  std::deque<std::vector<float>> views_;
};

std::vector<float> rows_of(CountingSource& source, const ParamSpec& spec, int tp, int rank, std::size_t segment) {
  const Slice slice = slices(spec, tp, rank)[segment];
  const int64_t rows = spec.shard.dim == 1 ? spec.global[0] : slice.global.size();
  const Bytes stored = SliceReader(source, spec, slice).read_rows(0, rows);
  std::vector<float> values(stored.size() / sizeof(float));
  std::memcpy(values.data(), stored.data(), stored.size());
  return values;
}

TEST(SliceReader, UndoesRotaryPairsWithinEachHead) {
  CountingSource source;
  source.add("q", {8, 1});
  const ParamSpec spec{
      .name = "q",
      .dtypes = {},
      .global = {8, 1},
      .shard = {
          .dim = 0,
          .segments = {{.source = "q", .extent = 8, .unit = 4, .row_order = RowOrder::kRotaryPairs, .row_unit = 4}}}};
  // File rows 0 1 2 3 of a head are model rows 0 2 1 3: model row 1 is file row 2.
  EXPECT_EQ(rows_of(source, spec, 1, 0, 0), (std::vector<float>{0, 2000, 1000, 3000, 4000, 6000, 5000, 7000}));
  EXPECT_EQ(rows_of(source, spec, 2, 1, 0), (std::vector<float>{4000, 6000, 5000, 7000}));
}

TEST(SliceReader, ReadsTransposedColumnsOfAFusedTensor) {
  CountingSource source;
  source.add("c_attn", {2, 6});
  Segment q{.source = "c_attn", .extent = 2, .unit = 1, .source_extent = 6, .transposed = true};
  Segment v = q;
  v.source_begin = 4;
  const ParamSpec spec{.name = "c_attn", .dtypes = {}, .global = {4, 2}, .shard = {.dim = 0, .segments = {q, v}}};
  EXPECT_EQ(rows_of(source, spec, 1, 0, 0), (std::vector<float>{0, 1000, 1, 1001}));
  EXPECT_EQ(rows_of(source, spec, 2, 1, 1), (std::vector<float>{5, 1005}));
  EXPECT_EQ(source.bytes_read(), 6 * sizeof(float));
}

TEST(SliceReader, CutsContractedColumns) {
  CountingSource source;
  source.add("o", {2, 8});
  const ParamSpec spec{.name = "o",
                       .dtypes = {},
                       .global = {2, 8},
                       .shard = {.dim = 1, .contracts = true, .segments = {{.source = "o", .extent = 8, .unit = 3}}}};
  EXPECT_EQ(rows_of(source, spec, 2, 0, 0), (std::vector<float>{0, 1, 2, 3, 4, 5, 1000, 1001, 1002, 1003, 1004, 1005}));
  EXPECT_EQ(rows_of(source, spec, 2, 1, 0), (std::vector<float>{6, 7, 1006, 1007}));
}

// FP8 ones everywhere, the number of a block as its scale.
class ScaledSource : public WeightSource {
 public:
  ScaledSource(Shape matrix, Shape scales)
      : tensors_{{"x.weight", DType::kF8_E4M3, matrix}, {"x.weight_scale_inv", DType::kF32, scales}},
        ones_(static_cast<std::size_t>(element_count(matrix)), std::byte{0x38}) {
    for (int64_t i = 0; i < element_count(scales); ++i) {
      numbers_.push_back(static_cast<float>(i + 1));
    }
  }

  std::span<const SourceTensor> tensors() const override { return tensors_; }
  const SourceTensor* find(std::string_view name) const override {
    const auto found =
        std::find_if(tensors_.begin(), tensors_.end(), [&](const SourceTensor& t) { return t.name == name; });
    return found == tensors_.end() ? nullptr : &*found;
  }
  RegionView view(const SourceTensor& tensor, const Region& region) override {
    const bool scales = &tensor != tensors_.data();
    const std::byte* data = scales ? reinterpret_cast<const std::byte*>(numbers_.data()) : ones_.data();
    const int64_t size = info(tensor.dtype).block_bytes;
    return {data + (region.row_begin * tensor.columns() + region.column_begin) * size, tensor.columns() * size};
  }
  const std::string& path() const override { return path_; }
  uint64_t bytes_read() const override { return 0; }

 private:
  std::vector<SourceTensor> tensors_;
  std::string path_ = "scaled";
  std::vector<std::byte> ones_;
  std::vector<float> numbers_;
};

// The value of a rank's slice at a row and a column.
float scaled_value(ScaledSource& source, const ParamSpec& spec, int tp, int rank, int64_t row, int64_t column) {
  MatrixBuffer buffer;
  const Slice slice = slices(spec, tp, rank)[0];
  const SliceReader reader(source, spec, slice);
  const StoredMatrix matrix = reader.matrix_rows(row, row + 1, buffer);
  float value = 0;
  matrix.dequantise(0, {column, column + 1}, &value);
  return value;
}

TEST(SliceReader, GivesTheScalesOfItsBlocks) {
  ScaledSource source({300, 256}, {3, 2});
  ParamSpec spec{.name = "x",
                 .dtypes = {},
                 .global = {300, 256},
                 .shard = {.dim = 0, .segments = {{.source = "x.weight", .extent = 300, .unit = 1}}}};
  EXPECT_EQ(scaled_value(source, spec, 2, 1, 0, 127), 3);  // row 150
  EXPECT_EQ(scaled_value(source, spec, 2, 1, 0, 128), 4);
  EXPECT_EQ(scaled_value(source, spec, 2, 1, 149, 0), 5);
  spec.shard = {.dim = 1, .contracts = true, .segments = {{.source = "x.weight", .extent = 256, .unit = 64}}};
  EXPECT_EQ(scaled_value(source, spec, 4, 1, 0, 0), 1);  // columns 64 to 127
  EXPECT_EQ(scaled_value(source, spec, 4, 2, 299, 63), 6);
}

TEST(SliceReader, GivesTheScalesOfRowsInTheirOrder) {
  ScaledSource source({4, 8}, {4, 1});
  const ParamSpec spec{
      .name = "x",
      .dtypes = {},
      .global = {4, 8},
      .shard = {
          .dim = 0,
          .segments = {
              {.source = "x.weight", .extent = 4, .unit = 4, .row_order = RowOrder::kRotaryPairs, .row_unit = 4}}}};
  EXPECT_EQ(scaled_value(source, spec, 1, 0, 1, 7), 3);
}

TEST(SliceReader, RefusesScalesOfAnotherShape) {
  ScaledSource source({4, 8}, {3});
  const ParamSpec spec{.name = "x",
                       .dtypes = {},
                       .global = {4, 8},
                       .shard = {.dim = 0, .segments = {{.source = "x.weight", .extent = 4, .unit = 1}}}};
  EXPECT_THROW(scaled_value(source, spec, 1, 0, 0, 0), Error);
}

class Declare : public testing::Test {
 protected:
  CountingSource source;
  std::unique_ptr<Kernels> kernels = make_kernels({.name = "reference"});
  ParamSpec matrix{.name = "w",
                   .dtypes = {},
                   .global = {6, 4},
                   .shard = {.dim = 0, .segments = {{.source = "w", .extent = 6, .unit = 1}}}};
};

TEST_F(Declare, MissingTensorNamesFileAndTensor) {
  ParamTable table(source, *kernels, 1, 0);
  try {
    table.declare(matrix);
    FAIL() << "a missing tensor was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kModelFile);
    EXPECT_EQ(error.cause(), "counting: w: the tensor is missing");
  }
}

TEST_F(Declare, MisshapedTensorIsRefused) {
  source.add("w", {4, 6});
  ParamTable table(source, *kernels, 1, 0);
  EXPECT_THROW(table.declare(matrix), Error);
}

TEST_F(Declare, EveryRankReadsItsOwnRowsOnce) {
  source.add("w", {6, 4});
  int64_t read = 0;
  for (int rank = 0; rank < 7; ++rank) {
    ParamTable table(source, *kernels, 7, rank);
    const Param* param = table.declare(matrix);
    EXPECT_EQ(param->local[0], rank < 6 ? 1 : 0);
    table.allocate();
    int64_t progress = 0;
    table.load([&](int64_t bytes) { progress += bytes; });
    EXPECT_EQ(progress, table.source_bytes());
    read += progress;
  }
  EXPECT_EQ(read, 6 * 4 * 4);
  EXPECT_EQ(source.bytes_read(), static_cast<uint64_t>(read));
}

}  // namespace
}  // namespace longship
