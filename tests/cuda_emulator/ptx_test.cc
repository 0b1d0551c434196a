#include "cuda/ptx.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/half.h"
#include "cuda/launch.h"
#include "tests/cuda_emulator/device_array.h"

// The host half of cuda/ptx.h against plain arithmetic.

namespace longship::cuda {
namespace {

struct Matrices {
  std::vector<uint16_t> a;  // [16, 16] by rows
  std::vector<uint16_t> b;  // [8, 16]: columns of b
  std::vector<float> d;     // [16, 8]
};

Matrices random_matrices(uint16_t (*convert)(float)) {
  Matrices m;
  uint32_t state = 12345;
  const auto next = [&] {
    state = state * 1664525U + 1013904223U;
    return static_cast<float>(static_cast<int32_t>(state) >> 8) / 8388608.0F;
  };
  for (int i = 0; i < 16 * 16; ++i) {
    m.a.push_back(convert(next()));
  }
  for (int i = 0; i < 8 * 16; ++i) {
    m.b.push_back(convert(next()));
  }
  for (int i = 0; i < 16 * 8; ++i) {
    m.d.push_back(next());
  }
  return m;
}

/// One warp: d += a b by fragments that plain loads gather.
template <bool kBf16>
__global__ void multiply_by_loads(const uint16_t* a, const uint16_t* b, float* d) {
  const int g = static_cast<int>(threadIdx.x) / 4;
  const int t = static_cast<int>(threadIdx.x) % 4;
  const auto pair = [](const uint16_t* p) { return p[0] | static_cast<uint32_t>(p[1]) << 16; };
  const uint32_t fa[4] = {pair(a + g * 16 + 2 * t), pair(a + (g + 8) * 16 + 2 * t), pair(a + g * 16 + 2 * t + 8),
                          pair(a + (g + 8) * 16 + 2 * t + 8)};
  const uint32_t fb[2] = {pair(b + g * 16 + 2 * t), pair(b + g * 16 + 2 * t + 8)};
  float* rows[4] = {d + g * 8 + 2 * t, d + g * 8 + 2 * t + 1, d + (g + 8) * 8 + 2 * t, d + (g + 8) * 8 + 2 * t + 1};
  float fd[4] = {*rows[0], *rows[1], *rows[2], *rows[3]};
  if constexpr (kBf16) {
    mma_m16n8k16_bf16(fd, fa, fb);
  } else {
    mma_m16n8k16_f16(fd, fa, fb);
  }
  for (int i = 0; i < 4; ++i) {
    *rows[i] = fd[i];
  }
}

/// The same from shared memory: asynchronous copies, a by rows, b by columns, and b by rows through the transpose.
template <bool kTransposed>
__global__ void multiply_by_ldmatrix(const uint16_t* a, const uint16_t* b, float* d) {
  SharedMemory memory;
  Shared<uint16_t> sa = memory.take<uint16_t>(16 * 16);
  Shared<uint16_t> sb = memory.take<uint16_t>(16 * 16);
  const int lane = static_cast<int>(threadIdx.x);
  cp_async_16(sa + lane * 8, a + lane * 8);
  cp_async_16(sb + lane * 8, b + (lane % 16) * 8, lane < 16);
  cp_async_commit();
  cp_async_wait<0>();
  __syncthreads();
  uint32_t fa[4];
  uint32_t fb[4];
  // Matrices of a: rows 0-7 and 8-15 of the left half, then of the right half.
  ldmatrix_x4(fa, sa + (lane % 16) * 16 + lane / 16 * 8);
  if constexpr (kTransposed) {
    ldmatrix_x4_trans(fb, sb + (lane % 16) * 8 + lane / 16 * 128);  // b [16, 8] by rows
  } else {
    ldmatrix_x4(fb, sb + (lane % 8) * 16 + lane / 8 % 2 * 8);  // columns of b; matrices 2 and 3 repeat 0 and 1
  }
  const uint32_t used[2] = {fb[0], fb[1]};
  float fd[4] = {};
  mma_m16n8k16_bf16(fd, fa, used);
  for (int i = 0; i < 4; ++i) {
    d[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2] = fd[i];
  }
}

void expect_product(const Matrices& m, const std::vector<float>& start, const std::vector<float>& result,
                    float (*convert)(uint16_t)) {
  for (int row = 0; row < 16; ++row) {
    for (int column = 0; column < 8; ++column) {
      double sum = start[row * 8 + column];
      for (int k = 0; k < 16; ++k) {
        sum += static_cast<double>(convert(m.a[row * 16 + k])) * convert(m.b[column * 16 + k]);
      }
      EXPECT_NEAR(result[row * 8 + column], sum, 4e-6) << row << " " << column;
    }
  }
}

template <class Kernel>
std::vector<float> run(Kernel kernel, const Matrices& m, const std::vector<uint16_t>& b) {
  const DeviceArray<uint16_t> a_array(m.a);
  const DeviceArray<uint16_t> b_array(b);
  const DeviceArray<float> d_array(m.d);
  const TestStream stream;
  launch(kernel, "multiply", {{1}, {32}, 2 * shared_bytes<uint16_t>(256), stream}, a_array.data(), b_array.data(),
         d_array.data());
  return d_array.read(stream);
}

TEST(CudaEmulatorPtx, MultipliesMatrices) {
  const Matrices bf16 = random_matrices(f32_to_bf16);
  expect_product(bf16, bf16.d, run(multiply_by_loads<true>, bf16, bf16.b), bf16_to_f32);
  const Matrices f16 = random_matrices(f32_to_f16);
  expect_product(f16, f16.d, run(multiply_by_loads<false>, f16, f16.b), f16_to_f32);
}

TEST(CudaEmulatorPtx, LoadsMatricesFromSharedMemory) {
  const Matrices m = random_matrices(f32_to_bf16);
  const std::vector<float> zero(16 * 8, 0.0F);
  expect_product(m, zero, run(multiply_by_ldmatrix<false>, m, m.b), bf16_to_f32);
  std::vector<uint16_t> by_rows(m.b.size());
  for (int column = 0; column < 8; ++column) {
    for (int k = 0; k < 16; ++k) {
      by_rows[k * 8 + column] = m.b[column * 16 + k];
    }
  }
  expect_product(m, zero, run(multiply_by_ldmatrix<true>, m, by_rows), bf16_to_f32);
}

TEST(CudaEmulatorPtx, RoundsToNearestEven) {
  EXPECT_EQ(bf16_from_float(__uint_as_float(0x3F808000U)), 0x3F80);  // a tie goes to even
  EXPECT_EQ(bf16_from_float(__uint_as_float(0x3F818000U)), 0x3F82);
  EXPECT_EQ(bf16_from_float(__uint_as_float(0x3F808001U)), 0x3F81);
  EXPECT_EQ(f16_from_float(1.0F + std::ldexp(1.0F, -11)), 0x3C00);
  EXPECT_EQ(f16_from_float(1.0F + 3 * std::ldexp(1.0F, -11)), 0x3C02);
  EXPECT_EQ(f16_from_float(65520.0F), 0x7C00);
  EXPECT_EQ(f16_from_float(std::ldexp(1.0F, -24)), 1);
  EXPECT_EQ(float_from_f16(0x0001), std::ldexp(1.0F, -24));
  EXPECT_EQ(float_from_bf16(0xC040), -3.0F);
  EXPECT_TRUE(std::isnan(float_from_bf16(bf16_from_float(std::numeric_limits<float>::quiet_NaN()))));
  EXPECT_TRUE(std::isnan(float_from_f16(f16_from_float(std::numeric_limits<float>::quiet_NaN()))));
  EXPECT_EQ(pack_bf16(1.0F, -2.0F), 0xC0003F80U);
  EXPECT_EQ(pack_f16(1.0F, -2.0F), 0xC0003C00U);
}

TEST(CudaEmulatorPtx, BytesAsHalves) {
  EXPECT_EQ(f16_from_bytes<false>(0x05807FFFU), pack_f16(-1.0F, -128.0F));
  EXPECT_EQ(f16_from_bytes<true>(0x05807FFFU), pack_f16(127.0F, 5.0F));
  EXPECT_EQ(multiply_f16(pack_f16(3.0F, 0.1F), pack_f16(-0.5F, 0.1F)),
            pack_f16(-1.5F, float_from_f16(f16_from_float(0.1F)) * float_from_f16(f16_from_float(0.1F))));
}

TEST(CudaEmulatorPtx, PowersOfTwo) {
  EXPECT_EQ(exp2_approximate(-3.0F), 0.125F);
  EXPECT_FLOAT_EQ(exp2_approximate(0.5F), std::sqrt(2.0F));
  EXPECT_EQ(exp2_approximate(-std::numeric_limits<float>::infinity()), 0.0F);
}

template <int kOffset>
__global__ void load_16(const uint32_t* x, uint32_t* y) {
  const uint4 value = load_nc_16(x + kOffset);
  y[0] = value.x;
  y[1] = value.y;
  y[2] = value.z;
  y[3] = value.w;
}

template <int kOffset>
std::vector<uint32_t> run_load() {
  const DeviceArray<uint32_t> x(std::vector<uint32_t>{1, 2, 3, 4, 5, 6, 7, 8});
  const DeviceArray<uint32_t> y(4);
  const TestStream stream;
  launch(load_16<kOffset>, "load_16", {{1}, {1}, 0, stream}, x.data(), y.data());
  return y.read(stream);
}

TEST(CudaEmulatorPtx, LoadsSixteenAlignedBytes) {
  EXPECT_EQ(run_load<4>(), (std::vector<uint32_t>{5, 6, 7, 8}));
  EXPECT_DEATH(run_load<1>(), "kernel load_16.*which is not a multiple of 16");
}

__global__ void end_by_trap(uint32_t* x) {
  if (x[0] == 1) {
    trap();
  }
}

TEST(CudaEmulatorPtx, TrapEndsTheProcess) {
  const auto run_trap = [](uint32_t value) {
    const DeviceArray<uint32_t> x(std::vector<uint32_t>{value});
    const TestStream stream;
    launch(end_by_trap, "end_by_trap", {{1}, {1}, 0, stream}, x.data());
    stream.synchronize();
  };
  run_trap(0);
  EXPECT_DEATH(run_trap(1), "kernel end_by_trap.*traps");
}

}  // namespace
}  // namespace longship::cuda
