// Products of bf16 pairs by tiles (TDPBF16PS), and the same sums by multiply-adds. Of 32 columns the even ones are
// added in order, and so are the odd ones, both from zero; then both sums are added, and that to the sum of the columns
// before. That is what the instruction does, as Intel's manual has it. Columns that are left at the end of a step are
// added in the same way.

namespace longship::LONGSHIP_CPU_NAMESPACE {

/// Pairs that a tile has room for.
constexpr int64_t kRunPairs = 16;
/// Pairs of two row blocks that stay in the nearest cache while tokens pass by.
constexpr int64_t kPanelPairs = 256;
/// Fewer tokens leave the tiles too empty.
constexpr int64_t kLeastPairTokens = 4;

/// Tiles of vectors, for few tokens.
struct RunFormat {
  static constexpr int64_t kUnit = 2;
  static constexpr int64_t kFewTokens = 0;
  static constexpr int64_t kPairTokens = 0;
  static constexpr int kTileRows = 2;
  static constexpr int kTileTokens = kLeastPairTokens;
  static constexpr int64_t kUnpackTokens = INT64_MAX;  // never
  static constexpr int64_t kVector = 64;               // bytes of a pair of columns
  static constexpr int64_t kPrefetchBytes = 4096;

  template <int R, int T>
  static LONGSHIP_INLINE void add_columns(const TileSource& source, int64_t begin, int64_t end, Tile<R, T>& tile) {
    const int64_t pairs = cpu::pairs_of(source.task.columns);
    const std::byte* x = source.task.pairs + source.token * pairs * kPairBytes;
    const std::byte* w = source.rows(0);
    const int64_t last = cpu::pairs_of(end);
    for (int64_t run = begin / 2; run < last; run += kRunPairs) {
      const int64_t run_end = run + kRunPairs < last ? run + kRunPairs : last;
      Tile<R, T> halves[2] = {};
      for (int64_t pair = run; pair < run_end; ++pair) {
        F32 rows[2][R];
#pragma GCC unroll 2
        for (int r = 0; r < R; ++r) {
          const std::byte* from = w + r * source.part.row_block_bytes + pair * kVector;
          __builtin_prefetch(from + kPrefetchBytes);
          const Bytes both = load_bytes(from);
          rows[0][r] = even_halves(both);
          rows[1][r] = odd_halves(both);
        }
#pragma GCC unroll 4
        for (int t = 0; t < T; ++t) {
          const Bytes both = broadcast_bytes(x + (t * pairs + pair) * kPairBytes);
#pragma GCC unroll 2
          for (int r = 0; r < R; ++r) {
            halves[0].sums[r][t] = fma(rows[0][r], even_halves(both), halves[0].sums[r][t]);
            halves[1].sums[r][t] = fma(rows[1][r], odd_halves(both), halves[1].sums[r][t]);
          }
        }
      }
#pragma GCC unroll 2
      for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
        for (int t = 0; t < T; ++t) {
          tile.sums[r][t] = add(tile.sums[r][t], add(halves[0].sums[r][t], halves[1].sums[r][t]));
        }
      }
    }
  }
};

/// A chunk of tokens in tiles of the same number of tokens, the last of which may repeat some of the one before it.
struct PairTokens {
  int64_t begin;
  int64_t end;

  int64_t rows() const { return end - begin < 16 ? end - begin : 16; }
  int64_t count() const { return (end - begin + 15) / 16; }
  int64_t first_token(int64_t tile) const {
    const int64_t token = begin + tile * 16;
    return token + rows() < end ? token : end - rows();
  }
};

/// R row blocks times the tokens of N tiles, whose numbers are: sums 2 r + n, tokens 4 + n, row blocks 6 + r.
template <int R, int N>
struct PairTiles {
  static constexpr int64_t kSumsBytes = 64;

