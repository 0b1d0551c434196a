// Speed of a CUDA device and of every operation of its backend, at the sizes of an 8B-class model.
//
//   longship_bench_cuda [--small] [--only TEXT]
//
// Prints a line "device" with the device's name, then rows as DeviceBench does, the ceilings first. --small: sizes that
// only show that all runs. --only: rows that have TEXT in their name. scripts/gpu-check makes a table of it.
#include <cstdio>
#include <string>
#include <string_view>

#include "bench/cuda/ceilings.h"
#include "bench/cuda/operations.h"
#include "core/error.h"
#include "engine/backend/cuda/cuda_kernels.h"

namespace longship {
namespace {

void run(bool small, const std::string& only) {
  const auto kernels = make_cuda_kernels({.name = "cuda", .threads = 4}, 0);
  const auto stream = kernels->make_stream();
  cuda::DeviceProperties device;
  cuda::check(cuda::api().device_properties(&device, 0), "ask for the device's properties");
  const BenchShape shape = small ? BenchShape::small() : BenchShape();
  std::printf("device\t%s\n", device.name.data());
  DeviceBench bench(*kernels, *stream, shape, static_cast<int64_t>(device.l2_bytes), small, only);
  time_ceilings(bench, device);
  kernels->reserve(shape.prompts.back(), shape.inner);
  time_empty_graph(bench);
  time_layer(bench);
  time_products(bench);
  time_attention(bench);
  time_elements(bench);
}

}  // namespace
}  // namespace longship

int main(int argc, char** argv) {
  bool small = false;
  std::string only;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    if (option == "--small") {
      small = true;
    } else if (option == "--only" && i + 1 < argc) {
      only = argv[++i];
    } else {
      std::fprintf(stderr, "usage: %s [--small] [--only TEXT]\n", argv[0]);
      return 2;
    }
  }
  try {
    longship::run(small, only);
    return 0;
  } catch (const longship::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_code();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
