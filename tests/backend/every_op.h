#pragma once

#include <cmath>
#include <cstring>

#include "engine/backend/kv_page.h"
#include "grouped.h"
#include "variants.h"

namespace longship {

/// What one operation wrote, and how far from the oracle's it may be, relative to the oracle's largest value.
struct Outcome {
  std::string name;
  std::vector<float> values;
  double tolerance;
};

/// Sizes of one run of every operation.
struct OpSizes {
  int64_t tokens = 1;
  int64_t columns = 64;  ///< Of block-quantised weights.
  int64_t group = 32;    ///< Columns that are summed before they join the tree.
  int64_t plain_columns = 41;
  int64_t plain_group = 4;
  int64_t outputs = 16;
  int64_t heads = 2;
  int64_t kv_heads = 1;
  int64_t head_dim = 8;
  int64_t history = 0;  ///< Keys before the tokens of the step.
  int64_t window = 0;

  static OpSizes random(unsigned seed) {
    RandomData data(seed);
    OpSizes sizes;
    sizes.tokens = data.pick({1, 2, 3, 4, 5, 7, 16, 33, 130});
    sizes.group = data.pick({32, 64, 256});
    sizes.columns = 32 * data.between(1, 20);
    sizes.plain_group = data.pick({1, 2, 4, 12, 64});
    sizes.plain_columns = data.between(1, 300);
    sizes.outputs = data.between(1, 150);
    sizes.kv_heads = data.between(1, 3);
    sizes.heads = sizes.kv_heads * data.between(1, 6);
    sizes.head_dim = 2 * data.pick({1, 4, 6, 10, 12, 16, 32, 40, 64, 77});
    sizes.history = data.pick({0, 1, 63, 64, 200, 700});
    sizes.window = data.pick({0, 0, 1, 40, 64, 129});
    return sizes;
  }
};

/// Runs every operation on data that depends on the sizes alone.
class EveryOp {
 public:
  EveryOp(Kernels& kernels, const OpSizes& sizes, bool exact)
      : kernels_(kernels), sizes_(sizes), exact_(exact), stream_owner_(kernels.make_stream()) {
    kernels_.reserve(sizes.tokens, std::max(sizes.columns, sizes.plain_columns));
    for (const DType dtype : kWeightTypes) {
      if (dtype != DType::kF8_E4M3) {  // last, so that the others keep their data
        linear(dtype);
        gated(dtype);
        embed(dtype);
      }
    }
    grouped();
    // Of every type it gives what linear() gives (grouped_test.cc): some are enough.
    for (const DType dtype : {DType::kQ8_0, DType::kQ4_0, DType::kQ6_K, DType::kF8_E4M3}) {
      grouped_blocks(dtype);
    }
    weighted_sum();
    elementwise();
    norms();
    rope();
    attention(DType::kF32);
    attention(DType::kF16);
    attention(DType::kBF16);
    if (sizes_.head_dim % kKvBlock == 0) {
      attention(DType::kQ8_0);
    }
    linear(DType::kF8_E4M3);
    gated(DType::kF8_E4M3);
    embed(DType::kF8_E4M3);
  }

  const std::vector<Outcome>& outcomes() const { return outcomes_; }

 private:
  // Activations are multiples of their scales already; scales that are products of the file's are rounded to f16.
  static constexpr double kQuantisedTolerance = 1e-3;

  Tensor to_device(const Tensor& host) { return longship::to_device(kernels_, host, stream_); }
  Tensor output(const Shape& shape) { return kernels_.allocate(DType::kF32, shape); }
  Tensor random(const Shape& shape, float spread = 1.0F) { return to_device(data_.tensor(shape, spread)); }

  void keep(const std::string& name, const Tensor& x, double tolerance) {
    Outcome outcome{name, std::vector<float>(static_cast<std::size_t>(x.elements())), tolerance};
    kernels_.read(x, outcome.values.data(), stream_);
    outcomes_.push_back(std::move(outcome));
  }

  // Of BF16 weights an even number of columns.
  int64_t group_of(DType dtype) const {
    if (is_block_quantised(dtype)) {
      return sizes_.group;
    }
    return dtype == DType::kBF16 ? sizes_.plain_group + sizes_.plain_group % 2 : sizes_.plain_group;
  }

