// Matrix products: tiles of row blocks and tokens, each summed by the program of GroupSteps.

namespace longship::LONGSHIP_CPU_NAMESPACE {

// Tokens whose activations stay in the cache while the rows pass by.
constexpr int64_t kTokenChunk = 128;
// Most bytes of the next row blocks that are fetched while the present ones are used: they must stay in the cache.
constexpr int64_t kMostAhead = 262144;

// Row blocks of fewer bytes are not worth reading side by side: they end before what is asked for ahead has come.
constexpr int64_t kLeastStream = 8192;

/// Stores what a node has for token `t` and row block `r` of the tile.
LONGSHIP_INLINE void store_sums(const TileSource& source, int64_t node, int64_t t, int64_t r, F32 sums) {
  const cpu::LinearTask& task = source.task;
  float* out = task.nodes + (node * task.tokens + source.token + t) * task.outputs + source.part.first_output;
  const int64_t first = (source.row + r) * cpu::kLanes;
  const int64_t left = source.part.rows - first;
  if (left >= cpu::kLanes) {
    store(out + first, sums);
  } else {
    store_n(out + first, sums, left);
  }
}

/// Tokens that the task does not have are left out.
template <int R, int T>
LONGSHIP_INLINE void store_tile(const TileSource& source, int64_t node, const Tile<R, T>& tile) {
#pragma GCC unroll 16
  for (int t = 0; t < T; ++t) {
    if (source.token + t >= source.task.tokens) {
      return;
    }
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      store_sums(source, node, t, r, tile.sums[r][t]);
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

/// A tile of `tokens` tokens, 1 to T.
template <class Format, int R, int T>
void run_tile_of(const TileSource& source, int64_t tokens) {
  if constexpr (T > 1) {
    if (tokens < T) {
      return run_tile_of<Format, R, T - 1>(source, tokens);
    }
  }
  run_tile<Format, R, T>(source);
}

/// Tokens [begin, end) of R row blocks in tiles of about equal size, up to Format::kTileTokens. Meanwhile the R row
/// blocks after them are fetched, spread evenly over the tiles.
template <class Format, int R>
void run_tokens(TileSource source, int64_t begin, int64_t end) {
  constexpr int kTileTokens = Format::kTileTokens;
  const int64_t units = (source.task.columns + Format::kUnit - 1) / Format::kUnit;
  const int64_t tiles = (end - begin + kTileTokens - 1) / kTileTokens;
  const int64_t lines = R * source.part.row_block_bytes / cpu::kCacheLine;
  const std::byte* ahead_end = source.rows(2 * R);
  source.ahead = source.rows(R);
  source.ahead_bytes = tiles == 1 || lines * cpu::kCacheLine > kMostAhead
                           ? 0
                           : (lines + units * tiles - 1) / (units * tiles) * cpu::kCacheLine;
  source.token = begin;
  for (int64_t left = tiles; left > 0; --left) {
    const int64_t tokens = (end - source.token + left - 1) / left;
    run_tile_of<Format, R, kTileTokens>(source, tokens);
    source.token += tokens;
    source.ahead += units * source.ahead_bytes;
    if (source.ahead >= ahead_end) {
      source.ahead_bytes = 0;
    }
  }
}

/// run_tokens, with the integers unpacked before where that pays and there is room for it.
template <class Format, int R>
void run_unpacked(TileSource source, int64_t begin, int64_t end) {
  const cpu::LinearTask& task = source.task;
  if constexpr (Format::kUnpackTokens < INT64_MAX) {
    const int64_t bytes = cpu::kLanes * task.columns;
    if (end - begin >= Format::kUnpackTokens && R * bytes <= cpu::kMostUnpackedBytes && R * bytes <= task.room_bytes) {
      for (int r = 0; r < R; ++r) {
        Format::unpack(source.rows(r), task.columns, task.room + r * bytes);
      }
      source.unpacked = task.room;
      return run_tokens<typename Format::Unpacked, R>(source, begin, end);
    }
  }
  run_tokens<Format, R>(source, begin, end);
}

/// Row blocks [begin, end), kRows at a time.
template <class Format, int kRows>
void run_row_blocks(const cpu::LinearTask& task, const cpu::LinearPart& part, int64_t begin, int64_t end) {
  for (int64_t token = 0; token < task.tokens; token += kTokenChunk) {
    const int64_t last = token + kTokenChunk < task.tokens ? token + kTokenChunk : task.tokens;
    TileSource source{.task = task, .part = part, .row = begin};
    for (; source.row + kRows <= end; source.row += kRows) {
      run_unpacked<Format, kRows>(source, token, last);
    }
    for (; source.row < end; ++source.row) {
      run_unpacked<Format, 1>(source, token, last);
    }
  }
}

/// Row blocks from source.row to `end`, R at a time and the rest by fewer, for T tokens.
template <class Format, int R, int T>
void run_side_by_side(TileSource source, int64_t end) {
  for (; source.row + R <= end; source.row += R) {
    run_tile<Format, R, T>(source);
  }
  if constexpr (R > 1) {
    run_side_by_side<Format, R / 2, T>(source, end);
  }
}

/// Row blocks from source.row to `end` for all tokens in one tile, of which there are 1 to T.
template <class Format, int T>
void run_few_tokens(const TileSource& source, int64_t end) {
  if constexpr (T > 1) {
    if (source.task.tokens < T) {
      return run_few_tokens<Format, T - 1>(source, end);
    }
  }
  if (source.part.row_block_bytes < kLeastStream) {
    run_side_by_side<Format, 1, T>(source, end);
  } else {
    run_side_by_side<Format, Format::few_token_rows(T), T>(source, end);
  }
}

template <class Format>
void run_rows(const cpu::LinearTask& task, const cpu::LinearPart& part, int64_t begin, int64_t end) {
  if constexpr (Format::kFewTokens > 0) {
    if (task.tokens <= Format::kFewTokens) {
      return run_few_tokens<Format, Format::kFewTokens>({.task = task, .part = part, .row = begin}, end);
    }
  }
  if (task.tokens <= Format::kPairTokens) {
    run_row_blocks<Format, 2>(task, part, begin, end);
  } else {
    run_row_blocks<Format, Format::kTileRows>(task, part, begin, end);
  }
}

}  // namespace longship::LONGSHIP_CPU_NAMESPACE
