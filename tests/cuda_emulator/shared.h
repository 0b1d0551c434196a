#pragma once

#include <cstddef>
#include <cstring>
#include <type_traits>

#include "tests/cuda_emulator/block.h"

namespace longship::cuda {

namespace emulator {

/// Checks an access of the running thread to bytes [offset, offset + bytes) of a piece.
void check_shared_read_slowly(Piece& piece, int offset, int bytes);
void check_shared_write(Piece& piece, int offset, int bytes, ShadowCell::Write kind);
/// Of units beside the threads.
void check_unit_read(Piece& piece, int offset, int bytes);
void begin_bulk_copy(Piece& piece, int offset, int bytes);
void end_bulk_copy(Piece& piece, int offset, int bytes);

inline void check_shared_read(Piece& piece, int offset, int bytes) {
  if (offset >= 0 && offset + bytes <= piece.bytes && offset % bytes == 0) {
    const Accessor& who = current_thread->accessor;
    const int last = (offset + bytes - 1) >> piece.shift;
    for (int cell = offset >> piece.shift; piece.cells[cell].knows_read(who); ++cell) {
      if (cell == last) {
        return;
      }
    }
  }
  check_shared_read_slowly(piece, offset, bytes);
}

/// The address of an element, for atomics.
template <class T>
struct SharedPointer {
  Piece* piece;
  int offset;
};

/// An element of shared memory: what [] of Shared gives.
template <class T>
class SharedElement {
 public:
  SharedElement(Piece* piece, int offset) : piece_(piece), offset_(offset) {}
  SharedElement(const SharedElement&) = default;

  operator T() const {
    check_shared_read(*piece_, offset_, sizeof(T));
    T value;
    std::memcpy(&value, piece_->data + offset_, sizeof(T));
    return value;
  }
  const SharedElement& operator=(const T& value) const {
    check_shared_write(*piece_, offset_, sizeof(T), ShadowCell::Write::kPlain);
    std::memcpy(piece_->data + offset_, &value, sizeof(T));
    return *this;
  }
  const SharedElement& operator=(const SharedElement& other) const { return *this = static_cast<T>(other); }
  const SharedElement& operator+=(const T& value) const { return *this = static_cast<T>(T(*this) + value); }
  const SharedElement& operator-=(const T& value) const { return *this = static_cast<T>(T(*this) - value); }
  const SharedElement& operator*=(const T& value) const { return *this = static_cast<T>(T(*this) * value); }
  const SharedElement& operator|=(const T& value) const { return *this = static_cast<T>(T(*this) | value); }
  const SharedElement& operator++() const { return *this = static_cast<T>(T(*this) + 1); }
  SharedPointer<T> operator&() const { return {piece_, offset_}; }

 private:
  Piece* piece_;
  int offset_;
};

}  // namespace emulator

/// An array in a block's shared memory, every access to which is checked: bounds, order, whether it was written.
template <class T>
class Shared {
 public:
  Shared() = default;
  Shared(emulator::Piece* piece, int offset) : piece_(piece), offset_(offset) {}

  emulator::SharedElement<T> operator[](std::ptrdiff_t i) const {
    return {piece_, offset_ + static_cast<int>(i * static_cast<std::ptrdiff_t>(sizeof(T)))};
  }
  emulator::SharedElement<T> operator*() const { return (*this)[0]; }
  Shared operator+(std::ptrdiff_t i) const {
    return {piece_, offset_ + static_cast<int>(i * static_cast<std::ptrdiff_t>(sizeof(T)))};
  }
  Shared& operator+=(std::ptrdiff_t i) { return *this = *this + i; }

  emulator::Piece* piece() const { return piece_; }
  int offset() const { return offset_; }  ///< Bytes from the beginning of the piece.

 private:
  emulator::Piece* piece_ = nullptr;
  int offset_ = 0;
};

/// The same bytes as elements of another type.
template <class To, class From>
Shared<To> shared_cast(Shared<From> array) {
  return {array.piece(), array.offset()};
}

/// Hands out the dynamic shared memory of a block, piece after piece, each aligned to 16 bytes. Every thread makes the
/// same calls.
class SharedMemory {
 public:
  template <class T>
  Shared<T> take(int count) {
    static_assert(std::is_trivially_copyable_v<T>);
    const int bytes = count * static_cast<int>(sizeof(T));
    emulator::Piece& piece = emulator::current_thread->block->piece(used_, bytes, sizeof(T));
    used_ += (bytes + 15) / 16 * 16;
    return {&piece, 0};
  }

 private:
  int used_ = 0;
};

}  // namespace longship::cuda
