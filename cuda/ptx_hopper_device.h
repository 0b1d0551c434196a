#pragma once

// The half of cuda/ptx.h for nvcc that only Hopper (sm_90a) has.

namespace longship::cuda {

namespace ptx {

__device__ __forceinline__ uint32_t shared_address(const void* shared) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(shared));
}

}  // namespace ptx

__device__ __forceinline__ void mbarrier_init(Shared<uint64_t> barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(ptx::shared_address(barrier)), "r"(arrivals) : "memory");
}

__device__ __forceinline__ void mbarrier_fence_init() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

__device__ __forceinline__ void mbarrier_arrive(Shared<uint64_t> barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(ptx::shared_address(barrier)) : "memory");
}

__device__ __forceinline__ void mbarrier_arrive_expect(Shared<uint64_t> barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(ptx::shared_address(barrier)), "r"(bytes)
               : "memory");
}

__device__ __forceinline__ void mbarrier_wait(Shared<uint64_t> barrier, int parity) {
  asm volatile(
      "{\n"
      ".reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@done bra over;\n"
      "bra again;\n"
      "over:\n"
      "}" ::"r"(ptx::shared_address(barrier)),
      "r"(parity)
      : "memory");
}

__device__ __forceinline__ void named_barrier_sync(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

__device__ __forceinline__ void named_barrier_arrive(int id, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

__device__ __forceinline__ void copy_box(Shared<uint16_t> to, const TensorMap& map, int x, int y, int z,
                                         Shared<uint64_t> barrier) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5}], "
      "[%2];" ::"r"(ptx::shared_address(to)),
      "l"(&map), "r"(ptx::shared_address(barrier)), "r"(x), "r"(y), "r"(z)
      : "memory");
}

__device__ __forceinline__ void fence_async_proxy() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

template <int kRegisters>
__device__ __forceinline__ void raise_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

template <int kRegisters>
__device__ __forceinline__ void lower_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

// "Matrix Descriptor Format" of wgmma: addresses and distances in units of 16 bytes, layout 1 (128-byte swizzle) in
// the upper two bits.
__device__ __forceinline__ MatrixDescriptor matrix_descriptor(Shared<uint16_t> begin, int leading_bytes,
                                                              int stride_bytes) {
  return static_cast<uint64_t>(ptx::shared_address(begin) >> 4) | static_cast<uint64_t>(leading_bytes >> 4) << 16 |
         static_cast<uint64_t>(stride_bytes >> 4) << 32 | uint64_t{1} << 62;
}

__device__ __forceinline__ MatrixDescriptor advance(MatrixDescriptor matrix, int bytes) {
  return matrix + static_cast<uint64_t>(bytes >> 4);
}

__device__ __forceinline__ void wgmma_fence() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

__device__ __forceinline__ void wgmma_commit() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

namespace ptx {

// What a lane has of a result [64, 64] and [64, 128].
#define LONGSHIP_EIGHT(i)                                                                               \
  "+f"(d[i]), "+f"(d[(i) + 1]), "+f"(d[(i) + 2]), "+f"(d[(i) + 3]), "+f"(d[(i) + 4]), "+f"(d[(i) + 5]), \
      "+f"(d[(i) + 6]), "+f"(d[(i) + 7])
#define LONGSHIP_SUMS_32 LONGSHIP_EIGHT(0), LONGSHIP_EIGHT(8), LONGSHIP_EIGHT(16), LONGSHIP_EIGHT(24)
#define LONGSHIP_SUMS_64 \
  LONGSHIP_SUMS_32, LONGSHIP_EIGHT(32), LONGSHIP_EIGHT(40), LONGSHIP_EIGHT(48), LONGSHIP_EIGHT(56)
#define LONGSHIP_NAMES_32                                                  \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define LONGSHIP_NAMES_64                                                              \
  LONGSHIP_NAMES_32                                                                    \
  ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
  "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
// `operands`: the left and the right one, and the scales (and orders) of both; `add`: the operand that says whether
// sums go on.
#define LONGSHIP_WGMMA(shape, type, names, sums, operands, add, ...)                                            \
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " add ", 0;\nwgmma.mma_async.sync.aligned." shape ".f32." type \
               "." type " {" names "}, " operands ";\n}"                                                        \
               : sums                                                                                           \
               : __VA_ARGS__)

