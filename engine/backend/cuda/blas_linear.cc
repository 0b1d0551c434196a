#include "engine/backend/cuda/blas_linear.h"

#include <algorithm>
#include <string>
#include <vector>

#include "core/range.h"
#include "cuda/memory.h"
#include "engine/backend/cuda/kernels/unpack.h"

namespace longship::cuda {

namespace {

constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;
constexpr std::size_t kWeightBytes = std::size_t{32} << 20;
constexpr int64_t kAlignment = 16;  // bytes, of every operand

std::size_t bytes_of_activations(int64_t rows, int64_t columns) {
  return static_cast<std::size_t>(rows * columns) * sizeof(uint16_t);
}

// The columns of each node; empty where a node has none.
std::vector<Range> nodes_of(std::span<const GroupStep> steps) {
  std::vector<Range> nodes;
  bool begins = true;
  for (const GroupStep& step : steps) {
    if (begins) {
      nodes.push_back({step.begin, step.end});
    }
    nodes.back().end = step.end;
    begins = step.ends_node;
  }
  return nodes;
}

bool aligned(const LinearArguments& task, std::span<const Range> nodes, int64_t value_bytes) {
  const auto fits = [](int64_t bytes) { return bytes % kAlignment == 0; };
  for (const Range& node : nodes) {
    if (node.size() <= 0 || !fits(node.begin * value_bytes)) {
      return false;
    }
  }
  for (int part = 0; part < task.part_count; ++part) {
    if (!fits(int64_t{task.parts[part].first_output} * 4)) {
      return false;
    }
  }
  return task.columns % kBlockColumns == 0 && fits(int64_t{task.outputs} * 4);
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

int64_t BlasLinear::scratch_bytes(int64_t max_rows, int64_t max_columns) {
  return static_cast<int64_t>(kWorkspaceBytes + kWeightBytes + bytes_of_activations(max_rows, max_columns));
}

void BlasLinear::reserve(int64_t max_rows, int64_t max_columns) {
  activation_bytes_ = bytes_of_activations(max_rows, max_columns);
  activations_ = allocate_device(activation_bytes_);
  if (workspace_ == nullptr) {
    workspace_ = allocate_device(kWorkspaceBytes);
    weights_ = allocate_device(kWeightBytes);
  }
}

bool BlasLinear::multiply(WeightLayout layout, const LinearArguments& task, std::span<const GroupStep> steps,
                          StreamHandle stream) {
  const bool whole = layout == WeightLayout::kF32;
  const int64_t value_bytes = whole ? 4 : 2;
  const std::vector<Range> nodes = nodes_of(steps);
  const int64_t row_bytes = task.columns * value_bytes;
  const int64_t most_rows = static_cast<int64_t>(kWeightBytes) / row_bytes / kRowBlock * kRowBlock;
  if (!aligned(task, nodes, value_bytes) || most_rows == 0 ||
      (!whole && bytes_of_activations(task.tokens, task.columns) > activation_bytes_)) {
    return false;
  }
  if (!whole) {
    launch_to_bf16(task.x, int64_t{task.tokens} * task.columns, activations_.get(), stream);
  }
  const auto* x = whole ? reinterpret_cast<const std::byte*>(task.x) : static_cast<std::byte*>(activations_.get());
  const auto* weights = static_cast<const std::byte*>(weights_.get());
  MatmulShape shape{.tokens = task.tokens,
                    .x_stride = task.columns,
                    .w_stride = task.columns,
                    .y_stride = task.outputs,
                    .type = whole ? BlasType::kF32 : BlasType::kBf16};
  for (const LinearPart& part : std::span(task.parts, static_cast<std::size_t>(task.part_count))) {
    for (int64_t row = 0; row < part.rows; row += most_rows) {
      shape.outputs = std::min(most_rows, part.rows - row);
      launch_unpack(layout, part.data + row / kRowBlock * task.row_block_bytes, task.row_block_bytes,
                    static_cast<int>(shape.outputs), task.columns, weights_.get(), stream);
      float* y = task.nodes + part.first_output + row;
      for (const Range& node : nodes) {
        shape.inputs = node.size();
        check_blas(api_,
                   api_.matmul(handle_, plan_of(shape), x + node.begin * value_bytes,
                               weights + node.begin * value_bytes, y, workspace_.get(), stream),
                   "multiply");
        y += int64_t{task.tokens} * task.outputs;
      }
    }
  }
  return true;
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
