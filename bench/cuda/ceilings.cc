#include "bench/cuda/ceilings.h"

#include <algorithm>
#include <cstdio>
#include <random>
#include <string>

#include "bench/cuda/device_data.h"
#include "cuda/blas_api.h"
#include "cuda/memory.h"
#include "engine/backend/cuda/kernels/roofline.h"
#include "engine/weights/blocks.h"

namespace longship {

namespace {

using cuda::api;
using cuda::check;

cuda::StreamHandle handle_of(DeviceBench& bench) {
  return static_cast<cuda::StreamHandle>(bench.stream().native());
}

// Memory of random bf16 values between -1 and 1: devices copy and multiply zeros faster.
std::shared_ptr<void> random_memory(DeviceBench& bench, int64_t bytes) {
  constexpr int64_t kPieceBytes = int64_t{1} << 20;
  std::vector<uint16_t> piece(static_cast<std::size_t>(std::min(bytes, kPieceBytes)) / sizeof(uint16_t));
  std::minstd_rand random(1);
  for (uint16_t& value : piece) {
    const float number = static_cast<float>(random() % 2048) / 1024.0F - 1.0F;
    store_value(DType::kBF16, number, reinterpret_cast<std::byte*>(&value));
  }
  std::shared_ptr<void> memory = cuda::allocate_device(static_cast<std::size_t>(bytes));
  for (int64_t at = 0; at < bytes; at += kPieceBytes) {
    Tensor part =
        Tensor::wrap(DType::kU8, {std::min(kPieceBytes, bytes - at)}, static_cast<std::byte*>(memory.get()) + at);
    bench.kernels().write(piece.data(), part, bench.stream());
  }
  return memory;
}

void time_memory(DeviceBench& bench, int multiprocessors) {
  constexpr int kBlocksPerMultiprocessor = 8;
  const int64_t bytes = bench.shape().copy_bytes;
  const std::shared_ptr<void> from = random_memory(bench, bytes);
  const std::shared_ptr<void> to = cuda::allocate_device(static_cast<std::size_t>(bytes));
  const int blocks = kBlocksPerMultiprocessor * multiprocessors;
  // By a kernel: a graph may leave a copy to the device's copy engines, which reach less.
  bench.time("copy", {.bytes = 2 * bytes}, "", 1,
             [&](int64_t) { cuda::launch_copy(from.get(), bytes, blocks, to.get(), handle_of(bench)); });
  const std::shared_ptr<void> sums = cuda::allocate_device(static_cast<std::size_t>(blocks) * sizeof(unsigned));
  bench.time("read", {.bytes = bytes}, "", 1, [&](int64_t) {
    cuda::launch_read(from.get(), bytes, blocks, static_cast<unsigned*>(sums.get()), handle_of(bench));
  });
  // How near to that a kernel comes which reads no more than one of the smaller matrices of a layer.
  const BenchShape& shape = bench.shape();
  for (const int64_t rows : {shape.qkv_width(), shape.hidden}) {
    const int64_t some = std::min(bytes, 2 * rows * shape.hidden);
    bench.time("read of " + std::to_string(some / 1'000'000) + " MB", {.bytes = some}, "", bytes / some,
               [&](int64_t call) {
                 cuda::launch_read(static_cast<const std::byte*>(from.get()) + call * some, some, blocks,
                                   static_cast<unsigned*>(sums.get()), handle_of(bench));
               });
  }
}

void time_product(DeviceBench& bench) {
  constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;
  std::string why;
  const cuda::BlasApi* blas = cuda::blas_api(why);
  if (blas == nullptr) {
    std::fprintf(stderr, "left out: cuBLASLt (%s)\n", why.c_str());
    return;
  }
  const int64_t n = bench.shape().product;
  const cuda::MatmulShape shape{.tokens = n, .outputs = n, .inputs = n, .x_stride = n, .w_stride = n, .y_stride = n};
  const std::shared_ptr<void> x = random_memory(bench, 2 * n * n);
  const std::shared_ptr<void> w = random_memory(bench, 2 * n * n);
  const std::shared_ptr<void> y = cuda::allocate_device(static_cast<std::size_t>(4 * n * n));
  const std::shared_ptr<void> workspace = cuda::allocate_device(kWorkspaceBytes);
  cuda::BlasHandle handle = nullptr;
  cuda::BlasPlan plan = nullptr;
  cuda::check_blas(*blas, blas->create(&handle), "create a handle");
  cuda::check_blas(*blas, blas->plan(handle, shape, kWorkspaceBytes, &plan), "choose an algorithm");
  bench.time("cuBLASLt bf16, " + std::to_string(n) + " x " + std::to_string(n) + " x " + std::to_string(n),
             {.bytes = 0, .ops = 2 * n * n * n}, "", 1, [&](int64_t) {
               cuda::check_blas(*blas,
                                blas->matmul(handle, plan, x.get(), w.get(), static_cast<float*>(y.get()),
                                             workspace.get(), handle_of(bench)),
                                "multiply");
             });
  bench.stream().synchronise();
  blas->destroy_plan(plan);
  blas->destroy(handle);
}

}  // namespace

void time_ceilings(DeviceBench& bench, const cuda::DeviceProperties& device) {
  time_memory(bench, device.multiprocessors);
  time_product(bench);
}

void time_empty_graph(DeviceBench& bench) {
  constexpr int64_t kKernels = 165;
  constexpr int64_t kWidth = 64;
  const Tensor x = device_values(bench, {1, kWidth});
  Tensor y = bench.kernels().allocate(DType::kF32, {1, kWidth});
  const auto work = [&](int64_t) { bench.kernels().add(x, {}, {}, y, bench.stream()); };
  work(0);
  bench.stream().synchronise();
  GraphTime time = bench.timer().time_graph(kKernels, work);
  const std::string kernels = " of a graph of " + std::to_string(kKernels) + " small ones";
  bench.print("launch" + kernels, {}, "10 us", time.launch);
  bench.print("kernel" + kernels, {}, "1.3 us", time.run);
}

}  // namespace longship