  // A fused matrix of three parts, one of them empty, as for the heads of a rank that has no keys.
  void linear(DType dtype) {
    const bool plain = !is_block_quantised(dtype);
    const int64_t columns = plain ? sizes_.plain_columns : sizes_.columns;
    const int64_t group = group_of(dtype);
    const auto groups = static_cast<int32_t>((columns + group - 1) / group);
    const std::vector<GroupStep> steps = ReductionTree(groups, {0, groups}).steps(0, group, columns);
    std::vector<PackedWeight> packed;
    std::vector<Weight> parts;
    for (const int64_t rows : {sizes_.outputs, int64_t{0}, int64_t{20}}) {
      // Cut out of longer rows, also inside blocks.
      const int64_t skip = info(dtype).block_values > kQuantColumns ? 32 * data_.between(0, 7) : 0;
      const std::vector<std::byte> stored = data_.stored(dtype, rows, skip + columns);
      packed.push_back(pack(kernels_, {dtype, rows, columns, stored.data(), skip}));
      parts.push_back(packed.back().weight);
    }
    const Tensor x = to_device(data_.rounded_tensor(dtype, {sizes_.tokens, columns}));
    Tensor nodes = output({1, sizes_.tokens, sizes_.outputs + 20});
    kernels_.linear(x, parts, steps, nodes, stream_);
    keep("linear " + std::string(name(dtype)), nodes, plain || exact_ ? 1e-5 : kQuantisedTolerance);
  }

  void gated(DType dtype) {
    const bool plain = !is_block_quantised(dtype);
    const int64_t columns = plain ? sizes_.plain_columns : sizes_.columns;
    const int64_t group = group_of(dtype);
    const auto groups = static_cast<int32_t>((columns + group - 1) / group);
    const std::vector<GroupStep> steps = ReductionTree(groups, {0, groups}).steps(0, group, columns);
    const std::vector<std::byte> gate = fused_data_.stored(dtype, sizes_.outputs, columns);
    const std::vector<std::byte> up = fused_data_.stored(dtype, sizes_.outputs, columns);
    const PackedWeight packed[] = {pack(kernels_, {dtype, sizes_.outputs, columns, gate.data()}),
                                   pack(kernels_, {dtype, sizes_.outputs, columns, up.data()})};
    const Weight parts[] = {packed[0].weight, packed[1].weight};
    const Tensor x = to_device(fused_data_.rounded_tensor(dtype, {sizes_.tokens, columns}));
    Tensor room = output({sizes_.tokens, 2 * sizes_.outputs});
    Tensor y = output({sizes_.tokens, sizes_.outputs});
    kernels_.linear_silu_mul(x, parts, steps, room, y, {}, stream_);
    keep("linear_silu_mul " + std::string(name(dtype)), y, plain || exact_ ? 1e-5 : 2 * kQuantisedTolerance);
  }

  // Groups of all types that adapters have, one of no weight, in the way of a low-rank update: down to few values, up.
  void grouped() {
    const int64_t columns = sizes_.plain_columns;
    const int64_t group = group_of(DType::kBF16);
    const auto leaves = static_cast<int32_t>((columns + group - 1) / group);
    const std::vector<GroupStep> steps = ReductionTree(leaves, {0, leaves}).steps(0, group, columns);
    std::vector<GroupedMatrix> down;
    for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
      down.push_back({dtype, grouped_data_.between(1, 40)});
    }
    down.emplace_back();
    const GroupedWeights inner(kernels_, grouped_data_, down, columns, steps);
    std::vector<GroupedWeights> outer;
    std::vector<GroupProduct> products;
    for (std::size_t i = 0; i + 1 < down.size(); ++i) {
      const int64_t rank = down[i].rows;
      outer.emplace_back(kernels_, grouped_data_, std::vector<GroupedMatrix>{{down[i].dtype, sizes_.outputs}}, rank,
                         one_node(rank), 0.5F + static_cast<float>(i));
      products.push_back(outer.back().products()[0]);
    }
    products.emplace_back();
    const PlacedRows places = PlacedRows::random(grouped_data_, sizes_.tokens, static_cast<int32_t>(down.size()));
    const RowGroups to = places.to_device(kernels_, stream_);
    GroupRoom room = inner.room(kernels_, places.size());
    Tensor few = output({1, places.size(), 40});
    const auto rounded = [&](const Shape& shape) {
      return to_device(grouped_data_.rounded_tensor(DType::kBF16, shape));
    };
    kernels_.grouped_linear(rounded({sizes_.tokens, columns}), to, inner.products(), room, few, stream_);
    keep("grouped_linear", few, 1e-5);
    Tensor y = to_device(grouped_data_.tensor({sizes_.tokens, sizes_.outputs + 3}));
    GroupRoom outer_room{};
    if (kernels_.in_host_memory()) {
      outer_room = {output({places.size() * 40}), output({places.size() * sizes_.outputs})};
    }
    kernels_.grouped_linear_add(rounded({places.size(), 40}), to, products, 2, outer_room, y, stream_);
    keep("grouped_linear_add", y, 1e-5);
  }

