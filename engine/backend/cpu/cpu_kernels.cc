#include "engine/backend/cpu/cpu_kernels.h"

#include <algorithm>

#include "core/thread_pool.h"
#include "engine/backend/cpu/cpu_attention.h"
#include "engine/backend/cpu/cpu_roofline.h"
#include "engine/backend/cpu/isa.h"
#include "engine/backend/cpu/narrow_rows.h"
#include "engine/backend/cpu/packed_layout.h"
#include "engine/weights/blocks.h"

namespace longship {

namespace {

using cpu::AttentionTask;
using cpu::Isa;
using cpu::Layout;
using cpu::LinearPart;
using cpu::LinearTask;
using cpu::NarrowForms;
using cpu::NarrowRows;

static_assert(cpu::kChunkKeys == kPageTokens && cpu::kMaxHeadDim >= kMaxHeadDim);

// Work below which waking another thread costs more than it saves, in values touched by cheap operations and in
// bytes of weights times tokens.
constexpr int64_t kGrainValues = 4096;
constexpr int64_t kGrainWeightBytes = 32768;

// Tokens and row blocks of gate and up that are multiplied before SiLU.
constexpr int64_t kStripTokens = 128;
constexpr int64_t kStripBlocks = 8;
// Most strips whose activations a thread keeps, each in a part of its room.
constexpr int64_t kMostRoomParts = 4;

// Row blocks that make up a grain: whole blocks of activations of what reads them.
int64_t grain_blocks(int64_t block_work) {
  constexpr int64_t kMultiple = cpu::kBlock / cpu::kLanes;
  return (std::max<int64_t>(1, kGrainWeightBytes / std::max<int64_t>(1, block_work)) + kMultiple - 1) / kMultiple *
         kMultiple;
}

// Items of `size` values each that make up a grain.
int64_t grain(int64_t size) {
  return std::max<int64_t>(1, kGrainValues / std::max<int64_t>(1, size));
}

cpu::KvType kv_type(DType dtype) {
  switch (dtype) {
    case DType::kF16:
      return cpu::KvType::kF16;
    case DType::kBF16:
      return cpu::KvType::kBF16;
    case DType::kQ8_0:
      return cpu::KvType::kQ8;
    default:
      return cpu::KvType::kF32;
  }
}

int max_partials(std::span<const GroupStep> steps) {
  int count = 0;
  int most = 0;
  for (const GroupStep& step : steps) {
    count += 1 - step.merges - (step.ends_node ? 1 : 0);
    most = std::max(most, count);
  }
  return most;
}

class CpuKernels : public Kernels {
 public:
  explicit CpuKernels(const BackendOptions& options)
      : isa_(cpu::choose_isa(options.bf16_tiles)),
        name_("cpu/" + std::string(isa_.name)),
        exact_(options.exact),
        pool_(options.threads) {}

  std::string_view name() const override { return name_; }

  std::string_view packing() const override { return exact_ ? "cpu exact 1" : "cpu 2"; }

  int64_t packed_bytes(DType dtype, int64_t rows, int64_t columns) const override {
    return cpu::row_blocks(rows) * cpu::row_block_bytes(layout(dtype), columns);
  }

  void pack(const StoredMatrix& stored, int64_t first_row, Weight& weight) override {
    cpu::pack_rows(stored, first_row, layout(stored.dtype), weight.data, isa_, pool_);
  }

  int64_t scratch_bytes(int64_t max_rows, int64_t max_columns) const override {
    return (exact_ ? 0 : 2 * input_.bytes(max_rows, max_columns) + room_bytes(max_columns)) + partial_bytes();
  }

  void reserve(int64_t max_rows, int64_t max_columns) override {
    if (!exact_) {
      input_.reserve(max_rows, max_columns);
      output_.reserve(max_rows, max_columns);
      if (rooms_.bytes() < room_bytes(max_columns)) {
        rooms_ = Tensor::allocate(DType::kU8, {room_bytes(max_columns)});
      }
    }
    if (partials_.bytes() < partial_bytes()) {
      partials_ = Tensor::allocate(DType::kU8, {partial_bytes()});
    }
  }

  void embed(const StoredMatrix& table, const Tensor& ids, Tensor& out, Stream&) override {
    for_rows(ids.dim(0), table.columns, [&](int64_t row) {
      dequantize(table.dtype, table.row(ids.data<int32_t>()[row]), table.columns,
                 out.data<float>() + row * table.columns);
    });
  }

