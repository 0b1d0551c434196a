#include <array>
#include <cstring>

#include "core/half.h"
#include "cuda/blas_api.h"
#include "tests/cuda_emulator/device_memory.h"
#include "tests/cuda_emulator/emulator.h"
#include "tests/cuda_emulator/message.h"

namespace longship::cuda {

namespace emulator {

namespace {

constexpr Status kInvalid = 7;  // CUBLAS_STATUS_INVALID_VALUE

struct Plan {
  MatmulShape shape;
  std::size_t workspace_bytes;
};

std::size_t element_bytes(BlasType type) {
  return type == BlasType::kF32 ? 4 : 2;
}

float load(BlasType type, const std::byte* row, int64_t i) {
  if (type == BlasType::kF32) {
    float value = 0;
    std::memcpy(&value, row + i * 4, 4);
    return value;
  }
  uint16_t bits = 0;
  std::memcpy(&bits, row + i * 2, 2);
  return type == BlasType::kF16 ? f16_to_f32(bits) : bf16_to_f32(bits);
}

void store(BlasType type, std::byte* memory, int64_t i, float value) {
  if (type == BlasType::kF32) {
    std::memcpy(memory + i * 4, &value, 4);
    return;
  }
  const uint16_t bits = type == BlasType::kF16 ? f32_to_f16(value) : f32_to_bf16(value);
  std::memcpy(memory + i * 2, &bits, 2);
}

std::vector<float> load_row(BlasType type, const std::byte* row, int64_t count) {
  std::vector<float> values(count);
  for (int64_t i = 0; i < count; ++i) {
    values[i] = load(type, row, i);
  }
  return values;
}

/// Eight sums that are added last: another order than that of any kernel of ours, as with the real library.
float dot(const std::vector<float>& x, const std::vector<float>& w) {
  std::array<float, 8> sums = {};
  std::size_t i = 0;
  for (; i + 8 <= x.size(); i += 8) {
    for (std::size_t j = 0; j < 8; ++j) {
      sums[j] += x[i + j] * w[i + j];
    }
  }
  for (; i < x.size(); ++i) {
    sums[i % 8] += x[i] * w[i];
  }
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

void multiply(const MatmulShape& shape, const std::byte* x, const std::byte* w, std::byte* y) {
  const auto bytes = static_cast<int64_t>(element_bytes(shape.type));
  std::vector<std::vector<float>> rows;
  for (int64_t token = 0; token < shape.tokens; ++token) {
    rows.push_back(load_row(shape.type, x + token * shape.x_stride * bytes, shape.inputs));
  }
  for (int64_t output = 0; output < shape.outputs; ++output) {
    const std::vector<float> weights = load_row(shape.type, w + output * shape.w_stride * bytes, shape.inputs);
    for (int64_t token = 0; token < shape.tokens; ++token) {
      store(shape.result, y, token * shape.y_stride + output, dot(rows[token], weights));
    }
  }
}

void check_operand(const void* memory, std::size_t bytes, const char* name) {
  if (reinterpret_cast<std::uintptr_t>(memory) % 16 != 0) {
    fail(format("matmul is given %s at %p, which is not a multiple of 16", name, memory));
  }
  DeviceMemory::instance().check_range(memory, bytes, format("matmul is given %s:", name).c_str());
}

void check_operands(const Plan& plan, const void* x, const void* w, const void* y, const void* workspace) {
  const MatmulShape& shape = plan.shape;
  const auto extent = [](int64_t rows, int64_t stride, int64_t columns) {
    return static_cast<std::size_t>((rows - 1) * stride + columns);
  };
  check_operand(x, extent(shape.tokens, shape.x_stride, shape.inputs) * element_bytes(shape.type), "x");
  check_operand(w, extent(shape.outputs, shape.w_stride, shape.inputs) * element_bytes(shape.type), "w");
  check_operand(y, extent(shape.tokens, shape.y_stride, shape.outputs) * element_bytes(shape.result), "y");
  if (plan.workspace_bytes != 0) {
    check_operand(workspace, plan.workspace_bytes, "workspace");
  }
}

Status make_plan(BlasHandle, const MatmulShape& shape, std::size_t workspace_bytes, BlasPlan* plan) {
  if (shape.tokens <= 0 || shape.outputs <= 0 || shape.inputs <= 0 || shape.x_stride < shape.inputs ||
      shape.w_stride < shape.inputs || shape.y_stride < shape.outputs ||
      (shape.result != BlasType::kF32 && shape.result != shape.type)) {
    return kInvalid;
  }
  *plan = reinterpret_cast<BlasPlan>(new Plan{shape, workspace_bytes});
  return kSuccess;
}

/// The workspace is overwritten, as a real algorithm may.
Status queue_matmul(BlasHandle, BlasPlan made, const void* x, const void* w, void* y, void* workspace,
                    StreamHandle stream) {
  const Plan plan = *reinterpret_cast<const Plan*>(made);
  check_operands(plan, x, w, y, workspace);
  return enqueue("matmul", stream, [=] {
    check_operands(plan, x, w, y, workspace);
    if (plan.workspace_bytes != 0) {
      std::memset(workspace, 0xFF, plan.workspace_bytes);
    }
    multiply(plan.shape, static_cast<const std::byte*>(x), static_cast<const std::byte*>(w),
             static_cast<std::byte*>(y));
  });
}

BlasApi make_api() {
  BlasApi api = {};
  api.name = "cublasLt-emulated";
  api.error_string = [](Status status) { return status == kInvalid ? "an invalid value" : "no error"; };
  api.create = [](BlasHandle* handle) {
    *handle = reinterpret_cast<BlasHandle>(new char);
    return kSuccess;
  };
  api.destroy = [](BlasHandle handle) {
    delete reinterpret_cast<char*>(handle);
    return kSuccess;
  };
  api.plan = make_plan;
  api.destroy_plan = [](BlasPlan plan) {
    delete reinterpret_cast<Plan*>(plan);
    return kSuccess;
  };
  api.matmul = queue_matmul;
  return api;
}

}  // namespace

}  // namespace emulator

const BlasApi* blas_api(std::string& why) {
  static const BlasApi api = emulator::make_api();
  why.clear();
  return &api;
}

}  // namespace longship::cuda
