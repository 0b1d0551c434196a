#include "engine/backend/cuda/cuda_kernels.h"

#include <algorithm>
#include <bit>

#include "core/thread_pool.h"
#include "cuda/memory.h"
#include "engine/backend/cuda/attention_plan.h"
#include "engine/backend/cuda/blas_linear.h"
#include "engine/backend/cuda/cuda_roofline.h"
#include "engine/backend/cuda/cuda_stream.h"
#include "engine/backend/cuda/decode_graphs.h"
#include "engine/backend/cuda/grouped_weights.h"
#include "engine/backend/cuda/kernels/attention.h"
#include "engine/backend/cuda/kernels/decode_attention.h"
#include "engine/backend/cuda/kernels/embed.h"
#include "engine/backend/cuda/kernels/norm.h"
#include "engine/backend/cuda/kernels/tensor_attention.h"
#include "engine/backend/cuda/kernels/warpgroup_attention.h"
#include "engine/backend/cuda/linear_programs.h"
#include "engine/backend/cuda/narrow_activations.h"
#include "engine/backend/cuda/packed_weights.h"
#include "engine/backend/cuda/step_tables.h"
#include "engine/backend/cuda/tensor_product.h"
#include "engine/backend/cuda/token_drawer.h"

namespace longship {

namespace {

using namespace cuda;  // NOLINT(google-build-using-namespace)

// Of a device that only a plan has: Hopper's.
constexpr int kUsualMultiprocessors = 132;

DeviceProperties use_device(int device) {
  if (device < 0) {
    DeviceProperties usual;
    usual.multiprocessors = kUsualMultiprocessors;
    return usual;
  }
  check(api().set_device(device), "choose the device");
  DeviceProperties properties;
  check(api().device_properties(&properties, device), "ask for the device's properties");
  return properties;
}

KvType kv_type(DType dtype) {
  switch (dtype) {
    case DType::kF16:
      return KvType::kF16;
    case DType::kBF16:
      return KvType::kBF16;
    case DType::kQ8_0:
      return KvType::kQ8;
    default:
      return KvType::kF32;
  }
}

KvView view_of(const KvLayer& kv) {
  const int64_t head_dim = kv.keys.dim(2);
  return {
      kv.keys.data<std::byte>(),        kv.values.data<std::byte>(), bytes_of(kv.keys.dtype(), head_dim * kPageTokens),
      static_cast<int>(kv.keys.dim(1)), static_cast<int>(head_dim),  kv_type(kv.keys.dtype())};
}

HeadRows rows_of(const HeadsView& x) {
  return {x.row(0), x.base.dim(1), x.base.dim(0), static_cast<int>(x.heads), static_cast<int>(x.head_dim)};
}

const float* values_or_null(const Tensor& x) {
  return x.empty() ? nullptr : x.data<float>();
}

RowNorm row_norm(const Tensor& gain, const Tensor& bias, float eps) {
  return {gain.data<float>(), values_or_null(bias), eps, static_cast<int>(gain.dim(0))};
}

class CudaKernels : public Kernels {
 public:
  CudaKernels(const BackendOptions& options, int device)
      : device_(use_device(device)),
        exact_(options.exact),
        fast_(!options.exact && !options.deterministic),
        replays_(options.graphs),
        pool_(options.threads),
        step_(fast_ ? kTensorRows : INT64_MAX),
        grouped_weights_(options.exact),
        tensor_product_(device_) {
    if (device >= 0) {
      staging_ = std::make_unique<Staging>();
      packing_stream_ = std::make_unique<CudaStream>();
    }
    if (device >= 0 && fast_) {
      blas_ = BlasLinear::make();
    }
  }

  std::string_view name() const override { return api().name; }

  bool in_host_memory() const override { return false; }