  void linear(const Tensor& x, std::span<const Weight> parts, std::span<const GroupStep> steps, Tensor& nodes,
              Stream&) override;

  void add(const Tensor& x, const Tensor& bias, const Tensor& residual, Tensor& y, Stream&) override {
    const int64_t width = x.dim(1);
    for_rows(x.dim(0), width, [&](int64_t row) {
      isa_.add(row_of(x, row), bias.empty() ? nullptr : bias.data<float>(),
               residual.empty() ? nullptr : row_of(residual, row), width, row_of(y, row));
    });
  }

  void rms_norm(const Tensor& x, const Tensor& gain, float eps, Tensor& y, Stream&) override {
    for_rows(x.dim(0), x.dim(1),
             [&](int64_t row) { isa_.rms_norm(row_of(x, row), gain.data<float>(), eps, x.dim(1), row_of(y, row)); });
  }

  void add_norm(const Tensor& x, Range rows, const AddNorm& then, std::span<const Weight> readers, Stream&) override;

  void linear_silu_mul(const Tensor& x, std::span<const Weight> parts, std::span<const GroupStep> steps,
                       Tensor& gate_up, Tensor& y, std::span<const Weight> readers, Stream& stream) override;

  void rms_norm_heads(const HeadsView& x, const Tensor& gain, float eps, Stream&) override {
    for_heads(x, [&](int64_t, float* head) { isa_.rms_norm(head, gain.data<float>(), eps, x.head_dim, head); });
  }

  void layer_norm(const Tensor& x, const Tensor& gain, const Tensor& bias, float eps, Tensor& y, Stream&) override {
    for_rows(x.dim(0), x.dim(1), [&](int64_t row) {
      isa_.layer_norm(row_of(x, row), gain.data<float>(), bias.data<float>(), eps, x.dim(1), row_of(y, row));
    });
  }

  void rope(const HeadsView& x, const Tensor& cos, const Tensor& sin, Stream&) override {
    for_heads(x,
              [&](int64_t row, float* head) { isa_.rope(head, row_of(cos, row), row_of(sin, row), x.head_dim / 2); });
  }

  void silu_mul(const Tensor& x, Tensor& y, Stream&) override {
    const int64_t width = y.dim(1);
    for_rows(y.dim(0), width,
             [&](int64_t row) { isa_.silu_mul(row_of(x, row), row_of(x, row) + width, width, row_of(y, row)); });
  }

  void gelu_tanh(const Tensor& x, Tensor& y, Stream&) override {
    for_rows(x.dim(0), x.dim(1), [&](int64_t row) { isa_.gelu_tanh(row_of(x, row), x.dim(1), row_of(y, row)); });
  }

  void gather_rows(const Tensor& x, const Tensor& rows, Tensor& y, Stream&) override {
    for_rows(rows.dim(0), x.dim(1),
             [&](int64_t row) { std::copy_n(row_of(x, rows.data<int32_t>()[row]), x.dim(1), row_of(y, row)); });
  }

  void add_to_rows(const Tensor& x, float scale, const Tensor& rows, int64_t column, Tensor& y, Stream&) override {
    for_rows(x.dim(0), x.dim(1), [&](int64_t i) {
      const float* from = row_of(x, i);
      float* to = row_of(y, rows.data<int32_t>()[i]) + column;
      for (int64_t j = 0; j < x.dim(1); ++j) {
        to[j] += scale * from[j];
      }
    });
  }

  void kv_write(const HeadsView& keys, const HeadsView& values, const Batch& batch, KvLayer& kv, Stream&) override {
    cpu::write_kv(isa_, pool_, keys, values, batch, kv);
  }

  void rope_kv_write(const HeadsView& query, const HeadsView& keys, const HeadsView& values, const Tensor& cos,
                     const Tensor& sin, const Batch& batch, KvLayer& kv, Stream&) override {
    cpu::rope_kv_write(isa_, pool_, query, keys, values, cos, sin, batch, kv);
  }