  template <class Body>
  static LONGSHIP_INLINE void for_each(const Body& body) {
    body.template operator()<0, 0>();
    if constexpr (N > 1) body.template operator()<0, 1>();
    if constexpr (R > 1) body.template operator()<1, 0>();
    if constexpr (R > 1 && N > 1) body.template operator()<1, 1>();
  }

  const TileSource& source;
  const std::byte* x[N];  ///< Pairs of the tiles' first tokens.
  int64_t first_token[N];
  int64_t token_rows;
  TilePartials* partials;  ///< [N][R], see sums()

  Tile<1, 16>& sums(int r, int n, int64_t partial) const { return partials[2 * n + r].sums[partial]; }

  /// Runs from pair `pair` on.
  LONGSHIP_INLINE void multiply(int64_t pair, int64_t runs) const {
    const int64_t stride = cpu::pairs_of(source.task.columns) * kPairBytes;
    const std::byte* w0 = source.rows(0) + pair * RunFormat::kVector;
    const std::byte* w1 = w0 + (R - 1) * source.part.row_block_bytes;
    for (int64_t run = 0; run < runs; ++run) {
      const int64_t at = (pair + run * kRunPairs) * kPairBytes;
      const int64_t w = run * kRunPairs * RunFormat::kVector;
      tile_load<6>(w0 + w, RunFormat::kVector);
      tile_load<4>(x[0] + at, stride);
      tile_dot_bf16<0, 4, 6>();
      if constexpr (N > 1) {
        tile_load<5>(x[N - 1] + at, stride);
        tile_dot_bf16<1, 5, 6>();
      }
      if constexpr (R > 1) {
        tile_load<7>(w1 + w, RunFormat::kVector);
        tile_dot_bf16<2, 4, 7>();
      }
      if constexpr (R > 1 && N > 1) {
        tile_dot_bf16<3, 5, 7>();
      }
    }
  }

  /// Columns [begin, end), fewer than a run has, by vectors.
  void add_rest(int64_t begin, int64_t end, int64_t partial) const {
    for (int n = 0; n < N; ++n) {
      for (int64_t t = 0; t < token_rows; ++t) {
        TileSource one = source;
        one.token = first_token[n] + t;
        for (int r = 0; r < R; ++r, ++one.row) {
          Tile<1, 1> tile{{{sums(r, n, partial).sums[0][t]}}};
          RunFormat::add_columns<1, 1>(one, begin, end, tile);
          sums(r, n, partial).sums[0][t] = tile.sums[0][0];
        }
      }
    }
  }

  /// Merges older sums into the newest, and stores these if they are a node's.
  void end_step(Progress& progress) const {
    const GroupStep& step = source.task.steps[progress.step++];
    const int64_t newest = progress.partials;
    const int64_t oldest = newest - step.merges;
    for (int n = 0; n < N; ++n) {
      TileSource from = source;
      from.token = first_token[n];
      for (int r = 0; r < R; ++r) {
        for (int64_t t = 0; t < token_rows; ++t) {
          F32 sum = sums(r, n, newest).sums[0][t];
          for (int64_t older = newest - 1; older >= oldest; --older) {
            sum = add(sums(r, n, older).sums[0][t], sum);
          }
          if (step.ends_node) {
            store_sums(from, progress.node, t, r, sum);
          } else {
            sums(r, n, oldest).sums[0][t] = sum;
          }
        }
      }
    }
    progress.partials = oldest + (step.ends_node ? 0 : 1);
    progress.node += step.ends_node ? 1 : 0;
  }

