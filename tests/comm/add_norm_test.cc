#include <algorithm>
#include <cmath>
#include <vector>

#include "parallel/shard.h"
#include "tests/comm/conformance.h"
#include "tests/comm/values.h"

namespace longship::conformance {
namespace {

// Each rank holds one group; sums are of whole numbers, so they are exact in any order.
ReductionTree tree_of(int ranks) {
  std::vector<int32_t> bounds;
  for (int rank = 0; rank <= ranks; ++rank) {
    bounds.push_back(rank);
  }
  return ReductionTree(ranks, bounds);
}

Tensor nodes_of(int rank, const Shape& shape) {
  return filled({1, shape[0], shape[1]}, static_cast<uint64_t>(rank), whole_value);
}

AddNorm some_work(const Shape& shape, bool layer) {
  return {.bias = filled({shape[1]}, 101, whole_value),
          .hidden = filled(shape, 102, whole_value),
          .gain = filled({shape[1]}, 103, wide_value),
          .norm_bias = layer ? filled({shape[1]}, 104, wide_value) : Tensor(),
          .eps = 1e-5F,
          .normed = filled(shape, 105, whole_value)};
}

// hidden and normed of one row, from its part of the root.
void apply_to_row(const float* root, const AddNorm& work, int64_t row) {
  const int64_t width = work.hidden.dim(1);
  float* hidden = work.hidden.data<float>() + row * width;
  float* normed = work.normed.data<float>() + row * width;
  double mean = 0;
  for (int64_t i = 0; i < width; ++i) {
    hidden[i] = hidden[i] + (root[i] + work.bias.data<float>()[i]);
    mean += work.norm_bias.empty() ? 0.0 : hidden[i] / static_cast<double>(width);
  }
  double squares = 0;
  for (int64_t i = 0; i < width; ++i) {
    squares += (hidden[i] - mean) * (hidden[i] - mean);
  }
  const double scale = 1.0 / std::sqrt(squares / static_cast<double>(width) + static_cast<double>(work.eps));
  for (int64_t i = 0; i < width; ++i) {
    const double bias = work.norm_bias.empty() ? 0.0 : work.norm_bias.data<float>()[i];
    normed[i] = static_cast<float>((hidden[i] - mean) * scale * work.gain.data<float>()[i] + bias);
  }
}

AddNorm expected_work(int ranks, const Shape& shape, bool layer) {
  std::vector<float> root(static_cast<std::size_t>(element_count(shape)));
  for (int rank = 0; rank < ranks; ++rank) {
    const Tensor nodes = nodes_of(rank, shape);
    for (std::size_t i = 0; i < root.size(); ++i) {
      root[i] += nodes.data<float>()[i];
    }
  }
  AddNorm work = some_work(shape, layer);
  for (int64_t row = 0; row < shape[0]; ++row) {
    apply_to_row(root.data() + row * shape[1], work, row);
  }
  return work;
}

double largest_difference(const Tensor& a, const Tensor& b) {
  double most = 0;
  for (int64_t i = 0; i < a.elements(); ++i) {
    most = std::max(most, std::abs(static_cast<double>(a.data<float>()[i]) - static_cast<double>(b.data<float>()[i])));
  }
  return most;
}

void expect_work(Communicator& group, const Shape& shape, bool layer) {
  SCOPED_TRACE("rank " + std::to_string(group.rank()) + " of " + std::to_string(group.size()) + ", " +
               std::to_string(shape[0]) + " rows of " + std::to_string(shape[1]));
  Stream stream;
  const AddNorm work = some_work(shape, layer);
  Tensor out = Tensor::allocate(DType::kF32, shape);
  int64_t rows_done = 0;
  const auto apply = [&](Range rows) {
    EXPECT_EQ(rows.begin, rows_done) << "rows come in order";
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      apply_to_row(out.data<float>() + row * shape[1], work, row);
    }
    rows_done = rows.end;
  };
  group.tree_reduce_add_norm(nodes_of(group.rank(), shape), tree_of(group.size()), out, work, apply, stream);
  const AddNorm expected = expected_work(group.size(), shape, layer);
  EXPECT_EQ(differing_bits(work.hidden, expected.hidden), 0);
  // Kernels add up a row in an order of their own.
  EXPECT_LE(largest_difference(work.normed, expected.normed), 4096 * 1e-5);
  EXPECT_TRUE(rows_done == 0 || rows_done == shape[0]) << rows_done;
}

TEST_P(Conformance, SumsWithResidualAndNorm) {
  run([](Transport& transport) {
    const auto group = transport.split(0, transport.rank());
    for (const Shape& shape : {Shape{1, 1}, Shape{1, 576}, Shape{3, 129}, Shape{1, 4096}, Shape{40, 100}}) {
      expect_work(*group, shape, false);
      expect_work(*group, shape, true);
    }
  });
}

TEST_P(Conformance, SumsOfManyRowsWithResidualAndNorm) {
  run([](Transport& transport) {
    const auto group = transport.split(0, transport.rank());
    expect_work(*group, {300, 1000}, false);
    expect_work(*group, {1, 64}, true);
    expect_work(*group, {2, 20000}, true);
  });
}

}  // namespace
}  // namespace longship::conformance
