#pragma once

// What works beside a block's threads on Hopper: barriers in shared memory, bulk copies that arrive at them, named
// barriers, and products of warpgroups. Copies and products are done as late as may be, when a thread waits for them.

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "cuda/tensor_map.h"
#include "tests/cuda_emulator/block.h"

namespace longship::cuda::emulator {

/// An operand of wgmma in shared memory; cuda/ptx.h says what the distances are.
struct MatrixDescriptor {
  Piece* piece = nullptr;
  int offset = 0;
  int leading_bytes = 0;
  int stride_bytes = 0;

  bool operator==(const MatrixDescriptor&) const = default;
};

/// Whether a tensor map can be made.
bool encode(TensorMap& map, const void* memory, const TensorMapShape& shape);

/// What all threads of a warpgroup say of a product.
struct WarpgroupProduct {
  int columns = 0;
  bool bf16 = false;
  bool add = false;
  bool a_in_registers = false;
  MatrixDescriptor a = {};
  MatrixDescriptor b = {};

  bool operator==(const WarpgroupProduct&) const = default;
};

/// Of a block. Everything is called by the running thread.
class AsyncUnits {
 public:
  static constexpr int kWarpgroup = 128;

  void make_barrier(const Piece& piece, int offset, int arrivals);
  /// Arrives after announcing bytes.
  void arrive(const Piece& piece, int offset, int bytes);
  void await(const Piece& piece, int offset, int parity);
  void copy(Piece& to, int to_offset, const TensorMap& map, const std::array<int, 3>& from, const Piece& piece,
            int offset);

  void arrive_named(int id, int threads, bool wait);

  /// `d` and `a` (null if from shared memory) are the thread's part; `a` is copied.
  void multiply(const WarpgroupProduct& product, float* d, const uint32_t* a);
  void commit_products();
  void await_products(std::size_t pending_groups);

  /// Fails if the thread has not waited for what it started.
  void check_end(const Thread& thread) const;

 private:
  struct BoxCopy {
    Piece* to;
    int to_offset;
    TensorMap map;
    std::array<int, 3> from;
  };
  struct Barrier {
    int arrivals = 0;
    int pending = 0;
    int64_t bytes = 0;
    int phase = 0;
    std::vector<BoxCopy> copies;

    void end_phase();
  };
  struct NamedBarrier {
    int threads = 0;
    int arrived = 0;
    int generation = 0;
  };
  /// A product that a warpgroup's threads have begun.
  struct Started {
    WarpgroupProduct product;
    int threads = 0;
    bool done = false;
    std::array<float*, kWarpgroup> d = {};
    std::array<std::array<uint32_t, 4>, kWarpgroup> a = {};
  };
  struct ThreadProducts {
    int started = 0;
    std::vector<std::shared_ptr<Started>> products;  // not yet waited for, oldest first
    std::vector<std::size_t> groups;
  };

  Barrier& barrier(const Piece& piece, int offset);
  static int64_t execute(const BoxCopy& copy);
  static void execute(Started& started);
  ThreadProducts& products_of(const Thread& thread);

  std::map<int, Barrier> barriers_;  // by address
  std::array<NamedBarrier, 16> named_;
  std::vector<ThreadProducts> threads_;
  std::map<int, std::vector<std::shared_ptr<Started>>> warpgroups_;  // all that were started
};

}  // namespace longship::cuda::emulator
