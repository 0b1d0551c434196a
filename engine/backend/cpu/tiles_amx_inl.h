// Tiles of AMX_TILE, AMX_INT8 and AMX_BF16; included after tile_shapes_inl.h. GCC 12's own functions tell the compiler
// neither all that a configuration reads nor what a tile load reads, hence these.

namespace longship::LONGSHIP_CPU_NAMESPACE {

/// The calling thread's tiles from now on, all zero.
inline void tile_configure(const TileShapes& shapes) {
  asm volatile("ldtilecfg %0" : : "m"(shapes));
}
/// Frees the thread from saving tiles when it is switched.
inline void tile_release() {
  asm volatile("tilerelease" : :);
}

template <int kTile>
inline __attribute__((always_inline)) void tile_zero() {
  asm volatile("tilezero %%tmm%c0" : : "n"(kTile));
}
template <int kTile>
inline __attribute__((always_inline)) void tile_load(const void* from, int64_t stride_bytes) {
  asm volatile("tileloadd (%1,%2,1), %%tmm%c0" : : "n"(kTile), "r"(from), "r"(stride_bytes) : "memory");
}
template <int kTile>
inline __attribute__((always_inline)) void tile_store(void* to, int64_t stride_bytes) {
  asm volatile("tilestored %%tmm%c0, (%1,%2,1)" : : "n"(kTile), "r"(to), "r"(stride_bytes) : "memory");
}
/// kSum [tokens][16 rows] += kX [tokens][columns] times kW [columns / 4][16 rows][4], all signed.
template <int kSum, int kX, int kW>
inline __attribute__((always_inline)) void tile_dot() {
  asm volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "n"(kSum), "n"(kX), "n"(kW));
}

/// kSum [tokens][16 rows] += kX [tokens][columns] times kW [columns / 2][16 rows][2], of bf16 and summed in f32.
template <int kSum, int kX, int kW>
inline __attribute__((always_inline)) void tile_dot_bf16() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "n"(kSum), "n"(kX), "n"(kW));
}

}  // namespace longship::LONGSHIP_CPU_NAMESPACE