  void attention(const HeadsView& query, const KvLayer& kv, const Batch& batch, const AttentionSpec& spec, Tensor& out,
                 Stream&) override {
    const AttentionTask task{.query = query.row(0),
                             .query_stride = query.base.dim(1),
                             .out = out.data<float>(),
                             .out_stride = out.dim(1),
                             .keys = kv.keys.data<void>(),
                             .values = kv.values.data<void>(),
                             .type = kv_type(kv.keys.dtype()),
                             .page_bytes = bytes_of(kv.keys.dtype(), query.head_dim * kPageTokens),
                             .kv_heads = kv.keys.dim(1),
                             .head_dim = query.head_dim,
                             .scale = spec.scale,
                             .window = spec.window,
                             .exact = exact_,
                             .partials = nullptr};
    cpu::attend(isa_, pool_, task, batch, spec.kv_head, attention_plan_, partials_);
  }

  Roofline measure_roofline(DType dtype) override {
    const NarrowForms forms = forms_of(layout(dtype));
    return cpu::measure_roofline(isa_, pool_,
                                 forms.int8    ? isa_.multiply_int8
                                 : forms.pairs ? isa_.multiply_pairs
                                               : isa_.multiply_f32);
  }

 private:
  Layout layout(DType dtype) const { return cpu::layout_of(dtype, exact_); }

  /// The forms of activations that products with `weights` take.
  NarrowForms forms_of(std::span<const Weight> weights) const {
    NarrowForms all;
    for (const Weight& weight : weights) {
      const NarrowForms forms = forms_of(layout(weight.dtype));
      all = {.int8 = all.int8 || forms.int8, .pairs = all.pairs || forms.pairs};
    }
    return all;
  }
  static NarrowForms forms_of(Layout layout) {
    return {.int8 = cpu::is_quantised(layout), .pairs = layout == Layout::kBF16Pairs};
  }

  int64_t partial_bytes() const { return Tensor::aligned_bytes(cpu::AttentionPlan::scratch_bytes(pool_.threads())); }

  // Of all threads.
  int64_t room_bytes(int64_t columns) const {
    return Tensor::aligned_bytes(pool_.threads() * cpu::linear_room_bytes(columns));
  }

  /// Which strip of a task's tokens is worked on: strip `number` of `count`.
  struct Strip {
    int64_t number = 0;
    int64_t count = 1;
  };

  /// Parts of a thread's room: one for each strip, if the activations of all have room.
  int64_t room_parts(int64_t columns, const Strip& strip) const {
    const int64_t bytes = kStripTokens / 16 * (columns / cpu::kBlock) * static_cast<int64_t>(sizeof(cpu::TileBlock));
    const bool all = strip.count <= kMostRoomParts && strip.count * bytes <= rooms_.bytes() / pool_.threads();
    return all ? strip.count : 1;
  }
  /// The strip whose activations the calling thread's room, or the strip's part of it, has by now.
  int64_t& room_strip(int64_t columns, const Strip& strip) {
    const int64_t part = strip.number % room_parts(columns, strip);
    return room_strips_[static_cast<std::size_t>(ThreadPool::this_thread() * kMostRoomParts + part)];
  }
  /// The task of a strip, with that room.
  LinearTask with_room(LinearTask task, const Strip& strip) {
    const int64_t parts = room_parts(task.columns, strip);
    task.room_bytes = rooms_.bytes() / pool_.threads() / parts / cpu::kCacheLine * cpu::kCacheLine;
    task.room = rooms_.data<std::byte>() + ThreadPool::this_thread() * (rooms_.bytes() / pool_.threads()) +
                strip.number % parts * task.room_bytes;
    task.room_has_activations = room_strip(task.columns, strip) == strip.number;
    return task;
  }

  static float* row_of(const Tensor& x, int64_t row) { return x.data<float>() + row * x.dim(1); }

  /// Calls body(begin, end) on compute threads.
  template <class Body>
  void parallel(int64_t count, int64_t grain_items, const Body& body) {
    pool_.parallel_for(count, grain_items, [&](int64_t begin, int64_t end) {
      cpu::flush_denormals();
      body(begin, end);
    });
  }

  template <class Body>
  void for_rows(int64_t rows, int64_t width, const Body& body) {
    parallel(rows, grain(width), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        body(row);
      }
    });
  }

  /// body(row, values of one head) for every head of every row.
  template <class Body>
  void for_heads(const HeadsView& x, const Body& body) {
    for_rows(x.base.dim(0), x.heads * x.head_dim, [&](int64_t row) {
      for (int64_t head = 0; head < x.heads; ++head) {
        body(row, x.row(row) + head * x.head_dim);
      }
    });
  }