  // As experts have them: matrices of one type, here beside one of another.
  void grouped_blocks(DType dtype) {
    const bool plain = !is_block_quantised(dtype);
    const int64_t columns = sizes_.columns;
    const int64_t group = group_of(plain ? DType::kBF16 : dtype);
    const auto leaves = static_cast<int32_t>((columns + group - 1) / group);
    const std::vector<GroupStep> steps = ReductionTree(leaves, {0, leaves}).steps(0, group, columns);
    const GroupedWeights weights(kernels_, experts_data_, {{dtype, 9}, {DType::kBF16, 7}, {}, {dtype, 18}}, columns,
                                 steps);
    const PlacedRows places = PlacedRows::random(experts_data_, sizes_.tokens, 4);
    GroupRoom room = weights.room(kernels_, places.size());
    Tensor nodes = output({1, places.size(), 19});
    kernels_.grouped_linear(
        to_device(experts_data_.rounded_tensor(plain ? DType::kBF16 : dtype, {sizes_.tokens, columns})),
        places.to_device(kernels_, stream_), weights.products(), room, nodes, stream_);
    keep("grouped_linear " + std::string(name(dtype)), nodes, plain || exact_ ? 1e-5 : kQuantisedTolerance);
  }

  void weighted_sum() {
    const int64_t rows = sizes_.tokens + 2;
    for (const int64_t most : {1, 3}) {
      Tensor places = Tensor::allocate(DType::kI32, {sizes_.tokens, most});
      for (int32_t& place : places.values<int32_t>()) {
        place = static_cast<int32_t>(experts_data_.between(-1, rows - 1));
      }
      *places.data<int32_t>() = 0;
      Tensor y = output({sizes_.tokens, sizes_.outputs});
      kernels_.weighted_sum(to_device(experts_data_.tensor({rows, sizes_.outputs})), to_device(places),
                            to_device(experts_data_.tensor({sizes_.tokens, most})), y, stream_);
      keep("weighted_sum", y, 0);
    }
  }

  void embed(DType dtype) {
    const int64_t columns = sizes_.columns;
    const std::vector<std::byte> table = data_.stored(dtype, 50, columns);
    Tensor ids = Tensor::allocate(DType::kI32, {sizes_.tokens});
    for (int64_t t = 0; t < sizes_.tokens; ++t) {
      ids.data<int32_t>()[t] = static_cast<int32_t>(t * 17 % 50);
    }
    Tensor out = output({sizes_.tokens, columns});
    Tensor stored = kernels_.allocate(DType::kU8, {std::ssize(table)});
    kernels_.write(table.data(), stored, stream_);
    kernels_.embed({dtype, 50, columns, stored.data<std::byte>()}, to_device(ids), out, stream_);
    keep("embed " + std::string(name(dtype)), out, 0);
  }

  void elementwise() {
    const int64_t width = sizes_.outputs;
    const Tensor x = random({sizes_.tokens, width}, 4.0F);
    const Tensor bias = random({width});
    const Tensor residual = random({sizes_.tokens, width});
    Tensor y = output(x.shape());
    kernels_.add(x, bias, residual, y, stream_);
    keep("add", y, 0);
    kernels_.add(x, {}, residual, y, stream_);
    keep("add without bias", y, 0);
    kernels_.add(x, bias, {}, y, stream_);
    keep("add without residual", y, 0);
    kernels_.gelu_tanh(x, y, stream_);
    keep("gelu_tanh", y, 1e-6);
    kernels_.silu_mul(random({sizes_.tokens, 2 * width}, 6.0F), y, stream_);
    keep("silu_mul", y, 1e-6);
    Tensor rows = Tensor::allocate(DType::kI32, {2});
    rows.data<int32_t>()[0] = static_cast<int32_t>(sizes_.tokens - 1);
    Tensor picked = output({2, width});
    kernels_.gather_rows(x, to_device(rows), picked, stream_);
    keep("gather_rows", picked, 0);
  }

  HeadsView some_heads() {
    return {random({sizes_.tokens, sizes_.heads * sizes_.head_dim + 3}), 3, sizes_.heads, sizes_.head_dim};
  }

