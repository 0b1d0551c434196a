#include "engine/backend/cuda/grouped_weights.h"

#include <algorithm>

#include "cuda/memory.h"
#include "cuda/watch.h"
#include "engine/backend/cuda/packed_weights.h"

namespace longship::cuda {

namespace {

Weight weight_of(const GroupProduct& product) {
  return product.weight == nullptr ? Weight() : *product.weight;
}

bool is_known(const GroupedWeights::Table& table, std::span<const GroupProduct> products) {
  return std::ranges::equal(products, table.products,
                            [](const GroupProduct& a, const GroupProduct& b) {
                              return a.steps.data() == b.steps.data() && a.steps.size() == b.steps.size() &&
                                     a.scale == b.scale;
                            }) &&
         std::ranges::equal(products, table.weights, [](const GroupProduct& product, const Weight& known) {
           const Weight weight = weight_of(product);
           return weight.data == known.data && weight.dtype == known.dtype && weight.rows == known.rows &&
                  weight.columns == known.columns;
         });
}

}  // namespace

const GroupedWeights::Table& GroupedWeights::get(std::span<const GroupProduct> products, LinearPrograms& programs,
                                                 Staging& staging, StreamHandle stream) {
  Table& table = tables_[products.data()];
  if (table.memory != nullptr && is_known(table, products)) {
    return table;
  }
  Table made{.products = {products.begin(), products.end()}, .weights = {}, .memory = nullptr};
  std::vector<GroupedWeight> entries;
  for (const GroupProduct& product : products) {
    const Weight& weight = made.weights.emplace_back(weight_of(product));
    GroupedWeight& entry = entries.emplace_back();
    if (weight.rows == 0 || product.steps.empty()) {
      continue;
    }
    const WeightLayout layout = layout_of(weight.dtype, exact_);
    const LinearPrograms::Program& program = programs.get(product.steps, staging, stream);
    entry = {.data = weight.data,
             .runs = program.runs(),
             .row_block_bytes = row_block_bytes(layout, weight.columns),
             .run_count = program.run_count,
             .rows = static_cast<int32_t>(weight.rows),
             .columns = static_cast<int32_t>(weight.columns),
             .scale = product.scale,
             .layout = layout};
    made.layouts |= 1U << static_cast<unsigned>(layout);
    made.most_runs = std::max(made.most_runs, program.run_count);
    made.most_rows = std::max(made.most_rows, entry.rows);
    made.depth = std::max(made.depth, program.depth);
  }
  const std::size_t bytes = entries.size() * sizeof(GroupedWeight);
  made.memory = allocate_device(bytes);
  staging.copy(entries.data(), made.memory.get(), bytes, stream);
  wait(stream);  // other streams will read it, and this one may be reading the table that it replaces
  table = std::move(made);
  return table;
}

}  // namespace longship::cuda
