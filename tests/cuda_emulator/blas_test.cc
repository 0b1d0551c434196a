#include <gtest/gtest.h>

#include "core/error.h"
#include "core/half.h"
#include "cuda/blas_api.h"
#include "tests/cuda_emulator/device_array.h"

namespace longship::cuda {
namespace {

/// A small whole number for element i, exact in every type.
float value_of(int i) {
  return static_cast<float>(i * 7 % 11 - 5);
}

template <class T>
std::vector<T> values(int count, int seed, T (*convert)(float)) {
  std::vector<T> made;
  for (int i = 0; i < count; ++i) {
    made.push_back(convert(value_of(i + seed)));
  }
  return made;
}

class CudaEmulatorBlas : public testing::Test {
 protected:
  CudaEmulatorBlas() : blas_(*blas_api(why_)) { check_blas(blas_, blas_.create(&handle_), "create"); }
  ~CudaEmulatorBlas() override { blas_.destroy(handle_); }

  /// Rows of x and w are one element longer than `inputs`, so that strides matter.
  template <class T>
  std::vector<float> multiply(BlasType type, T (*convert)(float)) {
    const MatmulShape shape{kTokens, kOutputs, kInputs, kInputs + 1, kInputs + 1, kOutputs, type};
    const DeviceArray<T> x(values<T>(kTokens * (kInputs + 1), 1, convert));
    const DeviceArray<T> w(values<T>(kOutputs * (kInputs + 1), 2, convert));
    const DeviceArray<float> y(kTokens * kOutputs);
    const DeviceArray<char> workspace(64);
    BlasPlan plan = nullptr;
    check_blas(blas_, blas_.plan(handle_, shape, 64, &plan), "plan");
    const TestStream stream;
    check_blas(blas_, blas_.matmul(handle_, plan, x.data(), w.data(), y.data(), workspace.data(), stream), "matmul");
    std::vector<float> result = y.read(stream);
    blas_.destroy_plan(plan);
    return result;
  }

  static std::vector<float> expected() {
    std::vector<float> y;
    for (int token = 0; token < kTokens; ++token) {
      for (int output = 0; output < kOutputs; ++output) {
        float sum = 0;
        for (int i = 0; i < kInputs; ++i) {
          sum += value_of(token * (kInputs + 1) + i + 1) * value_of(output * (kInputs + 1) + i + 2);
        }
        y.push_back(sum);
      }
    }
    return y;
  }

  static constexpr int kTokens = 3;
  static constexpr int kOutputs = 5;
  static constexpr int kInputs = 19;
  std::string why_;
  const BlasApi& blas_;
  BlasHandle handle_ = nullptr;
};

TEST_F(CudaEmulatorBlas, MultipliesEveryType) {
  EXPECT_EQ(multiply<uint16_t>(BlasType::kBf16, f32_to_bf16), expected());
  EXPECT_EQ(multiply<uint16_t>(BlasType::kF16, f32_to_f16), expected());
  EXPECT_EQ(multiply<float>(BlasType::kF32, [](float x) { return x; }), expected());
}

TEST_F(CudaEmulatorBlas, RefusesShapesThatDoNotFit) {
  BlasPlan plan = nullptr;
  const Status status = blas_.plan(handle_, {3, 5, 19, 18, 19, 5, BlasType::kF32}, 0, &plan);
  EXPECT_THROW(check_blas(blas_, status, "plan"), Error);
}

TEST_F(CudaEmulatorBlas, FindsOperandsThatAreTooSmallOrNotAligned) {
  BlasPlan plan = nullptr;
  check_blas(blas_, blas_.plan(handle_, {4, 4, 4, 4, 4, 4, BlasType::kF32}, 0, &plan), "plan");
  const DeviceArray<float> full(std::vector<float>(16, 1.0F));
  const DeviceArray<float> small(15);
  const TestStream stream;
  EXPECT_DEATH(blas_.matmul(handle_, plan, full.data(), full.data(), small.data(), nullptr, stream),
               "matmul is given y: 64 bytes");
  EXPECT_DEATH(blas_.matmul(handle_, plan, full.data() + 1, full.data(), small.data(), nullptr, stream),
               "matmul is given x at .*not a multiple of 16");
  blas_.destroy_plan(plan);
}

}  // namespace
}  // namespace longship::cuda