  Tensor allocate(DType dtype, Shape shape) override {
    const int64_t bytes = Tensor::aligned_bytes(bytes_of(dtype, element_count(shape)));
    return Tensor::own(dtype, std::move(shape), allocate_device(static_cast<std::size_t>(bytes)));
  }

  std::optional<DeviceMemory> device_memory() const override {
    std::size_t free_bytes = 0;
    std::size_t total_bytes = 0;
    check(api().memory_info(&free_bytes, &total_bytes), "ask for the device's memory");
    return DeviceMemory{static_cast<int64_t>(free_bytes), static_cast<int64_t>(total_bytes)};
  }

  void write(const void* host, Tensor& x, Stream& stream) override {
    staging_->copy(host, x.data<void>(), static_cast<std::size_t>(x.bytes()), handle_of(stream));
  }

  void read(const Tensor& x, void* host, Stream& stream) override {
    finish_packing();
    if (!x.empty()) {
      check(api().memcpy_async(host, x.data<void>(), static_cast<std::size_t>(x.bytes()), CopyKind::kDeviceToHost,
                               handle_of(stream)),
            "copy from the device");
    }
    stream.synchronise();
  }

  std::unique_ptr<Stream> make_stream() override { return std::make_unique<CudaStream>(); }

  void begin_step(const Batch& batch, Stream& stream) override { step_.upload(batch, *staging_, handle_of(stream)); }

  int64_t usual_step_rows() const override { return 2048; }

  int64_t decode_rows(int64_t rows) const override {
    return replays_ ? static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(rows))) : rows;
  }

  Tensor replay(const StepKey& key, const std::function<Tensor()>& work, Stream& stream) override {
    return replays_ ? graphs_.run({key, step_.memory(), step_.chunks()}, work, handle_of(stream)) : work();
  }

  std::string_view packing() const override { return exact_ ? "cuda exact 2" : "cuda 2"; }

  int64_t packed_bytes(DType dtype, int64_t rows, int64_t columns) const override {
    return cuda::packed_bytes(layout_of(dtype, exact_), rows, columns);
  }

  void pack(const StoredMatrix& stored, int64_t first_row, Weight& weight) override;

  int64_t scratch_bytes(int64_t max_rows, int64_t max_columns) const override {
    return kTableBytes + kArrivalBytes + AttentionPlans::partial_bytes(device_.multiprocessors) +
           (fast_ ? BlasLinear::scratch_bytes() + NarrowActivations::bytes(max_rows, max_columns) +
                        TensorProduct::scratch_bytes(max_columns)
                  : 0);
  }

  void reserve(int64_t max_rows, int64_t max_columns) override {
    graphs_.clear();  // they know the memory that is replaced
    if (blas_ != nullptr) {
      blas_->reserve();
      activations_.reserve(max_rows, max_columns);
    }
    if (fast_) {
      tensor_product_.reserve(max_columns);
    }
    partials_ = allocate_device(
        static_cast<std::size_t>(kArrivalBytes + AttentionPlans::partial_bytes(device_.multiprocessors)));
    const CudaStream stream;
    check(api().memset_async(partials_.get(), 0, kArrivalBytes, stream.handle()), "clear counters");
    wait(stream.handle());
  }

  void embed(const StoredMatrix& table, const Tensor& ids, Tensor& out, Stream& stream) override {
    const StoredTable stored{.data = table.data,
                             .row_bytes = table.stride_bytes != 0 ? table.stride_bytes : table.row_bytes(),
                             .columns = table.columns,
                             .skip = table.skip,
                             .dtype = table.dtype,
                             .block_values = info(table.dtype).block_values,
                             .block_bytes = info(table.dtype).block_bytes};
    launch_embed(stored, ids.data<int32_t>(), ids.dim(0), out.data<float>(), handle_of(stream));
  }

  void linear(const Tensor& x, std::span<const Weight> parts, std::span<const GroupStep> steps, Tensor& nodes,
              Stream& stream) override;