  void norms() {
    const Tensor x = random({sizes_.tokens, sizes_.plain_columns}, 3.0F);
    const Tensor gain = random({sizes_.plain_columns});
    const Tensor bias = random({sizes_.plain_columns});
    Tensor y = output(x.shape());
    kernels_.rms_norm(x, gain, 1e-5F, y, stream_);
    keep("rms_norm", y, 1e-6);
    kernels_.layer_norm(x, gain, bias, 1e-5F, y, stream_);
    keep("layer_norm", y, 2e-6);
    for (const Tensor& norm_bias : {Tensor(), bias}) {
      const AddNorm then{.bias = gain,
                         .hidden = to_device(fused_data_.tensor(x.shape())),
                         .gain = gain,
                         .norm_bias = norm_bias,
                         .eps = 1e-5F,
                         .normed = output(x.shape())};
      kernels_.add_norm(x, {0, sizes_.tokens}, then, {}, stream_);
      keep("add_norm", then.normed, 2e-6);
      keep("hidden of add_norm", then.hidden, 0);
    }
    const HeadsView heads = some_heads();
    kernels_.rms_norm_heads(heads, random({sizes_.head_dim}), 1e-6F, stream_);
    keep("rms_norm_heads", heads.base, 1e-6);
  }

  void rope() {
    const HeadsView heads = some_heads();
    const Tensor angle = data_.tensor({sizes_.tokens, sizes_.head_dim / 2}, 9.0F);
    Tensor cos = Tensor::allocate(DType::kF32, angle.shape());
    Tensor sin = Tensor::allocate(DType::kF32, angle.shape());
    for (int64_t i = 0; i < angle.elements(); ++i) {
      cos.data<float>()[i] = std::cos(angle.data<float>()[i]);
      sin.data<float>()[i] = std::sin(angle.data<float>()[i]);
    }
    kernels_.rope(heads, to_device(cos), to_device(sin), stream_);
    keep("rope", heads.base, 1e-6);
  }

  void fill_with_no_numbers(Tensor& x) {
    const std::vector<std::byte> bytes(static_cast<std::size_t>(x.bytes()), std::byte{0xFF});
    kernels_.write(bytes.data(), x, stream_);
  }

  void attention(DType kv_type) {
    const int64_t total = sizes_.history + sizes_.tokens;
    const int64_t pages = (total + kPageTokens - 1) / kPageTokens;
    KvLayer kv{kernels_.allocate(kv_type, {pages + 1, sizes_.kv_heads, sizes_.head_dim, kPageTokens}),
               kernels_.allocate(kv_type, {pages + 1, sizes_.kv_heads, kPageTokens, sizes_.head_dim})};
    fill_with_no_numbers(kv.keys);  // what no query sees must not matter
    fill_with_no_numbers(kv.values);
    Batch batch;
    batch.slices.push_back({.first_row = 0, .rows = total, .begin = 0, .pages = {}});
    for (int64_t page = 0; page < pages; ++page) {
      batch.slices[0].pages.push_back(static_cast<int32_t>(pages - page));
    }
    batch.positions = kernels_.allocate(DType::kI32, {total});
    const int64_t width = sizes_.kv_heads * sizes_.head_dim;
    const HeadsView keys{random({total, width}), 0, sizes_.kv_heads, sizes_.head_dim};
    const HeadsView values{random({total, width}), 0, sizes_.kv_heads, sizes_.head_dim};
    kernels_.begin_step(batch, stream_);
    kernels_.kv_write(keys, values, batch, kv, stream_);

    batch.slices[0].begin = sizes_.history;
    batch.slices[0].rows = sizes_.tokens;
    batch.positions = kernels_.allocate(DType::kI32, {sizes_.tokens});
    kernels_.begin_step(batch, stream_);
    AttentionSpec spec{
        .scale = 1.0F / std::sqrt(static_cast<float>(sizes_.head_dim)), .window = sizes_.window, .kv_head = {}};
    for (int64_t head = 0; head < sizes_.heads; ++head) {
      spec.kv_head.push_back(static_cast<int32_t>(head * sizes_.kv_heads / sizes_.heads));
    }
    const int64_t out_width = sizes_.heads * sizes_.head_dim;
    const bool by_integers = kv_type == DType::kQ8_0 && !exact_;
    const Shape query_shape{sizes_.tokens, out_width};
    const HeadsView query{
        by_integers ? to_device(data_.rounded_tensor(kv_type, query_shape)) : random(query_shape, 2.0F), 0,
        sizes_.heads, sizes_.head_dim};
    Tensor out = output({sizes_.tokens, out_width});
    kernels_.attention(query, kv, batch, spec, out, stream_);
    keep("attention " + std::string(name(kv_type)), out, by_integers ? kQuantisedTolerance : 2e-6);
  }

  Kernels& kernels_;
  OpSizes sizes_;
  bool exact_;
  RandomData data_{7};
  RandomData fused_data_{8};
  RandomData grouped_data_{9};
  RandomData experts_data_{10};
  std::unique_ptr<Stream> stream_owner_;
  Stream& stream_ = *stream_owner_;
  std::vector<Outcome> outcomes_;
};

}  // namespace longship
