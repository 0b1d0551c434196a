#include "bench/cuda/device_bench.h"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace longship {

namespace {

// The memory that calls take turns with is so many times the cache.
constexpr int64_t kCaches = 5;

}  // namespace

DeviceBench::DeviceBench(Kernels& kernels, Stream& stream, const BenchShape& shape, int64_t cache_bytes, bool quick,
                         std::string only)
    : kernels_(kernels),
      stream_(stream),
      shape_(shape),
      cache_bytes_(quick ? 0 : cache_bytes),
      timer_(static_cast<cuda::StreamHandle>(stream.native()), quick),
      only_(std::move(only)) {}

int64_t DeviceBench::different(int64_t bytes) const {
  return std::max<int64_t>(1, (kCaches * cache_bytes_ + bytes - 1) / bytes);
}

void DeviceBench::time(const std::string& name, CallCost cost, const std::string& goal, int64_t different,
                       const CallTimer::Work& work) {
  if (name.find(only_) != std::string::npos) {
    print(name, cost, goal, timer_.time(different, work));
  }
}

void DeviceBench::print(const std::string& name, CallCost cost, const std::string& goal, CallTime time) {
  std::printf("%s\t%.3f\t%lld\t%lld\t%.4f\t%s\n", name.c_str(), time.seconds * 1e6, static_cast<long long>(cost.bytes),
              static_cast<long long>(cost.ops), time.spread, goal.c_str());
  std::fflush(stdout);
}

}  // namespace longship