  /// Gate and up, and what becomes of their products.
  struct GateUp {
    LinearTask task;
    std::span<const Weight> parts;
    const Tensor& y;
    bool narrowed;  ///< Whether y is, too.
  };

  void narrow_input(const Tensor& x, NarrowForms forms);
  void run_linear(LinearTask& task, const LinearPart& part, const Strip& strip, int64_t begin, int64_t end) {
    (part.layout == Layout::kBF16Pairs ? isa_.linear_pairs : isa_.linear)(task, part, begin, end);
    if (cpu::is_quantised(part.layout)) {
      room_strip(task.columns, strip) = strip.number;
      task.room_has_activations = true;
    }
  }
  void run_strip(const GateUp& work, LinearTask& task, const Strip& strip, Range blocks);
  LinearTask input_task(const Tensor& x, std::span<const Weight> parts, std::span<const GroupStep> steps);

  const Isa& isa_;
  std::string name_;
  bool exact_;
  ThreadPool pool_;
  NarrowRows input_{isa_};   // of the linear in the works
  NarrowRows output_{isa_};  // of the operation before, for the next linear
  std::vector<LinearPart> parts_;
  cpu::AttentionPlan attention_plan_;
  Tensor partials_;                   // of attention
  Tensor rooms_;                      // one for each thread, see linear_room_bytes()
  std::vector<int64_t> room_strips_;  // of each thread and part of its room, see room_strip(), or -1
};

void CpuKernels::narrow_input(const Tensor& x, NarrowForms forms) {
  if (output_.complete(x, forms)) {
    std::swap(input_, output_);
  } else {
    input_.begin(x, forms);
    for_rows(x.dim(0), x.dim(1), [&](int64_t row) { input_.narrow(row_of(x, row), row, {0, x.dim(1)}); });
  }
}

LinearTask CpuKernels::input_task(const Tensor& x, std::span<const Weight> parts, std::span<const GroupStep> steps) {
  LONGSHIP_CHECK(max_partials(steps) <= cpu::kMaxPartials, "a reduction tree deeper than any model's");
  room_strips_.assign(static_cast<std::size_t>(pool_.threads() * kMostRoomParts), -1);
  LinearTask task{.x = x.data<float>(),
                  .quants = nullptr,
                  .blocks = nullptr,
                  .pairs = nullptr,
                  .tokens = x.dim(0),
                  .columns = x.dim(1),
                  .steps = steps.data(),
                  .step_count = std::ssize(steps),
                  .nodes = nullptr,
                  .outputs = 0,
                  .room = nullptr,
                  .room_bytes = 0,
                  .room_has_activations = false};
  if (const NarrowForms forms = forms_of(parts); forms.any()) {
    LONGSHIP_CHECK(
        !forms.pairs || std::ranges::all_of(steps, [](const GroupStep& step) { return step.begin % 2 == 0; }),
        "a group that begins inside a pair of columns");
    narrow_input(x, forms);
    input_.set_activations(0, task);
  }
  output_.forget();
  return task;
}

void CpuKernels::linear(const Tensor& x, std::span<const Weight> parts, std::span<const GroupStep> steps, Tensor& nodes,
                        Stream&) {
  const int64_t columns = x.dim(1);
  int64_t outputs = 0;
  int64_t row_blocks = 0;
  int64_t bytes = 0;
  parts_.clear();
  for (const Weight& part : parts) {
    const Layout kind = layout(part.dtype);
    parts_.push_back({part.data, cpu::row_block_bytes(kind, columns), part.rows, outputs, kind});
    outputs += part.rows;
    row_blocks += cpu::row_blocks(part.rows);
    bytes += packed_bytes(part.dtype, part.rows, columns);
  }
  LinearTask task = input_task(x, parts, steps);
  task.nodes = nodes.data<float>();
  task.outputs = outputs;
  parallel(row_blocks, grain_blocks(bytes / row_blocks * task.tokens), [&](int64_t begin, int64_t end) {
    LinearTask own_task = with_room(task, {});
    int64_t first = 0;
    for (const LinearPart& part : parts_) {
      const int64_t count = cpu::row_blocks(part.rows);
      const int64_t from = std::clamp<int64_t>(begin - first, 0, count);
      const int64_t to = std::clamp<int64_t>(end - first, 0, count);
      if (from < to) {
        run_linear(own_task, part, {}, from, to);
      }
      first += count;
    }
  });
}

