#pragma once

#include <memory>

#include "variants.h"

namespace longship {

/// All columns of a matrix as one node.
inline std::vector<GroupStep> one_node(int64_t columns) {
  return {{.begin = 0, .end = columns, .merges = 0, .ends_node = true}};
}

/// The matrix of one group; none without rows.
struct GroupedMatrix {
  DType dtype = DType::kF32;
  int64_t rows = 0;
};

/// Random matrices of the same columns, one for each group.
class GroupedWeights {
 public:
  GroupedWeights(Kernels& kernels, RandomData& data, const std::vector<GroupedMatrix>& matrices, int64_t columns,
                 std::vector<GroupStep> steps, float scale = 1.0F)
      : columns_(columns), steps_(std::make_shared<std::vector<GroupStep>>(std::move(steps))) {
    for (const GroupedMatrix& matrix : matrices) {
      GroupProduct& product = products_.emplace_back();
      if (matrix.rows > 0) {
        const std::vector<std::byte> stored = data.stored(matrix.dtype, matrix.rows, columns);
        packed_.push_back(
            std::make_shared<PackedWeight>(pack(kernels, {matrix.dtype, matrix.rows, columns, stored.data()})));
        product = {.weight = &packed_.back()->weight, .steps = *steps_, .scale = scale};
        most_rows_ = std::max(most_rows_, matrix.rows);
      }
    }
  }

  std::span<const GroupProduct> products() const { return products_; }

  /// For so many places.
  GroupRoom room(Kernels& kernels, int64_t places, int64_t nodes = 1) const {
    return kernels.in_host_memory() ? GroupRoom{Tensor::allocate(DType::kF32, {places * columns_}),
                                                Tensor::allocate(DType::kF32, {nodes * places * most_rows_})}
                                    : GroupRoom{};
  }

 private:
  int64_t columns_;
  std::shared_ptr<std::vector<GroupStep>> steps_;
  std::vector<std::shared_ptr<PackedWeight>> packed_;
  std::vector<GroupProduct> products_;
  int64_t most_rows_ = 0;
};

/// RowGroups in host memory.
struct PlacedRows {
  std::vector<int32_t> rows;
  std::vector<int32_t> groups;

  /// Most rows of a batch in any order, those of a group side by side, the last ones in none. Group 0 has one.
  static PlacedRows random(RandomData& data, int64_t tokens, int32_t groups) {
    PlacedRows placed;
    const int64_t count = std::min(tokens, (tokens + 1) * 3 / 4);
    for (int64_t i = 0; i < count; ++i) {
      placed.rows.push_back(static_cast<int32_t>(tokens - 1 - i));
      placed.groups.push_back(static_cast<int32_t>(i == 0 ? 0 : data.between(0, groups)));
    }
    std::sort(placed.groups.begin(), placed.groups.end());
    std::replace(placed.groups.begin(), placed.groups.end(), groups, -1);
    return placed;
  }

  int64_t size() const { return std::ssize(rows); }

  RowGroups to_device(Kernels& kernels, Stream& stream) const {
    RowGroups to{kernels.allocate(DType::kI32, {size()}), kernels.allocate(DType::kI32, {size()})};
    kernels.write(rows.data(), to.rows, stream);
    kernels.write(groups.data(), to.groups, stream);
    return to;
  }
};

}  // namespace longship
