#include "engine/backend/cpu/cpu_roofline.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "core/span_log.h"
#include "core/tensor.h"

namespace longship::cpu {

namespace {

// Larger than the last cache of a core complex, many of which hold 32 MiB.
constexpr int64_t kBufferBytes = int64_t{192} << 20;
constexpr int64_t kPieceBytes = int64_t{1} << 20;
constexpr int64_t kRounds = 40000;
// A try takes some milliseconds of reading, or less than one of multiplying: for some, other processes have some of the
// cores.
constexpr double kReadSeconds = 0.2;
constexpr double kMultiplySeconds = 0.1;

double seconds_since(int64_t begin_ns) {
  return static_cast<double>(now_ns() - begin_ns) * 1e-9;
}

double measure_reading(const Isa& isa, ThreadPool& pool) {
  Tensor buffer = Tensor::allocate(DType::kU8, {kBufferBytes});
  auto* bytes = buffer.data<std::byte>();
  std::fill_n(bytes, kBufferBytes, std::byte{1});  // a page that was never written is read from the cache
  std::atomic<int32_t> sink = 0;
  std::vector<double> rates;
  for (const int64_t start = now_ns(); seconds_since(start) < kReadSeconds;) {
    const int64_t begin = now_ns();
    pool.parallel_for(kBufferBytes / kPieceBytes, 1, [&](int64_t first, int64_t last) {
      sink += isa.read_bytes(bytes + first * kPieceBytes, (last - first) * kPieceBytes);
    });
    rates.push_back(static_cast<double>(kBufferBytes) / seconds_since(begin));
  }
  const auto middle = rates.begin() + std::ssize(rates) / 2;
  std::ranges::nth_element(rates, middle);
  return *middle;
}

double measure_multiplying(MultiplyFunction multiply, ThreadPool& pool) {
  double best = 0;
  for (const int64_t start = now_ns(); seconds_since(start) < kMultiplySeconds;) {
    std::atomic<int64_t> ops = 0;
    const int64_t begin = now_ns();
    pool.parallel_for(int64_t{8} * pool.threads(), 1, [&](int64_t first, int64_t last) {
      flush_denormals();
      ops += multiply((last - first) * kRounds);
    });
    best = std::max(best, static_cast<double>(ops) / seconds_since(begin));
  }
  return best;
}

}  // namespace

Roofline measure_roofline(const Isa& isa, ThreadPool& pool, MultiplyFunction multiply) {
  return {measure_reading(isa, pool), measure_multiplying(multiply, pool)};
}

}  // namespace longship::cpu
