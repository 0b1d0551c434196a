// Matrix products: tiles of row blocks and tokens, each summed by the program of GroupSteps.

namespace longship::LONGSHIP_CPU_NAMESPACE {

// Tokens whose activations stay in the cache while the rows pass by.
constexpr int64_t kTokenChunk = 128;
constexpr int kTileTokens = kRegisters >= 32 ? 4 : 2;

template <int R, int T>
LONGSHIP_INLINE void store_tile(const TileSource& source, int64_t node, const Tile<R, T>& tile) {
  const cpu::LinearTask& task = source.task;
  for (int t = 0; t < T; ++t) {
    float* out = task.nodes + (node * task.tokens + source.token + t) * task.outputs + source.part.first_output;
    for (int r = 0; r < R; ++r) {
      const int64_t first = (source.row + r) * cpu::kLanes;
      const int64_t left = source.part.rows - first;
      if (left >= cpu::kLanes) {
        store(out + first, tile.sums[r][t]);
      } else {
        store_n(out + first, tile.sums[r][t], left);
      }
    }
  }
}

template <class Format, int R, int T>
void run_tile(const TileSource& source) {
  Tile<R, T> partials[cpu::kMaxPartials];
  int count = 0;
  int64_t node = 0;
  for (int64_t i = 0; i < source.task.step_count; ++i) {
    const GroupStep& step = source.task.steps[i];
    Tile<R, T> tile;
    for (int r = 0; r < R; ++r) {
      for (int t = 0; t < T; ++t) {
        tile.sums[r][t] = zero();
      }
    }
    Format::template add_columns<R, T>(source, step.begin, step.end, tile);
    for (int32_t merge = 0; merge < step.merges; ++merge) {
      const Tile<R, T>& older = partials[--count];
      for (int r = 0; r < R; ++r) {
        for (int t = 0; t < T; ++t) {
          tile.sums[r][t] = add(older.sums[r][t], tile.sums[r][t]);
        }
      }
    }
    if (step.ends_node) {
      store_tile(source, node++, tile);
    } else {
      partials[count++] = tile;
    }
  }
}

/// Tokens [begin, end) of R row blocks, kTileTokens at a time.
template <class Format, int R>
void run_tokens(TileSource source, int64_t begin, int64_t end) {
  for (source.token = begin; source.token + kTileTokens <= end; source.token += kTileTokens) {
    run_tile<Format, R, kTileTokens>(source);
  }
  for (; source.token < end; ++source.token) {
    run_tile<Format, R, 1>(source);
  }
}

/// Row blocks [begin, end): kRows at a time for several tokens; one at a time, in the order of memory, for one.
template <class Format, int kRows>
void run_rows(const cpu::LinearTask& task, const cpu::LinearPart& part, int64_t begin, int64_t end) {
  for (int64_t token = 0; token < task.tokens; token += kTokenChunk) {
    const int64_t last = token + kTokenChunk < task.tokens ? token + kTokenChunk : task.tokens;
    TileSource source{task, part, begin, token};
    for (; task.tokens > 1 && source.row + kRows <= end; source.row += kRows) {
      run_tokens<Format, kRows>(source, token, last);
    }
    for (; source.row < end; ++source.row) {
      run_tokens<Format, 1>(source, token, last);
    }
  }
}

inline void linear(const cpu::LinearTask& task, const cpu::LinearPart& part, int64_t begin, int64_t end) {
  constexpr bool kMany = kRegisters >= 32;
  constexpr int kPlainRows = kMany ? 4 : 2;
  constexpr int kBlockRows = kMany ? 2 : 1;
  switch (part.layout) {
    case cpu::Layout::kF32:
      return run_rows<PlainFormat<cpu::Layout::kF32>, kPlainRows>(task, part, begin, end);
    case cpu::Layout::kF16:
      return run_rows<PlainFormat<cpu::Layout::kF16>, kPlainRows>(task, part, begin, end);
    case cpu::Layout::kBF16:
      return run_rows<PlainFormat<cpu::Layout::kBF16>, kPlainRows>(task, part, begin, end);
    case cpu::Layout::kQ8_0:
      return run_rows<BlockFormat<cpu::Layout::kQ8_0>, kBlockRows>(task, part, begin, end);
    case cpu::Layout::kQ4_0:
      return run_rows<BlockFormat<cpu::Layout::kQ4_0>, kBlockRows>(task, part, begin, end);
    case cpu::Layout::kQ4_1:
      return run_rows<BlockFormat<cpu::Layout::kQ4_1>, kBlockRows>(task, part, begin, end);
  }
}

}  // namespace longship::LONGSHIP_CPU_NAMESPACE