void CpuKernels::add_norm(const Tensor& x, Range rows, const AddNorm& then, std::span<const Weight> readers, Stream&) {
  const int64_t width = x.dim(1);
  const NarrowForms forms = forms_of(readers);
  if (!forms.any()) {
    output_.forget();
  } else if (rows.begin == 0) {
    output_.begin(then.normed, forms);
  }
  const float* bias = then.bias.empty() ? nullptr : then.bias.data<float>();
  for_rows(rows.size(), width, [&](int64_t i) {
    const int64_t row = rows.begin + i;
    float* hidden = row_of(then.hidden, row);
    float* normed = row_of(then.normed, row);
    if (then.norm_bias.empty()) {
      isa_.add_rms_norm(row_of(x, row), bias, then.gain.data<float>(), then.eps, width, hidden, normed);
    } else {
      isa_.add(row_of(x, row), bias, hidden, width, hidden);
      isa_.layer_norm(hidden, then.gain.data<float>(), then.norm_bias.data<float>(), then.eps, width, normed);
    }
    if (forms.any()) {
      output_.narrow(normed, row, {0, width});
    }
  });
}

// Row blocks of gate and up for the tokens of `task`, which are the strip's, by its nodes as a scratch.
void CpuKernels::run_strip(const GateUp& work, LinearTask& task, const Strip& strip, Range blocks) {
  const int64_t first_token = strip.number * kStripTokens;
  const int64_t first = blocks.begin * cpu::kLanes;
  const int64_t width = std::min(work.y.dim(1), blocks.end * cpu::kLanes) - first;
  task.outputs = 2 * width;
  int64_t output = 0;
  for (const Weight& weight : work.parts) {
    const int64_t bytes = cpu::row_block_bytes(layout(weight.dtype), task.columns);
    run_linear(task, {weight.data + blocks.begin * bytes, bytes, width, output, layout(weight.dtype)}, strip, 0,
               blocks.size());
    output += width;
  }
  for (int64_t t = 0; t < task.tokens; ++t) {
    const float* gate = task.nodes + t * 2 * width;
    float* y = row_of(work.y, first_token + t);
    isa_.silu_mul(gate, gate + width, width, y + first);
    if (work.narrowed) {
      output_.narrow(y, first_token + t, {first, first + width});
    }
  }
}

// Strips of gate and up, so small that what stands between product and SiLU stays in the cache.
void CpuKernels::linear_silu_mul(const Tensor& x, std::span<const Weight> parts, std::span<const GroupStep> steps,
                                 Tensor& gate_up, Tensor& y, std::span<const Weight> readers, Stream&) {
  const NarrowForms forms = forms_of(readers);
  const GateUp work{input_task(x, parts, steps), parts, y, forms.any()};
  if (work.narrowed) {
    output_.begin(y, forms);
  }
  const int64_t tokens = x.dim(0);
  const int64_t strip_tokens = std::min(tokens, kStripTokens);
  const int64_t strip_blocks = kStripBlocks * (kStripTokens / strip_tokens);
  const int64_t bytes =
      packed_bytes(parts[0].dtype, y.dim(1), x.dim(1)) + packed_bytes(parts[1].dtype, y.dim(1), x.dim(1));
  const int64_t row_blocks = cpu::row_blocks(y.dim(1));
  parallel(row_blocks, grain_blocks(bytes / row_blocks * tokens), [&](int64_t begin, int64_t end) {
    for (Strip strip{0, (tokens + kStripTokens - 1) / kStripTokens}; strip.number < strip.count; ++strip.number) {
      const int64_t token = strip.number * kStripTokens;
      LinearTask task = with_room(work.task, strip);
      task.x += token * task.columns;
      if (task.quants != nullptr || task.pairs != nullptr) {
        input_.set_activations(token, task);
      }
      task.tokens = std::min(strip_tokens, tokens - token);
      task.nodes = gate_up.data<float>() + tokens * 2 * cpu::kLanes * begin;
      for (int64_t block = begin; block < end; block += strip_blocks) {
        run_strip(work, task, strip, {block, std::min(end, block + strip_blocks)});
      }
    }
  });
}

}  // namespace

std::unique_ptr<Kernels> make_cpu_kernels(const BackendOptions& options) {
  return std::make_unique<CpuKernels>(options);
}

}  // namespace longship