  void linear_silu_mul(const Tensor& x, std::span<const Weight> parts, std::span<const GroupStep> steps,
                       Tensor& gate_up, Tensor& y, std::span<const Weight> readers, Stream& stream) override;

  void add(const Tensor& x, const Tensor& bias, const Tensor& residual, Tensor& y, Stream& stream) override {
    launch_add(x.data<float>(), values_or_null(bias), values_or_null(residual), x.dim(0), x.dim(1), y.data<float>(),
               handle_of(stream));
  }

  void rms_norm(const Tensor& x, const Tensor& gain, float eps, Tensor& y, Stream& stream) override {
    launch_norm(x.data<float>(), row_norm(gain, {}, eps), x.dim(0), y.data<float>(), handle_of(stream));
  }

  void add_norm(const Tensor& x, Range rows, const AddNorm& then, std::span<const Weight> readers,
                Stream& stream) override {
    const int64_t first = rows.begin * x.dim(1);
    launch_add_norm(x.data<float>() + first, values_or_null(then.bias), row_norm(then.gain, then.norm_bias, then.eps),
                    rows.size(), then.hidden.data<float>() + first, output_for(then.normed, rows.begin, readers),
                    handle_of(stream));
  }

  void rms_norm_heads(const HeadsView& x, const Tensor& gain, float eps, Stream& stream) override {
    launch_rms_norm_heads(rows_of(x), gain.data<float>(), eps, handle_of(stream));
  }

  void layer_norm(const Tensor& x, const Tensor& gain, const Tensor& bias, float eps, Tensor& y,
                  Stream& stream) override {
    launch_norm(x.data<float>(), row_norm(gain, bias, eps), x.dim(0), y.data<float>(), handle_of(stream));
  }

  void rope(const HeadsView& x, const Tensor& cos, const Tensor& sin, Stream& stream) override {
    launch_rope(rows_of(x), cos.data<float>(), sin.data<float>(), handle_of(stream));
  }

  void silu_mul(const Tensor& x, Tensor& y, Stream& stream) override {
    launch_silu_mul({x.data<void>()}, y.dim(0), y.dim(1), {y.data<void>()}, handle_of(stream));
  }

  void gelu_tanh(const Tensor& x, Tensor& y, Stream& stream) override {
    launch_gelu_tanh(x.data<float>(), x.elements(), y.data<float>(), handle_of(stream));
  }

  void gather_rows(const Tensor& x, const Tensor& rows, Tensor& y, Stream& stream) override {
    launch_gather_rows(x.data<float>(), rows.data<int32_t>(), rows.dim(0), x.dim(1), y.data<float>(),
                       handle_of(stream));
  }

  void grouped_linear(const Tensor& x, const RowGroups& to, std::span<const GroupProduct> products, GroupRoom&,
                      Tensor& nodes, Stream& stream) override {
    const GroupedWeights::Table& table = table_of(products, stream);
    GroupedLinearArguments arguments = arguments_of(x, to, table);
    arguments.x_rows = to.rows.data<int32_t>();
    arguments.out = nodes.data<float>();
    arguments.nodes = static_cast<int>(nodes.dim(0));
    arguments.out_columns = static_cast<int>(nodes.dim(2));
    launch_grouped_linear(arguments, table.layouts, handle_of(stream));
  }

  void grouped_linear_add(const Tensor& x, const RowGroups& to, std::span<const GroupProduct> products, int64_t column,
                          GroupRoom&, Tensor& y, Stream& stream) override {
    const GroupedWeights::Table& table = table_of(products, stream);
    GroupedLinearArguments arguments = arguments_of(x, to, table);
    arguments.out = y.data<float>() + column;
    arguments.nodes = 1;
    arguments.out_columns = static_cast<int>(y.dim(1));
    arguments.out_rows = to.rows.data<int32_t>();
    launch_grouped_linear(arguments, table.layouts, handle_of(stream));
  }