template <bool kBf16>
__device__ __forceinline__ void wgmma(float (&d)[32], uint64_t a, uint64_t b, int add) {
  if constexpr (kBf16) {
    LONGSHIP_WGMMA("m64n64k16", "bf16", LONGSHIP_NAMES_32, LONGSHIP_SUMS_32, "%32, %33, p, 1, 1, 0, 1", "%34", "l"(a),
                   "l"(b), "r"(add));
  } else {
    LONGSHIP_WGMMA("m64n64k16", "f16", LONGSHIP_NAMES_32, LONGSHIP_SUMS_32, "%32, %33, p, 1, 1, 0, 1", "%34", "l"(a),
                   "l"(b), "r"(add));
  }
}

template <bool kBf16>
__device__ __forceinline__ void wgmma(float (&d)[32], const uint32_t (&a)[4], uint64_t b, int add) {
  if constexpr (kBf16) {
    LONGSHIP_WGMMA("m64n64k16", "bf16", LONGSHIP_NAMES_32, LONGSHIP_SUMS_32, "{%32, %33, %34, %35}, %36, p, 1, 1, 1",
                   "%37", "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(add));
  } else {
    LONGSHIP_WGMMA("m64n64k16", "f16", LONGSHIP_NAMES_32, LONGSHIP_SUMS_32, "{%32, %33, %34, %35}, %36, p, 1, 1, 1",
                   "%37", "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(add));
  }
}

template <bool kBf16>
__device__ __forceinline__ void wgmma(float (&d)[64], uint64_t a, uint64_t b, int add) {
  if constexpr (kBf16) {
    LONGSHIP_WGMMA("m64n128k16", "bf16", LONGSHIP_NAMES_64, LONGSHIP_SUMS_64, "%64, %65, p, 1, 1, 0, 1", "%66", "l"(a),
                   "l"(b), "r"(add));
  } else {
    LONGSHIP_WGMMA("m64n128k16", "f16", LONGSHIP_NAMES_64, LONGSHIP_SUMS_64, "%64, %65, p, 1, 1, 0, 1", "%66", "l"(a),
                   "l"(b), "r"(add));
  }
}

template <bool kBf16>
__device__ __forceinline__ void wgmma(float (&d)[64], const uint32_t (&a)[4], uint64_t b, int add) {
  if constexpr (kBf16) {
    LONGSHIP_WGMMA("m64n128k16", "bf16", LONGSHIP_NAMES_64, LONGSHIP_SUMS_64, "{%64, %65, %66, %67}, %68, p, 1, 1, 1",
                   "%69", "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(add));
  } else {
    LONGSHIP_WGMMA("m64n128k16", "f16", LONGSHIP_NAMES_64, LONGSHIP_SUMS_64, "{%64, %65, %66, %67}, %68, p, 1, 1, 1",
                   "%69", "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(add));
  }
}

template <int kPending>
__device__ __forceinline__ void wgmma_wait_for(float (&d)[32]) {
  asm volatile("wgmma.wait_group.sync.aligned %32;" : LONGSHIP_SUMS_32 : "n"(kPending) : "memory");
}

template <int kPending>
__device__ __forceinline__ void wgmma_wait_for(float (&d)[64]) {
  asm volatile("wgmma.wait_group.sync.aligned %64;" : LONGSHIP_SUMS_64 : "n"(kPending) : "memory");
}

#undef LONGSHIP_WGMMA
#undef LONGSHIP_NAMES_64
#undef LONGSHIP_NAMES_32
#undef LONGSHIP_SUMS_64
#undef LONGSHIP_SUMS_32
#undef LONGSHIP_EIGHT

}  // namespace ptx

template <bool kBf16, int N>
__device__ __forceinline__ void wgmma_m64k16(float (&d)[N / 2], MatrixDescriptor a, MatrixDescriptor b, bool add) {
  ptx::wgmma<kBf16>(d, a, b, add ? 1 : 0);
}

template <bool kBf16, int N>
__device__ __forceinline__ void wgmma_m64k16(float (&d)[N / 2], const uint32_t (&a)[4], MatrixDescriptor b, bool add) {
  ptx::wgmma<kBf16>(d, a, b, add ? 1 : 0);
}

template <int kPending, int kCount>
__device__ __forceinline__ void wgmma_wait(float (&d)[kCount]) {
  ptx::wgmma_wait_for<kPending>(d);
}

}  // namespace longship::cuda
