// Tiles of AMX in plain C++, step by step as Intel's manual has them; the functions of
// engine/backend/cpu/tiles_amx_inl.h.
#include <cmath>
#include <cstring>

namespace longship::LONGSHIP_CPU_NAMESPACE {

struct EmulatedTiles {
  TileShapes shapes;
  uint8_t values[kTiles][16][64];
};
inline thread_local EmulatedTiles tiles;

inline void tile_configure(const TileShapes& shapes) {
  tiles = {shapes, {}};
}
inline void tile_release() {
  tiles = {};
}

template <int kTile>
void tile_zero() {
  std::memset(tiles.values[kTile], 0, sizeof(tiles.values[kTile]));
}
template <int kTile>
void tile_load(const void* from, int64_t stride_bytes) {
  tile_zero<kTile>();
  for (int row = 0; row < tiles.shapes.rows[kTile]; ++row) {
    std::memcpy(tiles.values[kTile][row], static_cast<const std::byte*>(from) + row * stride_bytes,
                tiles.shapes.row_bytes[kTile]);
  }
}
template <int kTile>
void tile_store(void* to, int64_t stride_bytes) {
  for (int row = 0; row < tiles.shapes.rows[kTile]; ++row) {
    std::memcpy(static_cast<std::byte*>(to) + row * stride_bytes, tiles.values[kTile][row],
                tiles.shapes.row_bytes[kTile]);
  }
}

/// dot(sum, words of kX's row, words of kW's column, how many) for each word of kSum.
template <int kSum, int kX, int kW, class Word, class Dot>
void for_each_sum(const Dot& dot) {
  const int words = tiles.shapes.row_bytes[kX] / 4;
  for (int row = 0; row < tiles.shapes.rows[kSum]; ++row) {
    for (int column = 0; column < tiles.shapes.row_bytes[kSum] / 4; ++column) {
      uint8_t w[64];
      for (int word = 0; word < words; ++word) {
        std::memcpy(w + word * 4, &tiles.values[kW][word][column * 4], 4);
      }
      Word sum;
      std::memcpy(&sum, &tiles.values[kSum][row][column * 4], sizeof(sum));
      sum = dot(sum, tiles.values[kX][row], w, words);
      std::memcpy(&tiles.values[kSum][row][column * 4], &sum, sizeof(sum));
    }
  }
}

template <int kSum, int kX, int kW>
void tile_dot() {
  for_each_sum<kSum, kX, kW, int32_t>([](int32_t sum, const uint8_t* x, const uint8_t* w, int words) {
    for (int i = 0; i < 4 * words; ++i) {
      sum += int32_t{static_cast<int8_t>(x[i])} * int32_t{static_cast<int8_t>(w[i])};
    }
    return sum;
  });
}

inline float emulated_bf16(const uint8_t* from) {
  const uint32_t bits = uint32_t{from[0]} << 16U | uint32_t{from[1]} << 24U;
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

template <int kSum, int kX, int kW>
void tile_dot_bf16() {
  for_each_sum<kSum, kX, kW, float>([](float sum, const uint8_t* x, const uint8_t* w, int words) {
    float halves[2] = {0.0F, 0.0F};
    for (int i = 0; i < words; ++i) {
      for (int half = 0; half < 2; ++half) {
        const int at = 4 * i + 2 * half;
        halves[half] = std::fma(emulated_bf16(x + at), emulated_bf16(w + at), halves[half]);
      }
    }
    return sum + (halves[0] + halves[1]);
  });
}

}  // namespace longship::LONGSHIP_CPU_NAMESPACE
