#include "cuda/ptx.h"

#include <array>
#include <cstring>

#include "tests/cuda_emulator/message.h"

namespace longship::cuda::emulator {

namespace {

constexpr int kRows = 16;
constexpr int kColumns = 8;
constexpr int kInner = 16;

/// Row (or column of b) and inner index of element `i` of a fragment, from PTX's table.
struct Place {
  int outer;
  int inner;
};
Place place_in_a(int lane, int i) {
  return {lane / 4 + (i / 2 % 2) * 8, lane % 4 * 2 + i % 2 + (i / 4) * 8};
}
Place place_in_b(int lane, int i) {
  return {lane / 4, lane % 4 * 2 + i % 2 + (i / 2) * 8};
}

template <class Convert>
void multiply(void* const* deposits, Convert convert) {
  std::array<std::array<float, kInner>, kRows> a;
  std::array<std::array<float, kColumns>, kInner> b;
  std::array<std::array<float, kColumns>, kRows> d;
  const auto element = [&](const uint32_t* words, int i) {
    return convert(static_cast<uint16_t>(words[i / 2] >> (i % 2 * 16)));
  };
  for (int lane = 0; lane < 32; ++lane) {
    const auto& mine = *static_cast<const MultiplyDeposit*>(deposits[lane]);
    for (int i = 0; i < 8; ++i) {
      const Place at = place_in_a(lane, i);
      a[at.outer][at.inner] = element(mine.a, i);
    }
    for (int i = 0; i < 4; ++i) {
      const Place at = place_in_b(lane, i);
      b[at.inner][at.outer] = element(mine.b, i);
      d[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2] = mine.d[i];
    }
  }
  for (int row = 0; row < kRows; ++row) {
    for (int k = 0; k < kInner; ++k) {
      for (int column = 0; column < kColumns; ++column) {
        d[row][column] += a[row][k] * b[k][column];
      }
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < 4; ++i) {
      static_cast<const MultiplyDeposit*>(deposits[lane])->d[i] = d[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2];
    }
  }
}

const uint16_t* matrix_row(void* const* deposits, int matrix, int row) {
  return static_cast<const MatrixDeposit*>(deposits[matrix * 8 + row])->row;
}

}  // namespace

void resolve_multiply_bf16(void* const* deposits, unsigned) {
  multiply(deposits, bf16_to_f32);
}

void resolve_multiply_f16(void* const* deposits, unsigned) {
  multiply(deposits, f16_to_f32);
}

void resolve_load_matrix(void* const* deposits, unsigned) {
  for (int lane = 0; lane < 32; ++lane) {
    for (int matrix = 0; matrix < 4; ++matrix) {
      const uint16_t* row = matrix_row(deposits, matrix, lane / 4);
      static_cast<MatrixDeposit*>(deposits[lane])->r[matrix] =
          row[lane % 4 * 2] | static_cast<uint32_t>(row[lane % 4 * 2 + 1]) << 16;
    }
  }
}

void resolve_load_matrix_trans(void* const* deposits, unsigned) {
  for (int lane = 0; lane < 32; ++lane) {
    for (int matrix = 0; matrix < 4; ++matrix) {
      static_cast<MatrixDeposit*>(deposits[lane])->r[matrix] =
          matrix_row(deposits, matrix, lane % 4 * 2)[lane / 4] |
          static_cast<uint32_t>(matrix_row(deposits, matrix, lane % 4 * 2 + 1)[lane / 4]) << 16;
    }
  }
}

void load_matrix(uint32_t* r, Shared<uint16_t> row, void (*resolve)(void* const*, unsigned)) {
  MatrixDeposit deposit;
  check_shared_read(*row.piece(), row.offset(), sizeof(deposit.row));
  std::memcpy(deposit.row, row.piece()->data + row.offset(), sizeof(deposit.row));
  deposit.r = r;
  current_thread->block->meet(WarpOp::kLoadMatrix, 0xFFFFFFFFU, &deposit, resolve, std::source_location::current());
}

// Copies are done as late as may be, when the thread waits for them, so that a wait too few shows.

void start_copy(Piece* piece, int offset, const void* from) {
  if (reinterpret_cast<std::uintptr_t>(from) % 16 != 0) {
    fail(format("an asynchronous copy from %p, which is not a multiple of 16", from));
  }
  check_shared_write(*piece, offset, 16, ShadowCell::Write::kAsyncCopy);
  current_thread->copies.push_back({piece, offset, from});
}

void commit_copies() {
  Thread& me = *current_thread;
  std::size_t grouped = 0;
  for (const std::size_t group : me.copy_groups) {
    grouped += group;
  }
  me.copy_groups.push_back(me.copies.size() - grouped);
}

void wait_for_copies(std::size_t pending_groups) {
  Thread& me = *current_thread;
  while (me.copy_groups.size() > pending_groups) {
    const auto count = static_cast<std::ptrdiff_t>(me.copy_groups.front());
    for (auto copy = me.copies.begin(); copy != me.copies.begin() + count; ++copy) {
      check_shared_write(*copy->piece, copy->offset, 16, ShadowCell::Write::kEndOfAsyncCopy);
      std::byte* to = copy->piece->data + copy->offset;
      if (copy->from == nullptr) {
        std::memset(to, 0, 16);
      } else {
        std::memcpy(to, copy->from, 16);
      }
    }
    me.copies.erase(me.copies.begin(), me.copies.begin() + count);
    me.copy_groups.erase(me.copy_groups.begin());
  }
}

uint4 load_16(const void* address) {
  if (reinterpret_cast<std::uintptr_t>(address) % 16 != 0) {
    fail(format("a load of 16 bytes from %p, which is not a multiple of 16", address));
  }
  uint4 value;
  std::memcpy(&value, address, sizeof(value));
  return value;
}

}  // namespace longship::cuda::emulator
