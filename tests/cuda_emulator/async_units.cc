#include "tests/cuda_emulator/async_units.h"

#include <cstring>
#include <utility>

#include "core/half.h"
#include "cuda/device.h"
#include "tests/cuda_emulator/emulator.h"
#include "tests/cuda_emulator/message.h"
#include "tests/cuda_emulator/shared.h"

namespace longship::cuda::emulator {

namespace {

constexpr int kPieceBytes = 16;
constexpr int kRowBytes = 128;
constexpr int kAtomBytes = 1024;
constexpr int kBoxColumns = kRowBytes / 2;
constexpr int kProductRows = 64;
constexpr int kProductInner = 16;
constexpr int kPoison = 0xFF;  // not numbers

/// Words of the emulated map.
enum MapWord : uint8_t { kMemory, kSizes, kStrides = 4, kBoxRows = 6, kMark = 7 };
constexpr uint64_t kMapMark = 0x4C6F6E6773686970;

/// Where a byte stands whose address without permutation this is.
int permuted(int address) {
  return address ^ ((address / kRowBytes % 8) * kPieceBytes);
}

uint16_t element(const MatrixDescriptor& matrix, int distance) {
  const int address = permuted(matrix.piece->begin + matrix.offset + distance) - matrix.piece->begin;
  check_unit_read(*matrix.piece, address, sizeof(uint16_t));
  uint16_t bits;
  std::memcpy(&bits, matrix.piece->data + address, sizeof(bits));
  return bits;
}

/// Element [row][k], K-major.
uint16_t left_element(const MatrixDescriptor& a, int row, int k) {
  return element(a, row / 8 * a.stride_bytes + row % 8 * kRowBytes + k * 2);
}
/// Element [k][column], MN-major.
uint16_t right_element(const MatrixDescriptor& b, int k, int column) {
  return element(b, column / kBoxColumns * b.leading_bytes + k / 8 * b.stride_bytes + k % 8 * kRowBytes +
                        column % kBoxColumns * 2);
}

}  // namespace

bool encode(TensorMap& map, const void* memory, const TensorMapShape& shape) {
  const auto address = reinterpret_cast<uintptr_t>(memory);
  if (address % 16 != 0 || shape.strides[0] % 16 != 0 || shape.strides[1] % 16 != 0 || shape.box_rows == 0 ||
      shape.box_rows > 256 || shape.sizes[0] == 0 || shape.sizes[1] == 0 || shape.sizes[2] == 0) {
    return false;
  }
  map = {};
  map.words[kMemory] = address;
  std::memcpy(&map.words[kSizes], shape.sizes, sizeof(shape.sizes));
  std::memcpy(&map.words[kStrides], shape.strides, sizeof(shape.strides));
  map.words[kBoxRows] = shape.box_rows;
  map.words[kMark] = kMapMark;
  return true;
}

AsyncUnits::Barrier& AsyncUnits::barrier(const Piece& piece, int offset) {
  const auto found = barriers_.find(piece.begin + offset);
  if (found == barriers_.end()) {
    fail(format("there is no barrier at byte %d of shared memory", piece.begin + offset));
  }
  return found->second;
}

void AsyncUnits::make_barrier(const Piece& piece, int offset, int arrivals) {
  if (offset < 0 || offset + 8 > piece.bytes || offset % 8 != 0) {
    fail(format("a barrier at byte %d of a shared array of %d bytes", offset, piece.bytes));
  }
  barriers_[piece.begin + offset] = {arrivals, arrivals, 0, 0, {}};
}

void AsyncUnits::Barrier::end_phase() {
  ++phase;
  pending = arrivals;
  current_thread->block->wake();
}

void AsyncUnits::arrive(const Piece& piece, int offset, int bytes) {
  Barrier& at = barrier(piece, offset);
  if (at.pending == 0) {
    fail(format("arrives at a barrier that waits for %d arrivals and has them all", at.arrivals));
  }
  at.bytes += bytes;
  if (--at.pending == 0) {
    if (at.bytes == 0 && at.copies.empty()) {
      at.end_phase();
    } else {
      current_thread->block->wake();  // who waits does the copies
    }
  }
}

void AsyncUnits::await(const Piece& piece, int offset, int parity) {
  Barrier& at = barrier(piece, offset);
  while (at.phase % 2 == parity) {
    if (at.pending == 0) {
      for (const BoxCopy& copy : std::exchange(at.copies, {})) {
        at.bytes -= execute(copy);
      }
      if (at.bytes < 0) {
        fail(format("copies bring %lld bytes more than were announced", static_cast<long long>(-at.bytes)));
      }
      if (at.bytes == 0) {
        at.end_phase();
        continue;
      }
    }
    current_thread->block->poll(std::source_location::current());
  }
}

void AsyncUnits::copy(Piece& to, int to_offset, const TensorMap& map, const std::array<int, 3>& from,
                      const Piece& piece, int offset) {
  if (map.words[kMark] != kMapMark) {
    fail("a copy by a tensor map that nobody made");
  }
  if ((to.begin + to_offset) % kAtomBytes != 0) {
    fail(format("a copy to byte %d of shared memory, which is not a multiple of 1024", to.begin + to_offset));
  }
  for (int row = 0; row < static_cast<int>(map.words[kBoxRows]); ++row) {
    begin_bulk_copy(to, to_offset + row * kRowBytes, kRowBytes);
    std::memset(to.data + to_offset + row * kRowBytes, kPoison, kRowBytes);
  }
  barrier(piece, offset).copies.push_back({&to, to_offset, map, from});
  current_thread->block->wake();
}

int64_t AsyncUnits::execute(const BoxCopy& copy) {
  const uint64_t* words = copy.map.words;
  const auto inside = [&](int dimension, int at) {
    return at >= 0 && static_cast<uint64_t>(at) < words[kSizes + dimension];
  };
  const auto rows = static_cast<int>(words[kBoxRows]);
  for (int row = 0; row < rows; ++row) {
    const bool row_inside = inside(1, copy.from[1] + row) && inside(2, copy.from[2]);
    const auto* line =
        reinterpret_cast<const uint16_t*>(words[kMemory] + static_cast<uint64_t>(copy.from[1] + row) * words[kStrides] +
                                          static_cast<uint64_t>(copy.from[2]) * words[kStrides + 1]);
    const int begin = copy.to_offset + row * kRowBytes;
    end_bulk_copy(*copy.to, begin, kRowBytes);
    for (int column = 0; column < kBoxColumns; ++column) {
      const int x = copy.from[0] + column;
      const uint16_t bits = row_inside && inside(0, x) ? line[x] : 0;
      const int address = permuted(copy.to->begin + begin + column * 2) - copy.to->begin;
      std::memcpy(copy.to->data + address, &bits, sizeof(bits));
    }
  }
  return int64_t{rows} * kRowBytes;
}

void AsyncUnits::arrive_named(int id, int threads, bool wait) {
  if (id < 1 || id > 15 || threads % kWarp != 0) {
    fail(format("named barrier %d of %d threads", id, threads));
  }
  NamedBarrier& at = named_[id];
  if (at.arrived != 0 && at.threads != threads) {
    fail(format("named barrier %d is of %d threads and of %d", id, at.threads, threads));
  }
  at.threads = threads;
  if (++at.arrived == threads) {
    at.arrived = 0;
    ++at.generation;
    current_thread->block->wake();
    return;
  }
  for (const int generation = at.generation; wait && at.generation == generation;) {
    current_thread->block->poll(std::source_location::current());
  }
}

AsyncUnits::ThreadProducts& AsyncUnits::products_of(const Thread& thread) {
  if (threads_.size() <= thread.number) {
    threads_.resize(thread.number + 1);
  }
  return threads_[thread.number];
}

void AsyncUnits::multiply(const WarpgroupProduct& product, float* d, const uint32_t* a) {
  const Thread& me = *current_thread;
  ThreadProducts& mine = products_of(me);
  std::vector<std::shared_ptr<Started>>& all = warpgroups_[me.number / kWarpgroup];
  if (mine.started == static_cast<int>(all.size())) {
    all.push_back(std::make_shared<Started>());
    all.back()->product = product;
  }
  const std::shared_ptr<Started>& started = all[mine.started++];
  if (started->product != product) {
    fail("threads of a warpgroup start different products");
  }
  const int number = me.number % kWarpgroup;
  started->d[number] = d;
  if (a != nullptr) {
    std::memcpy(started->a[number].data(), a, sizeof(started->a[number]));
  }
  mine.products.push_back(started);
  if (++started->threads == kWarpgroup) {
    me.block->wake();
  }
}

void AsyncUnits::commit_products() {
  ThreadProducts& mine = products_of(*current_thread);
  std::size_t grouped = 0;
  for (const std::size_t group : mine.groups) {
    grouped += group;
  }
  mine.groups.push_back(mine.products.size() - grouped);
}

void AsyncUnits::await_products(std::size_t pending_groups) {
  const Thread& me = *current_thread;
  while (products_of(me).groups.size() > pending_groups) {
    const std::size_t count = products_of(me).groups.front();
    for (std::size_t i = 0; i < count; ++i) {
      const std::shared_ptr<Started> started = products_of(me).products[i];
      while (started->threads < kWarpgroup) {
        me.block->poll(std::source_location::current());
      }
      if (!started->done) {
        execute(*started);
        started->done = true;
      }
    }
    ThreadProducts& mine = products_of(me);
    mine.products.erase(mine.products.begin(), mine.products.begin() + static_cast<std::ptrdiff_t>(count));
    mine.groups.erase(mine.groups.begin());
  }
}

void AsyncUnits::check_end(const Thread& thread) const {
  if (thread.number < threads_.size() && !threads_[thread.number].products.empty()) {
    fail("the thread ends and has not waited for its products");
  }
}

void AsyncUnits::execute(Started& started) {
  const WarpgroupProduct& product = started.product;
  const auto value = [&](uint16_t bits) { return product.bf16 ? bf16_to_f32(bits) : f16_to_f32(bits); };
  std::array<std::array<float, kProductInner>, kProductRows> a;
  std::array<std::array<float, 256>, kProductInner> b;
  for (int k = 0; k < kProductInner; ++k) {
    for (int column = 0; column < product.columns; ++column) {
      b[k][column] = value(right_element(product.b, k, column));
    }
    for (int row = 0; row < kProductRows; ++row) {
      // As the fragment of mma: half of the rows, then of the columns, of each warp's 16.
      const int thread = row / 16 * kWarp + row % 8 * 4 + k % 8 / 2;
      const uint32_t both = started.a[thread][row / 8 % 2 + k / 8 * 2];
      a[row][k] =
          value(product.a_in_registers ? static_cast<uint16_t>(both >> (k % 2 * 16)) : left_element(product.a, row, k));
    }
  }
  std::array<float, 256> sums;
  for (int row = 0; row < kProductRows; ++row) {
    const auto place = [&](int column) -> float& {
      const int thread = row / 16 * kWarp + row % 8 * 4 + column % 8 / 2;
      return started.d[thread][column / 8 * 4 + row / 8 % 2 * 2 + column % 2];
    };
    for (int column = 0; column < product.columns; ++column) {
      sums[column] = product.add ? place(column) : 0.0F;
    }
    for (int k = 0; k < kProductInner; ++k) {
      for (int column = 0; column < product.columns; ++column) {
        sums[column] += a[row][k] * b[k][column];
      }
    }
    for (int column = 0; column < product.columns; ++column) {
      place(column) = sums[column];
    }
  }
}

}  // namespace longship::cuda::emulator