  void weighted_sum(const Tensor& x, const Tensor& places, const Tensor& weights, Tensor& y, Stream& stream) override {
    launch_weighted_sum({.x = x.data<float>(),
                         .places = places.data<int32_t>(),
                         .weights = weights.data<float>(),
                         .rows = y.dim(0),
                         .width = y.dim(1),
                         .most = places.dim(1)},
                        y.data<float>(), handle_of(stream));
  }

  int64_t group_list_bytes(int64_t products) const override { return GroupedWeights::bytes(products); }

  int64_t draw_bytes(int64_t rows, std::span<const Range> shares) const override {
    return TokenDrawer::bytes(rows, shares);
  }
  std::unique_ptr<DrawnTokens> draw_tokens(const Tensor& logits, std::span<const TokenDraw> draws,
                                           Stream& stream) override {
    return drawer_.draw(logits, draws, *staging_, stream);
  }
  std::unique_ptr<DrawnTokens> draw_tokens(const Tensor& logits, const VocabularyShard& shard,
                                           std::span<const TokenDraw> draws, Stream& stream) override {
    return drawer_.draw(logits, shard, draws, *staging_, stream);
  }

  void kv_write(const HeadsView& keys, const HeadsView& values, const Batch& batch, KvLayer& kv,
                Stream& stream) override {
    check_step(batch);
    launch_kv_write(rows_of(keys), rows_of(values), step_.view(), view_of(kv), handle_of(stream));
  }

  void rope_kv_write(const HeadsView& query, const HeadsView& keys, const HeadsView& values, const Tensor& cos,
                     const Tensor& sin, const Batch& batch, KvLayer& kv, Stream& stream) override {
    check_step(batch);
    if (kv.keys.dtype() == DType::kQ8_0) {
      Kernels::rope_kv_write(query, keys, values, cos, sin, batch, kv, stream);
      return;
    }
    const RotaryArguments arguments{.query = rows_of(query),
                                    .keys = rows_of(keys),
                                    .values = rows_of(values),
                                    .cos = cos.data<float>(),
                                    .sin = sin.data<float>()};
    launch_rope_kv_write(arguments, step_.view(), view_of(kv), handle_of(stream));
  }

  void attention(const HeadsView& query, const KvLayer& kv, const Batch& batch, const AttentionSpec& spec, Tensor& out,
                 Stream& stream) override;

  Roofline measure_roofline(DType) override {
    CudaStream stream;
    return cuda::measure_roofline(device_, stream.handle());
  }

 private:
  // Tables that come as they are needed: of steps, of columns that are added up, of heads. Seldom as much.
  static constexpr int64_t kTableBytes = int64_t{1} << 20;
  static constexpr int64_t kArrivalBytes = AttentionPlans::kArrivals * static_cast<int64_t>(sizeof(uint32_t));

  void check_step(const Batch& batch) const {
    LONGSHIP_CHECK(step_.rows() == batch.rows(), "begin_step() comes before the operations on its batch");
  }

  // Where an operation puts x from row `first_row` on: if products of many tokens read it, as they do, else in x.
  ValuesOut output_for(const Tensor& x, int64_t first_row, std::span<const Weight> readers) {
    if (blas_ != nullptr && !readers.empty() && x.dim(1) % 8 == 0 && activations_.fits(x.dim(0), x.dim(1))) {
      const WeightLayout layout = layout_of(readers[0].dtype, exact_);
      const ValueType type = BlasLinear::reads(layout);
      if (type != ValueType::kF32 && x.dim(0) >= BlasLinear::fewest_tokens(layout)) {
        return activations_.begin(x, first_row, type);
      }
    }
    return {x.data<float>() + first_row * x.dim(1)};
  }

