// How the tiles of AMX are configured.

namespace longship::LONGSHIP_CPU_NAMESPACE {

constexpr int kTiles = 8;

/// The shapes of the tiles, as LDTILECFG reads them.
struct alignas(64) TileShapes {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};
static_assert(sizeof(TileShapes) == 64);

}  // namespace longship::LONGSHIP_CPU_NAMESPACE
