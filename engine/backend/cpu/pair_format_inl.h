// How columns of cpu::Layout::kBF16Pairs are added up: pair by pair, of each first the odd column.

namespace longship::LONGSHIP_CPU_NAMESPACE {

struct PairFormat {
  static constexpr int64_t kUnit = 2;
  // Few tokens, too, take several row blocks: one has too few sums to hide the latency of adding to them.
  static constexpr int64_t kFewTokens = 0;
  static constexpr int64_t kPairTokens = kRegisters >= 32 ? 0 : 2;
  // Tiles that fill the registers with sums.
  static constexpr int kTileRows = kRegisters >= 32 ? 2 : 1;
  static constexpr int kTileTokens = kRegisters >= 32 ? 12 : 6;
  static constexpr int64_t kUnpackTokens = INT64_MAX;  // never
  static constexpr int64_t kVector = 64;               // bytes of a pair of columns

  template <int R, int T>
  static LONGSHIP_INLINE void add_columns(const TileSource& source, int64_t begin, int64_t end, Tile<R, T>& tile) {
    const int64_t pairs = cpu::pairs_of(source.task.columns);
    const std::byte* x = source.task.pairs + source.token * pairs * kPairBytes;
    const std::byte* w = source.rows(0);
    for (int64_t pair = begin / 2; pair < cpu::pairs_of(end); ++pair) {
      if constexpr (R > 1) {
        source.prefetch(pair);
      }
#pragma GCC unroll 2
      for (int part = 0; part < kPairParts; ++part) {
        PairPart rows[R];
#pragma GCC unroll 2
        for (int r = 0; r < R; ++r) {
          rows[r] = weight_part(w + r * source.part.row_block_bytes + pair * kVector, part);
        }
#pragma GCC unroll 12
        for (int t = 0; t < T; ++t) {
          const PairPart value = activation_part(x + (t * pairs + pair) * kPairBytes, part);
#pragma GCC unroll 2
          for (int r = 0; r < R; ++r) {
            tile.sums[r][t] = add_pairs(rows[r], value, tile.sums[r][t]);
          }
        }
      }
    }
  }
};

inline void linear_pairs(const cpu::LinearTask& task, const cpu::LinearPart& part, int64_t begin, int64_t end) {
  run_rows<PairFormat>(task, part, begin, end);
}

}  // namespace longship::LONGSHIP_CPU_NAMESPACE