  // Without parts and outputs.
  static LinearArguments arguments_of(const Tensor& x, const LinearPrograms::Program& program) {
    return {.x = x.data<float>(),
            .tokens = static_cast<int>(x.dim(0)),
            .columns = static_cast<int>(x.dim(1)),
            .runs = program.runs(),
            .run_count = program.run_count,
            .depth = program.depth};
  }

  const GroupedWeights::Table& table_of(std::span<const GroupProduct> products, Stream& stream) {
    finish_packing();
    return grouped_weights_.get(products, programs_, *staging_, handle_of(stream));
  }

  // Without outputs.
  static GroupedLinearArguments arguments_of(const Tensor& x, const RowGroups& to, const GroupedWeights::Table& table) {
    return {.x = x.data<float>(),
            .x_columns = static_cast<int>(x.dim(1)),
            .groups = to.groups.data<int32_t>(),
            .places = static_cast<int>(to.places()),
            .weights = table.data(),
            .most_runs = table.most_runs,
            .most_rows = table.most_rows,
            .depth = table.depth};
  }

  // linear_silu_mul() by one kernel; its products by cuBLASLt with results of bf16. False where that cannot be.
  bool gated_linear(const Tensor& x, std::span<const Weight> parts, std::span<const GroupStep> steps, Tensor& y,
                    Stream& stream);
  bool narrow_gate_up(const Tensor& x, std::span<const Weight> parts, std::span<const GroupStep> steps, Tensor& gate_up,
                      Stream& stream);

  // Weights are copied on a stream of their own; before they are used, once, the host waits for it.
  void finish_packing() {
    if (packing_) {
      packing_stream_->synchronise();
      packing_ = false;
    }
  }

  DeviceProperties device_;
  bool exact_;
  bool fast_;  // products of many tokens may differ in bits from those of few
  bool replays_;
  ThreadPool pool_;
  std::unique_ptr<Staging> staging_;  // null, as the next, for a device that only a plan has
  std::unique_ptr<CudaStream> packing_stream_;
  bool packing_ = false;
  StepTables step_;
  LinearPrograms programs_;
  GroupedWeights grouped_weights_;
  AttentionPlans attention_plans_;
  std::unique_ptr<BlasLinear> blas_;  // null where not wanted or not there
  NarrowActivations activations_;     // of it
  TensorProduct tensor_product_;
  std::shared_ptr<void> partials_;  // of attention, behind the counters of its blocks
  DecodeGraphs graphs_;
  TokenDrawer drawer_;
};

// A few row blocks at a time, as many as a slot of pinned memory holds.
void CudaKernels::pack(const StoredMatrix& stored, int64_t first_row, Weight& weight) {
  const WeightLayout layout = layout_of(stored.dtype, exact_);
  const int64_t block_bytes = row_block_bytes(layout, stored.columns);
  const int64_t most_blocks = static_cast<int64_t>(Staging::kSlotBytes) / std::max<int64_t>(1, block_bytes);
  LONGSHIP_CHECK(most_blocks > 0, "rows of a weight fit in pinned memory");
  std::byte* to = weight.data + first_row / kRowBlock * block_bytes;
  for (int64_t row = 0; row < stored.rows; row += most_blocks * kRowBlock) {
    StoredMatrix some = stored;
    some.data = stored.row(row);
    some.scales.values = stored.scales.values == nullptr ? nullptr : stored.scales.values + row * stored.scales.per_row;
    some.stride_bytes = stored.stride_bytes != 0 ? stored.stride_bytes : stored.row_bytes();
    some.rows = std::min(most_blocks * kRowBlock, stored.rows - row);
    const auto bytes = static_cast<std::size_t>(cuda::packed_bytes(layout, some.rows, some.columns));
    pack_rows(some, layout, staging_->acquire(), pool_);
    staging_->submit(to, bytes, packing_stream_->handle());
    to += bytes;
  }
  packing_ = true;
}