  /// Adds pairs [pair, end), where `end` is the end of a run or of a step; returns how far that comes.
  Progress add_panel(int64_t pair, int64_t end, Progress progress) const {
    while (pair < end) {
      const GroupStep& step = source.task.steps[progress.step];
      const int64_t step_end = cpu::pairs_of(step.end);
      const int64_t stop = step_end < end ? step_end : end;
      const int64_t runs = (stop - pair) / kRunPairs;
      const bool goes_on = pair > step.begin / 2;
      for_each([&]<int r, int n>() __attribute__((always_inline)) {
        if (goes_on) {
          tile_load<2 * r + n>(&sums(r, n, progress.partials), kSumsBytes);
        } else {
          tile_zero<2 * r + n>();
        }
      });
      multiply(pair, runs);
      for_each([&]<int r, int n>() __attribute__((always_inline)) {
        tile_store<2 * r + n>(&sums(r, n, progress.partials), kSumsBytes);
      });
      pair += runs * kRunPairs;
      if (pair < stop) {
        add_rest(2 * pair, step.end, progress.partials);
        pair = stop;
      }
      if (pair == step_end) {
        end_step(progress);
      }
    }
    return progress;
  }
};

/// Where a panel that begins at `pair` ends: at the end of a run or of a step.
inline int64_t panel_end(const cpu::LinearTask& task, int64_t pair, int64_t step) {
  const int64_t all = cpu::pairs_of(task.columns);
  int64_t end = pair + kPanelPairs < all ? pair + kPanelPairs : all;
  while (step < task.step_count && cpu::pairs_of(task.steps[step].end) < end) {
    ++step;
  }
  const GroupStep& last = task.steps[step];
  return end == cpu::pairs_of(last.end) ? end : end - (end - last.begin / 2) % kRunPairs;
}

template <int R>
void run_pair_row_blocks(const TileSource& source, const PairTokens& tokens) {
  constexpr int64_t kMostTiles = kTokenChunk / 16;
  TilePartials partials[2 * kMostTiles];
  const int64_t pairs = cpu::pairs_of(source.task.columns);
  const auto x = [&](int64_t tile) { return source.task.pairs + tokens.first_token(tile) * pairs * kPairBytes; };
  Progress progress;
  for (int64_t begin = 0; begin < pairs;) {
    const int64_t end = panel_end(source.task, begin, progress.step);
    Progress after;
    int64_t i = 0;
    for (; i + 2 <= tokens.count(); i += 2) {
      const PairTiles<R, 2> tiles{source,
                                  {x(i), x(i + 1)},
                                  {tokens.first_token(i), tokens.first_token(i + 1)},
                                  tokens.rows(),
                                  partials + 2 * i};
      after = tiles.add_panel(begin, end, progress);
    }
    if (i < tokens.count()) {
      const PairTiles<R, 1> tiles{source, {x(i)}, {tokens.first_token(i)}, tokens.rows(), partials + 2 * i};
      after = tiles.add_panel(begin, end, progress);
    }
    progress = after;
    begin = end;
  }
}

inline bool has_whole_run(const cpu::LinearTask& task) {
  for (int64_t i = 0; i < task.step_count; ++i) {
    if (task.steps[i].end - task.steps[i].begin >= 2 * kRunPairs) {
      return true;
    }
  }
  return false;
}

inline void linear_pairs(const cpu::LinearTask& task, const cpu::LinearPart& part, int64_t begin, int64_t end) {
  if (task.tokens < kLeastPairTokens || !has_whole_run(task)) {
    return run_rows<RunFormat>(task, part, begin, end);
  }
  for (int64_t token = 0; token < task.tokens; token += kTokenChunk) {
    const int64_t last = token + kTokenChunk < task.tokens ? token + kTokenChunk : task.tokens;
    const PairTokens tokens{token, last};
    TileShapes shapes;
    for (int tile = 0; tile < kTiles; ++tile) {
      shapes.rows[tile] = static_cast<uint8_t>(tile < 6 ? tokens.rows() : kRunPairs);
      shapes.row_bytes[tile] = 64;
    }
    tile_configure(shapes);
    TileSource source{.task = task, .part = part, .row = begin};
    for (; source.row + 2 <= end; source.row += 2) {
      run_pair_row_blocks<2>(source, tokens);
    }
    if (source.row < end) {
      run_pair_row_blocks<1>(source, tokens);
    }
  }
  tile_release();
}

}  // namespace longship::LONGSHIP_CPU_NAMESPACE
