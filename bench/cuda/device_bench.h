#pragma once

#include <string>
#include <vector>

#include "bench/cuda/bench_shape.h"
#include "bench/cuda/call_timer.h"
#include "engine/backend/kernels.h"

namespace longship {

/// What one call does at least; 0: of no interest.
struct CallCost {
  int64_t bytes = 0;  ///< Read and written.
  int64_t ops = 0;    ///< A multiply-add counts two.
};

/// What is timed, how, and where the results go. Prints a row of words between tabs for each: name, microseconds of a
/// call, bytes, operations, spread of the samples, goal.
class DeviceBench {
 public:
  /// `cache_bytes`: of the device's last cache, which calls are to miss.
  /// `only`: text that the names of rows must have.
  DeviceBench(Kernels& kernels, Stream& stream, const BenchShape& shape, int64_t cache_bytes, bool quick,
              std::string only);

  Kernels& kernels() { return kernels_; }
  Stream& stream() { return stream_; }
  const BenchShape& shape() const { return shape_; }
  CallTimer& timer() { return timer_; }

  /// How many calls must differ in memory so that none finds its own `bytes` in the cache, as they have it in a model.
  int64_t different(int64_t bytes) const;

  void time(const std::string& name, CallCost cost, const std::string& goal, int64_t different,
            const CallTimer::Work& work);
  void print(const std::string& name, CallCost cost, const std::string& goal, CallTime time);

 private:
  Kernels& kernels_;
  Stream& stream_;
  BenchShape shape_;
  int64_t cache_bytes_;
  CallTimer timer_;
  std::string only_;
};

}  // namespace longship