void CudaKernels::linear(const Tensor& x, std::span<const Weight> parts, std::span<const GroupStep> steps,
                         Tensor& nodes, Stream& stream) {
  finish_packing();
  const LinearPrograms::Program& program = programs_.get(steps, *staging_, handle_of(stream));
  LinearArguments arguments = arguments_of(x, program);
  arguments.nodes = nodes.data<float>();
  arguments.outputs = static_cast<int>(nodes.dim(2));
  int first_output = 0;
  WeightLayout layout = WeightLayout::kF32;
  const auto launch_parts = [&] {
    if (arguments.part_count > 0) {
      arguments.row_block_bytes = row_block_bytes(layout, arguments.columns);
      const bool many = blas_ != nullptr && arguments.tokens >= BlasLinear::fewest_tokens(layout);
      if (!many ||
          !blas_->multiply(layout, arguments, program.nodes, activations_, ValueType::kF32, handle_of(stream))) {
        activations_.restore(arguments.x, handle_of(stream));
        if (!fast_ || !tensor_product_.multiply(layout, arguments, program.nodes, handle_of(stream))) {
          launch_linear(layout, arguments, handle_of(stream));
        }
      }
    }
    std::fill(std::begin(arguments.parts), std::end(arguments.parts), LinearPart{});
    arguments.part_count = 0;
  };
  for (const Weight& part : parts) {
    if (part.rows == 0) {
      continue;
    }
    const WeightLayout kind = layout_of(part.dtype, exact_);
    if (kind != layout || arguments.part_count == kMaxLinearParts) {
      launch_parts();
    }
    layout = kind;
    arguments.parts[arguments.part_count++] = {part.data, static_cast<int>(part.rows), first_output};
    first_output += static_cast<int>(part.rows);
  }
  launch_parts();
  activations_.forget();
}

bool CudaKernels::gated_linear(const Tensor& x, std::span<const Weight> parts, std::span<const GroupStep> steps,
                               Tensor& y, Stream& stream) {
  const WeightLayout layout = layout_of(parts[0].dtype, exact_);
  const bool on_tensor_cores = fast_ && x.dim(0) < BlasLinear::fewest_tokens(layout);
  const bool few = x.dim(0) <= kMostGatedTokens;
  if (layout != layout_of(parts[1].dtype, exact_) || !(few || on_tensor_cores)) {
    return false;
  }
  finish_packing();
  const LinearPrograms::Program& program = programs_.get(steps, *staging_, handle_of(stream));
  LinearArguments arguments = arguments_of(x, program);
  const int rows = static_cast<int>(y.dim(1));
  arguments.parts[0] = {parts[0].data, rows, 0};
  arguments.parts[1] = {parts[1].data, rows, 0};
  arguments.part_count = 2;
  arguments.row_block_bytes = row_block_bytes(layout, x.dim(1));
  arguments.nodes = y.data<float>();
  arguments.outputs = rows;
  arguments.gated = true;
  if (on_tensor_cores && tensor_product_.multiply(layout, arguments, program.nodes, handle_of(stream))) {
    return true;
  }
  if (few) {
    launch_linear(layout, arguments, handle_of(stream));
  }
  return few;
}

bool CudaKernels::narrow_gate_up(const Tensor& x, std::span<const Weight> parts, std::span<const GroupStep> steps,
                                 Tensor& gate_up, Stream& stream) {
  const WeightLayout layout = layout_of(parts[0].dtype, exact_);
  if (blas_ == nullptr || x.dim(0) < BlasLinear::fewest_tokens(layout) || layout != layout_of(parts[1].dtype, exact_) ||
      BlasLinear::reads(layout) != ValueType::kBf16) {
    return false;
  }
  finish_packing();
  const LinearPrograms::Program& program = programs_.get(steps, *staging_, handle_of(stream));
  LinearArguments arguments = arguments_of(x, program);
  const int rows = static_cast<int>(parts[0].rows);
  arguments.parts[0] = {parts[0].data, rows, 0};
  arguments.parts[1] = {parts[1].data, rows, rows};
  arguments.part_count = 2;
  arguments.row_block_bytes = row_block_bytes(layout, x.dim(1));
  arguments.nodes = gate_up.data<float>();
  arguments.outputs = 2 * rows;
  const bool done =
      blas_->multiply(layout, arguments, program.nodes, activations_, ValueType::kBf16, handle_of(stream));
  if (done) {
    activations_.forget();
  }
  return done;
}

