#include "tests/cuda_emulator/async_units.h"

#include <gtest/gtest.h>

#include "core/half.h"
#include "cuda/launch.h"
#include "cuda/ptx.h"
#include "tests/cuda_emulator/device_array.h"

// What Hopper has beside its threads, emulated, against plain arithmetic.

namespace longship::cuda {
namespace {

constexpr int kRows = 64;
constexpr int kInner = 80;  // of a tensor whose rows are shorter than its boxes
constexpr int kPadded = 128;

std::vector<uint16_t> random_values(int count, uint16_t (*convert)(float)) {
  std::vector<uint16_t> values;
  uint32_t state = 12345;
  for (int i = 0; i < count; ++i) {
    state = state * 1664525U + 1013904223U;
    values.push_back(convert(static_cast<float>(static_cast<int32_t>(state) >> 8) / 8388608.0F));
  }
  return values;
}

TensorMap map_of(const uint16_t* memory, uint64_t columns, uint64_t rows, uint32_t box_rows) {
  TensorMap map;
  check(api().encode_tensor_map(&map, memory, {{columns, rows, 1}, {columns * 2, columns * rows * 2}, box_rows}),
        "describe a tensor");
  return map;
}

/// d [64, N] = a [64, kInner] b [kInner, N] by one warpgroup; the second of two boxes of a is partly outside of it, and
/// so are rows of b.
template <bool kBf16, int N, bool kRegisters>
__global__ void multiply(const TensorMap a, const TensorMap b, float* d) {
  SharedMemory memory;
  const Shared<uint16_t> left = memory.take<uint16_t>(2 * kRows * 64);
  const Shared<uint16_t> right = memory.take<uint16_t>(N / 64 * kPadded * 64);
  const Shared<uint64_t> barrier = memory.take<uint64_t>(1);
  const int thread = static_cast<int>(threadIdx.x);
  if (thread == 0) {
    mbarrier_init(barrier, 1);
    mbarrier_fence_init();
  }
  __syncthreads();
  if (thread == 0) {
    mbarrier_arrive_expect(barrier, (2 * kRows + N / 64 * kPadded) * 128);
    for (int half = 0; half < 2; ++half) {
      copy_box(left + half * kRows * 64, a, half * 64, 0, 0, barrier);
    }
    for (int half = 0; half < N / 64; ++half) {
      copy_box(right + half * kPadded * 64, b, half * 64, 0, 0, barrier);
    }
  }
  mbarrier_wait(barrier, 0);
  float sums[N / 2];
  const MatrixDescriptor rows = matrix_descriptor(left, 0, 1024);
  const MatrixDescriptor columns = matrix_descriptor(right, kPadded * 128, 1024);
  uint32_t fragments[kPadded / 16][4];
  for (int k = 0; k < kPadded / 16; ++k) {
    for (int i = 0; i < 4; ++i) {
      const int row = thread / 32 * 16 + thread % 32 / 4 + i % 2 * 8;
      const int piece = (k % 4 * 2 + i / 2) ^ (row % 8);
      const Shared<uint32_t> at = shared_cast<uint32_t>(left + (k / 4 * kRows * 64 + row * 64 + piece * 8));
      fragments[k][i] = at[thread % 4];
    }
  }
  wgmma_fence();
  for (int k = 0; k < kPadded / 16; ++k) {
    if constexpr (kRegisters) {
      wgmma_m64k16<kBf16, N>(sums, fragments[k], advance(columns, k * 2048), k != 0);
    } else {
      wgmma_m64k16<kBf16, N>(sums, advance(rows, k / 4 * kRows * 128 + k % 4 * 32), advance(columns, k * 2048), k != 0);
    }
  }
  wgmma_commit();
  wgmma_wait<0>(sums);
  for (int i = 0; i < N / 2; ++i) {
    const int row = thread / 32 * 16 + thread % 32 / 4 + i / 2 % 2 * 8;
    d[row * N + i / 4 * 8 + thread % 4 * 2 + i % 2] = sums[i];
  }
}

template <bool kBf16, int N, bool kRegisters>
void expect_product() {
  const auto convert = kBf16 ? f32_to_bf16 : f32_to_f16;
  const auto value = kBf16 ? bf16_to_f32 : f16_to_f32;
  const std::vector<uint16_t> a = random_values(kRows * kInner, convert);
  const std::vector<uint16_t> b = random_values(kInner * N, convert);
  const DeviceArray<uint16_t> a_array(a);
  const DeviceArray<uint16_t> b_array(b);
  const DeviceArray<float> d_array(std::vector<float>(kRows * N));
  const TestStream stream;
  launch(multiply<kBf16, N, kRegisters>, "multiply",
         {{1}, {128}, 2 * kRows * 128 + N / 64 * kPadded * 128 + shared_bytes<uint64_t>(1), stream},
         map_of(a_array.data(), kInner, kRows, kRows), map_of(b_array.data(), N, kInner, kPadded), d_array.data());
  const std::vector<float> d = d_array.read(stream);
  for (int row = 0; row < kRows; ++row) {
    for (int column = 0; column < N; ++column) {
      double sum = 0;
      for (int k = 0; k < kInner; ++k) {
        sum += static_cast<double>(value(a[row * kInner + k])) * value(b[k * N + column]);
      }
      ASSERT_NEAR(d[row * N + column], sum, 2e-5) << row << " " << column;
    }
  }
}

TEST(CudaEmulatorAsync, WarpgroupsMultiplyWhatBoxesBring) {
  expect_product<true, 128, false>();
  expect_product<false, 128, true>();
  expect_product<true, 64, true>();
  expect_product<false, 64, false>();
}

enum class Wrong : uint8_t { kNothing, kReadsEarly, kEndsEarly, kNoArrival, kAnnouncesLess };

/// Two warpgroups; the first copies, the second reads.
__global__ void copy_and_read(const TensorMap map, uint16_t* out, Wrong wrong) {
  SharedMemory memory;
  const Shared<uint16_t> box = memory.take<uint16_t>(kRows * 64);
  const Shared<uint64_t> barrier = memory.take<uint64_t>(1);
  const int thread = static_cast<int>(threadIdx.x);
  if (thread == 0) {
    mbarrier_init(barrier, 1);
    mbarrier_fence_init();
  }
  __syncthreads();
  if (thread < 128) {
    if (thread == 0) {
      copy_box(box, map, 0, 0, 0, barrier);
      if (wrong != Wrong::kNoArrival) {
        mbarrier_arrive_expect(barrier, wrong == Wrong::kAnnouncesLess ? 128 : kRows * 128);
      }
    }
    named_barrier_arrive(1, 256);
    return;
  }
  named_barrier_sync(1, 256);
  if (wrong != Wrong::kReadsEarly) {
    mbarrier_wait(barrier, 0);
  }
  out[thread - 128] = box[(thread - 128) / 64 * 64 + thread % 64];
  if (wrong == Wrong::kEndsEarly) {
    float sums[32] = {};
    const MatrixDescriptor matrix = matrix_descriptor(box, 0, 1024);
    wgmma_m64k16<true, 64>(sums, matrix, matrix, true);
    wgmma_commit();
  }
}

std::vector<uint16_t> run(Wrong wrong) {
  std::vector<uint16_t> values(kRows * 64);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<uint16_t>(i);
  }
  const DeviceArray<uint16_t> from(values);
  const DeviceArray<uint16_t> to(std::vector<uint16_t>(128));
  const TestStream stream;
  launch(copy_and_read, "copy_and_read", {{1}, {256}, kRows * 128 + shared_bytes<uint64_t>(1), stream},
         map_of(from.data(), 64, kRows, kRows), to.data(), wrong);
  return to.read(stream);
}

TEST(CudaEmulatorAsync, PermutesThePiecesOfRows) {
  const std::vector<uint16_t> found = run(Wrong::kNothing);
  for (int i = 0; i < 128; ++i) {
    const int row = i / 64;
    EXPECT_EQ(found[i], row * 64 + ((i % 64 / 8) ^ row) * 8 + i % 8);
  }
}

TEST(CudaEmulatorAsync, FindsWhoDoesNotWait) {
  EXPECT_DEATH(run(Wrong::kReadsEarly), "kernel copy_and_read.*which an asynchronous copy of thread 0 still fills");
  EXPECT_DEATH(run(Wrong::kEndsEarly), "kernel copy_and_read.*has not waited for its products");
  EXPECT_DEATH(run(Wrong::kNoArrival), "no thread of the block can go on: thread 128 waits in .*await");
  EXPECT_DEATH(run(Wrong::kAnnouncesLess), "copies bring 8064 bytes more than were announced");
}

TEST(CudaEmulatorAsync, RefusesTensorsThatAreNotAligned) {
  const DeviceArray<uint16_t> memory(std::vector<uint16_t>(128));
  TensorMap map;
  EXPECT_NE(api().encode_tensor_map(&map, memory.data() + 1, {{8, 2, 1}, {16, 32}, 2}), kSuccess);
  EXPECT_NE(api().encode_tensor_map(&map, memory.data(), {{7, 2, 1}, {14, 28}, 2}), kSuccess);
}

}  // namespace
}  // namespace longship::cuda
