#include "engine/backend/cuda/blas_linear.h"

#include <algorithm>
#include <string>
#include <vector>

#include "cuda/memory.h"
#include "engine/backend/cuda/kernels/unpack.h"

namespace longship::cuda {

namespace {

constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;
constexpr std::size_t kWeightBytes = std::size_t{32} << 20;
constexpr int64_t kAlignment = 16;  // bytes, of every operand

bool is_plain(WeightLayout layout) {
  return layout <= WeightLayout::kBF16;
}

BlasType blas_type(ValueType type) {
  switch (type) {
    case ValueType::kF32:
      return BlasType::kF32;
    case ValueType::kF16:
      return BlasType::kF16;
    case ValueType::kBf16:
      return BlasType::kBf16;
  }
  return BlasType::kF32;
}

int64_t bytes_of(BlasType type) {
  return type == BlasType::kF32 ? 4 : 2;
}

// That are unpacked.
int64_t rows_at_a_time(int64_t columns) {
  return static_cast<int64_t>(kWeightBytes) / (columns * bytes_of(BlasType::kBf16)) / kRowBlock * kRowBlock;
}

bool aligned(WeightLayout layout, const LinearArguments& task, std::span<const Range> nodes, BlasType result) {
  const auto fits = [](int64_t bytes) { return bytes % kAlignment == 0; };
  const int64_t value_bytes = bytes_of(blas_type(BlasLinear::reads(layout)));
  for (const Range& node : nodes) {
    if (node.size() <= 0 || !fits(node.begin * value_bytes)) {
      return false;
    }
  }
  for (int part = 0; part < task.part_count; ++part) {
    if (!fits(int64_t{task.parts[part].first_output} * bytes_of(result))) {
      return false;
    }
  }
  return (is_plain(layout) || task.columns % kBlockColumns == 0) && fits(int64_t{task.columns} * value_bytes) &&
         fits(int64_t{task.outputs} * bytes_of(result));
}

// Parts that lie one behind the other as one.
std::vector<LinearPart> joined(const LinearArguments& task) {
  std::vector<LinearPart> parts;
  for (const LinearPart& part : std::span(task.parts, static_cast<std::size_t>(task.part_count))) {
    if (!parts.empty() && parts.back().rows % kRowBlock == 0 &&
        parts.back().data + parts.back().rows / kRowBlock * task.row_block_bytes == part.data) {
      parts.back().rows += part.rows;
    } else {
      parts.push_back(part);
    }
  }
  return parts;
}

}  // namespace

std::unique_ptr<BlasLinear> BlasLinear::make() {
  std::string why;
  const BlasApi* api = blas_api(why);
  return api == nullptr ? nullptr : std::unique_ptr<BlasLinear>(new BlasLinear(*api));
}

BlasLinear::BlasLinear(const BlasApi& api) : api_(api) {
  check_blas(api_, api_.create(&handle_), "create a handle");
}

BlasLinear::~BlasLinear() {
  for (const KnownPlan& known : plans_) {
    api_.destroy_plan(known.plan);
  }
  api_.destroy(handle_);
}

int64_t BlasLinear::scratch_bytes() {
  return static_cast<int64_t>(kWorkspaceBytes + kWeightBytes);
}

void BlasLinear::reserve() {
  if (workspace_ == nullptr) {
    workspace_ = allocate_device(kWorkspaceBytes);
    weights_ = allocate_device(kWeightBytes);
  }
}

ValueType BlasLinear::reads(WeightLayout layout) {
  switch (layout) {
    case WeightLayout::kF32:
      return ValueType::kF32;
    case WeightLayout::kF16:
      return ValueType::kF16;
    default:
      return ValueType::kBf16;
  }
}

bool BlasLinear::multiply(WeightLayout layout, const LinearArguments& task, std::span<const Range> nodes,
                          NarrowActivations& activations, ValueType result, StreamHandle stream) {
  const ValueType type = reads(layout);
  const bool narrow = type != ValueType::kF32;
  if (!aligned(layout, task, nodes, blas_type(result)) || (!is_plain(layout) && rows_at_a_time(task.columns) == 0) ||
      (narrow && !activations.fits(task.tokens, task.columns))) {
    return false;
  }
  if (!narrow) {
    activations.restore(task.x, stream);
  }
  const void* x = narrow ? activations.get(task.x, task.tokens, task.columns, type, stream) : task.x;
  const MatmulShape shape{.tokens = task.tokens,
                          .x_stride = task.columns,
                          .w_stride = is_plain(layout) ? plain_row_columns(layout, task.columns) : task.columns,
                          .y_stride = task.outputs,
                          .type = blas_type(type),
                          .result = blas_type(result)};
  for (const LinearPart& part : joined(task)) {
    multiply_part(layout, part, task, shape, nodes, static_cast<const std::byte*>(x), stream);
  }
  return true;
}

void BlasLinear::multiply_part(WeightLayout layout, const LinearPart& part, const LinearArguments& task,
                               MatmulShape shape, std::span<const Range> nodes, const std::byte* x,
                               StreamHandle stream) {
  const int64_t result_bytes = bytes_of(shape.result);
  auto* y = reinterpret_cast<std::byte*>(task.nodes) + part.first_output * result_bytes;
  if (is_plain(layout)) {
    shape.outputs = part.rows;
    multiply_nodes(shape, nodes, x, part.data, y, stream);
    return;
  }
  const int64_t most_rows = rows_at_a_time(task.columns);
  for (int64_t row = 0; row < part.rows; row += most_rows) {
    shape.outputs = std::min(most_rows, part.rows - row);
    launch_unpack(layout, part.data + row / kRowBlock * task.row_block_bytes, task.row_block_bytes,
                  static_cast<int>(shape.outputs), task.columns, weights_.get(), stream);
    multiply_nodes(shape, nodes, x, static_cast<const std::byte*>(weights_.get()), y + row * result_bytes, stream);
  }
}

void BlasLinear::multiply_nodes(MatmulShape shape, std::span<const Range> nodes, const std::byte* x, const std::byte* w,
                                std::byte* y, StreamHandle stream) {
  const int64_t value_bytes = bytes_of(shape.type);
  for (const Range& node : nodes) {
    shape.inputs = node.size();
    check_blas(api_,
               api_.matmul(handle_, plan_of(shape), x + node.begin * value_bytes, w + node.begin * value_bytes, y,
                           workspace_.get(), stream),
               "multiply");
    y += shape.tokens * shape.y_stride * bytes_of(shape.result);
  }
}

BlasPlan BlasLinear::plan_of(const MatmulShape& shape) {
  constexpr std::size_t kMostPlans = 256;
  for (auto known = plans_.begin(); known != plans_.end(); ++known) {
    if (known->shape == shape) {
      plans_.splice(plans_.begin(), plans_, known);
      return known->plan;
    }
  }
  if (plans_.size() == kMostPlans) {
    api_.destroy_plan(plans_.back().plan);
    plans_.pop_back();
  }
  BlasPlan plan = nullptr;
  check_blas(api_, api_.plan(handle_, shape, kWorkspaceBytes, &plan), "choose an algorithm");
  plans_.push_front({shape, plan});
  return plan;
}

}  // namespace longship::cuda
