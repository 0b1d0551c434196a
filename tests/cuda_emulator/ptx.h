#pragma once

// The half of cuda/ptx.h for the host's compiler.

#include <chrono>
#include <cmath>

#include "core/fp8.h"
#include "core/half.h"
#include "tests/cuda_emulator/device.h"
#include "tests/cuda_emulator/emulator.h"

namespace longship::cuda {

namespace emulator {

/// What a lane brings to an mma and takes from it.
struct MultiplyDeposit {
  float* d;
  const uint32_t* a;
  const uint32_t* b;
};

/// A lane's row and what it gets.
struct MatrixDeposit {
  uint16_t row[8];
  uint32_t* r;
};

void resolve_multiply_bf16(void* const* deposits, unsigned mask);
void resolve_multiply_f16(void* const* deposits, unsigned mask);
void resolve_load_matrix(void* const* deposits, unsigned mask);
void resolve_load_matrix_trans(void* const* deposits, unsigned mask);

void load_matrix(uint32_t* r, Shared<uint16_t> row, void (*resolve)(void* const*, unsigned));

void start_copy(Piece* piece, int offset, const void* from);
void commit_copies();
void wait_for_copies(std::size_t pending_groups);

uint4 load_16(const void* address);

}  // namespace emulator

inline float float_from_bf16(uint16_t bits) {
  return bf16_to_f32(bits);
}
inline float float_from_f16(uint16_t bits) {
  return f16_to_f32(bits);
}
inline uint16_t bf16_from_float(float value) {
  return f32_to_bf16(value);
}
inline uint16_t f16_from_float(float value) {
  return f32_to_f16(value);
}
inline uint32_t pack_bf16(float low, float high) {
  return f32_to_bf16(low) | static_cast<uint32_t>(f32_to_bf16(high)) << 16;
}
inline uint32_t pack_f16(float low, float high) {
  return f32_to_f16(low) | static_cast<uint32_t>(f32_to_f16(high)) << 16;
}

inline uint32_t masked_or(uint32_t a, uint32_t mask, uint32_t rest) {
  return (a & mask) | rest;
}
inline uint32_t masked_xor(uint32_t a, uint32_t mask, uint32_t rest) {
  return (a & mask) ^ rest;
}

inline uint32_t fma_bf16x2(uint32_t a, uint32_t b, uint32_t c) {
  const auto half = [&](int shift) {
    const auto value = [&](uint32_t both) { return double{bf16_to_f32(static_cast<uint16_t>(both >> shift))}; };
    return static_cast<uint32_t>(f32_to_bf16(static_cast<float>(value(a) * value(b) + value(c)))) << shift;
  };
  return half(0) | half(16);
}

template <bool kOdd>
inline uint32_t f16_from_bytes(uint32_t word) {
  const auto byte = [&](unsigned i) { return static_cast<float>(static_cast<int8_t>(word >> (8 * i))); };
  return pack_f16(byte(kOdd ? 1 : 0), byte(kOdd ? 3 : 2));
}
inline uint32_t multiply_f16(uint32_t a, uint32_t b) {
  const auto half = [](uint32_t both, unsigned i) { return f16_to_f32(static_cast<uint16_t>(both >> (16 * i))); };
  return pack_f16(half(a, 0) * half(b, 0), half(a, 1) * half(b, 1));
}

inline float exp2_approximate(float x) {
  return std::exp2(x);
}

inline float2 floats_from_e4m3(uint16_t both) {
  return make_float2(e4m3_to_f32(static_cast<uint8_t>(both)), e4m3_to_f32(static_cast<uint8_t>(both >> 8)));
}

inline uint4 load_nc_16(const void* address) {
  return emulator::load_16(address);
}

inline void mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  emulator::MultiplyDeposit deposit{d, a, b};
  emulator::current_thread->block->meet(emulator::WarpOp::kMultiply, 0xFFFFFFFFU, &deposit,
                                        emulator::resolve_multiply_bf16, std::source_location::current());
}
inline void mma_m16n8k16_f16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  emulator::MultiplyDeposit deposit{d, a, b};
  emulator::current_thread->block->meet(emulator::WarpOp::kMultiply, 0xFFFFFFFFU, &deposit,
                                        emulator::resolve_multiply_f16, std::source_location::current());
}

inline void ldmatrix_x4(uint32_t (&r)[4], Shared<uint16_t> row) {
  emulator::load_matrix(r, row, emulator::resolve_load_matrix);
}
inline void ldmatrix_x4_trans(uint32_t (&r)[4], Shared<uint16_t> row, int offset) {
  emulator::load_matrix(r, row + offset, emulator::resolve_load_matrix_trans);
}

template <class T>
inline void cp_async_16(Shared<T> to, const void* from, bool valid) {
  emulator::start_copy(to.piece(), to.offset(), valid ? from : nullptr);
}
inline void cp_async_commit() {
  emulator::commit_copies();
}
template <int kPending>
inline void cp_async_wait() {
  emulator::wait_for_copies(kPending);
}

inline uint32_t load_acquire_system(const uint32_t* address) {
  return std::atomic_ref<uint32_t>(*const_cast<uint32_t*>(address)).load(std::memory_order_acquire);
}
inline void store_release_system(uint32_t* address, uint32_t value) {
  std::atomic_ref<uint32_t>(*address).store(value, std::memory_order_release);
}
inline uint32_t add_acquire_release(uint32_t* address, uint32_t value) {
  return std::atomic_ref<uint32_t>(*address).fetch_add(value, std::memory_order_acq_rel);
}

inline void wait_for_kernels_before() {
  emulator::current_thread->waited = true;
}
inline void let_next_kernel_begin() {}

inline uint64_t global_timer_ns() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::nanoseconds(now).count());
}

inline void trap() {
  emulator::fail("the kernel traps");
}

}  // namespace longship::cuda