void CudaKernels::linear_silu_mul(const Tensor& x, std::span<const Weight> parts, std::span<const GroupStep> steps,
                                  Tensor& gate_up, Tensor& y, std::span<const Weight> readers, Stream& stream) {
  if (gated_linear(x, parts, steps, y, stream)) {
    return;
  }
  ValuesIn product{gate_up.data<void>(), ValueType::kBf16};
  if (!narrow_gate_up(x, parts, steps, gate_up, stream)) {
    Tensor root = gate_up.reshape({1, gate_up.dim(0), gate_up.dim(1)});
    linear(x, parts, steps, root, stream);
    product.type = ValueType::kF32;
  }
  launch_silu_mul(product, y.dim(0), y.dim(1), output_for(y, 0, readers), handle_of(stream));
}

void CudaKernels::attention(const HeadsView& query, const KvLayer& kv, const Batch& batch, const AttentionSpec& spec,
                            Tensor& out, Stream& stream) {
  check_step(batch);
  const KvView view = view_of(kv);
  const AttentionArguments common{
      .query = query.row(0),
      .query_stride = query.base.dim(1),
      .heads = static_cast<int>(query.heads),
      .out = out.data<float>(),
      .scale = spec.scale,
      .window = spec.window,
      .partials = reinterpret_cast<float*>(static_cast<std::byte*>(partials_.get()) + kArrivalBytes),
      .arrivals = static_cast<uint32_t*>(partials_.get())};
  const int decode_blocks =
      fast_ ? decode_attention_blocks(view.type, view.head_dim, device_.block_shared_bytes) * device_.multiprocessors
            : 0;
  const auto attend = [&](Slices which, auto launch_kernels, const LongTiles& tiles = {}) {
    if (step_.rows(which) > 0) {
      AttentionArguments arguments = common;
      if (which != Slices::kLong && decode_blocks > 0) {
        attention_plans_.divide_evenly(step_, which, spec.kv_head, view.head_dim, device_.multiprocessors,
                                       decode_blocks, *staging_, handle_of(stream), arguments);
      } else {
        attention_plans_.divide(step_, which, tiles, spec.kv_head, view.head_dim, device_.multiprocessors, *staging_,
                                handle_of(stream), arguments);
      }
      LONGSHIP_CHECK(arguments.segments == 1 || partials_ != nullptr, "reserve() comes before attention");
      launch_kernels(arguments, view, handle_of(stream));
    }
  };
  const auto launch_few = decode_blocks > 0 ? launch_decode_attention : launch_attention;
  if (has_warpgroup_attention(view, device_.major, device_.minor, device_.block_shared_bytes)) {
    attend(Slices::kShort, launch_few);
    const auto launch = [&](const AttentionArguments& arguments, const KvView& keys_values, StreamHandle handle) {
      launch_warpgroup_attention(arguments, keys_values, device_.multiprocessors, handle);
    };
    attend(Slices::kLong, launch, kWarpgroupTiles);
  } else if (has_tensor_attention(view.head_dim, device_.block_shared_bytes)) {
    attend(Slices::kShort, launch_few);
    attend(Slices::kLong, launch_tensor_attention, kTensorTiles);
  } else {
    attend(Slices::kAll, launch_attention);
  }
}

}  // namespace

std::unique_ptr<Kernels> make_cuda_kernels(const BackendOptions& options, int device) {
  return std::make_unique<CudaKernels>(options, device);
}

}  // namespace longship
