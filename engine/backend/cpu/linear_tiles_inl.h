// Matrix products of integers by tiles: 16 or 8 tokens times 16 rows times a block of columns in one instruction. The
// sums of integers are exact and are scaled in the order of BlockFormat, so that the bits are the same.

namespace longship::LONGSHIP_CPU_NAMESPACE {

/// From so many tokens on products are faster than without tiles.
constexpr int64_t kManyTokens = 12;
/// Of the smallest tile.
constexpr int64_t kLeastTileTokens = 8;
/// Blocks of a row block that stand unpacked at a time: they stay in the nearest cache, beside a tile's activations and
/// the weights that are asked for meanwhile.
constexpr int64_t kPanelBlocks = 18;

/// Numbers of the tiles of 16 tokens and of those of 8: sums, activations and weights.
template <int T>
struct TileNumbers {
  static constexpr int kSums = T == 16 ? 0 : 1;
  static constexpr int kX = T == 16 ? 2 : 3;
  static constexpr int kWeights = 4;
};

/// `dot_columns`: of a dot product, 32 or 16.
inline TileShapes tile_shapes(int64_t dot_columns) {
  TileShapes shapes;
  const auto set = [&](int tile, int64_t rows, int64_t bytes) {
    shapes.rows[tile] = static_cast<uint8_t>(rows);
    shapes.row_bytes[tile] = static_cast<uint16_t>(bytes);
  };
  set(TileNumbers<16>::kSums, 16, 64);
  set(TileNumbers<8>::kSums, 8, 64);
  set(TileNumbers<16>::kX, 16, dot_columns);
  set(TileNumbers<8>::kX, 8, dot_columns);
  set(TileNumbers<16>::kWeights, dot_columns / 4, 64);
  return shapes;
}

/// A chunk of tokens as tiles: of 16 tokens, the last one of 16 or 8. Where the tokens are no multiple of that, the
/// last begins before the end of the one before it, and both find the same sums for the tokens that they share; where
/// there is none before it, it ends behind the last token.
struct TokenTiles {
  int64_t begin;
  int64_t end;

  int64_t count() const { return (end - begin + 15) / 16; }
  bool is_last(int64_t tile) const { return tile + 1 == count(); }
  int64_t tokens(int64_t tile) const { return is_last(tile) && (end - begin - 1) % 16 < 8 ? 8 : 16; }
  int64_t first_token(int64_t tile) const {
    return !is_last(tile) ? begin + tile * 16 : end > tokens(tile) ? end - tokens(tile) : 0;
  }
};

/// How far the program of GroupSteps has come; the same for all tiles.
struct Progress {
  int64_t step = 0;
  int64_t partials = 0;
  int64_t node = 0;
};

using cpu::TileBlock;

/// Blocks [begin, end) of the columns of one row block, and where their integers stand.
struct Panel {
  int64_t begin;
  int64_t end;
  const std::byte* packed;    ///< The row block.
  const std::byte* integers;  ///< [blocks][32 / 4][16 rows][4], signed

  int64_t blocks() const { return end - begin; }
};

/// Unmerged sums of 16 or 8 tokens; behind the last, between two panels, those in the making.
struct TilePartials {
  Tile<1, 16> sums[cpu::kMaxPartials + 1];
};

template <class Format>
struct TileProducts {
  static constexpr int kDots = Format::kDots;
  static constexpr int64_t kDotColumns = cpu::kBlock / kDots;
  static constexpr int64_t kBlockBytes = cpu::kBlock * cpu::kLanes;
  static constexpr int64_t kDotBytes = kBlockBytes / kDots;
  static constexpr int64_t kPackedBytes = Format::kRunBytes / Format::kRun;

  /// Asks for what comes behind block b.
  static LONGSHIP_INLINE void prefetch(const std::byte* packed, int64_t b) {
    const std::byte* quants = packed + Format::quants_offset(b);
    for (int64_t line = 0; line < Format::kQuantBytes + Format::kScaleBytes; line += cpu::kCacheLine) {
      __builtin_prefetch(quants + Format::kNearBytes + line);
    }
  }

  /// Writes the integers of block b, less their offset, as tiles take them.
  static LONGSHIP_INLINE void unpack(const std::byte* packed, int64_t b, std::byte* out) {
    const Bytes offset = broadcast_i32(static_cast<int32_t>(Format::kShape.offset * 0x01010101U));
    const std::byte* quants = packed + Format::quants_offset(b);
#pragma GCC unroll 8
    for (int step = 0; step < 8; ++step, out += Format::kVector) {
      const bool high = Format::kNibbles && step >= 4;
      const Bytes value = Format::integers(quants, high ? step - 4 : step, high);
      store_bytes(out, Format::kShape.offset == 0 ? value : sub_bytes(value, offset));
    }
  }

  static void unpack(const Panel& panel, std::byte* out) {
    for (int64_t b = panel.begin; b < panel.end; ++b, out += kBlockBytes) {
      prefetch(panel.packed, b);
      unpack(panel.packed, b, out);
    }
  }

  /// The activations of a tile, block after block.
  static void gather(const cpu::LinearTask& task, int64_t token, int64_t tokens, TileBlock* to) {
    const int64_t block_count = task.columns / cpu::kBlock;
    const int8_t* quants = task.quants + token * task.columns;
    const cpu::ActivationBlock* blocks = task.blocks + token * block_count;
    for (int64_t b = 0; b < block_count; ++b, ++to) {
#pragma GCC unroll 8
      for (int64_t t = 0; t < tokens; ++t) {
        if (token + t >= task.tokens) {
          to->scales[t] = {};
          continue;
        }
        const cpu::ActivationBlock& block = blocks[t * block_count + b];
        __builtin_memcpy(to->quants[t], quants + t * task.columns + b * cpu::kBlock, cpu::kBlock);
        to->scales[t] = {block.scale, block.scaled_sum};
      }
    }
  }

  /// Multiplies a block by T tokens into `dots`, [kDots][T][16].
  template <int T>
  static LONGSHIP_INLINE void multiply(const std::byte* w, const TileBlock& x, int32_t* dots) {
    using Numbers = TileNumbers<T>;
#pragma GCC unroll 2
    for (int dot = 0; dot < kDots; ++dot) {
      tile_load<Numbers::kX>(&x.quants[0][dot * kDotColumns], cpu::kBlock);
      tile_load<Numbers::kWeights>(w + dot * kDotBytes, Format::kVector);
      tile_zero<Numbers::kSums>();
      tile_dot<Numbers::kSums, Numbers::kX, Numbers::kWeights>();
      tile_store<Numbers::kSums>(dots + dot * T * cpu::kLanes, Format::kVector);
    }
  }

  template <int T>
  static LONGSHIP_INLINE void scale(const std::byte* packed, int64_t b, const int32_t* dots, const TileBlock& x,
                                    Tile<1, T>& tile) {
    Format::template scale_dots<T>(
        reinterpret_cast<const uint16_t*>(packed + Format::scales_offset(b)),
        [&](int t) -> const auto& { return x.scales[t]; },
        [&](int dot, int t) { return I32(load_bytes(dots + (dot * T + t) * cpu::kLanes)); }, tile.sums[0]);
  }

  template <int T>
  static LONGSHIP_INLINE void keep(const Tile<1, T>& tile, Tile<1, 16>& to) {
#pragma GCC unroll 16
    for (int t = 0; t < T; ++t) {
      to.sums[0][t] = tile.sums[0][t];
    }
  }

  /// Merges older sums into those of `tile` and stores them, as a node's or as partial ones; then `tile` is zero.
  template <int T>
  static LONGSHIP_INLINE void end_step(const TileSource& source, Tile<1, T>& tile, TilePartials& partials,
                                       Progress& progress) {
    const GroupStep& step = source.task.steps[progress.step++];
    for (int32_t merge = 0; merge < step.merges; ++merge) {
      const Tile<1, 16>& older = partials.sums[--progress.partials];
#pragma GCC unroll 16
      for (int t = 0; t < T; ++t) {
        tile.sums[0][t] = add(older.sums[0][t], tile.sums[0][t]);
      }
    }
    if (step.ends_node) {
      store_tile(source, progress.node++, tile);
    } else {
      keep(tile, partials.sums[progress.partials++]);
    }
#pragma GCC unroll 16
    for (int t = 0; t < T; ++t) {
      tile.sums[0][t] = zero();
    }
  }

  /// How many blocks ahead of scaling them blocks are multiplied: sums that are loaded while they are on their way to
  /// the cache hold up both. A power of two less one.
  static constexpr int64_t kAhead = kDots == 1 ? 3 : 1;

  /// Adds the panel's columns to the sums of T tokens; returns how far that comes.
  template <int T>
  static Progress add_panel(const TileSource& source, const Panel& panel, const TileBlock* x, Progress progress,
                            TilePartials& partials) {
    const cpu::LinearTask& task = source.task;
    const std::byte* w = panel.integers;
    alignas(64) int32_t dots[kAhead + 1][kDots * T * cpu::kLanes];
    const auto multiply_block = [&](int64_t b) __attribute__((always_inline)) {
      if (b < panel.end) {
        multiply<T>(w + (b - panel.begin) * kBlockBytes, x[b], dots[(b - panel.begin) & kAhead]);
      }
    };
    Tile<1, T> tile;
    const bool goes_on = panel.begin * cpu::kBlock > task.steps[progress.step].begin;
#pragma GCC unroll 16
    for (int t = 0; t < T; ++t) {
      tile.sums[0][t] = goes_on ? partials.sums[progress.partials].sums[0][t] : zero();
    }
    for (int64_t b = panel.begin; b < panel.begin + kAhead; ++b) {
      multiply_block(b);
    }
    for (int64_t b = panel.begin; b < panel.end;) {
      const int64_t step_end = task.steps[progress.step].end / cpu::kBlock;
      const int64_t end = step_end < panel.end ? step_end : panel.end;
      for (; b < end; ++b) {
        multiply_block(b + kAhead);
        source.prefetch(b - panel.begin);
        scale<T>(panel.packed, b, dots[(b - panel.begin) & kAhead], x[b], tile);
      }
      if (b == step_end) {
        end_step<T>(source, tile, partials, progress);
      }
    }
    if (panel.end < task.columns / cpu::kBlock) {
      keep(tile, partials.sums[progress.partials]);
    }
    return progress;
  }

  /// How many blocks ahead of multiplying it a block is unpacked for a single tile.
  static constexpr int64_t kUnpackAhead = 2;

  /// Row block source.row for a single tile of T tokens: each block is unpacked shortly before it is multiplied, so
  /// that weights are read as evenly as they are used.
  template <int T>
  static void run_single_tile(const TileSource& source, const TileBlock* x) {
    constexpr int64_t kRing = 8;
    static_assert(kRing > kAhead + kUnpackAhead);
    const cpu::LinearTask& task = source.task;
    const int64_t block_count = task.columns / cpu::kBlock;
    const std::byte* packed = source.rows(0);
    TilePartials partials;
    alignas(64) std::byte integers[kRing][kBlockBytes];
    alignas(64) int32_t dots[kAhead + 1][kDots * T * cpu::kLanes];
    const auto unpack_block = [&](int64_t b) __attribute__((always_inline)) {
      if (b < block_count) {
        prefetch(packed, b);
        unpack(packed, b, integers[b % kRing]);
      }
    };
    const auto multiply_block = [&](int64_t b) __attribute__((always_inline)) {
      if (b < block_count) {
        multiply<T>(integers[b % kRing], x[b], dots[b & kAhead]);
      }
    };
    for (int64_t b = 0; b < kAhead + kUnpackAhead; ++b) {
      unpack_block(b);
    }
    for (int64_t b = 0; b < kAhead; ++b) {
      multiply_block(b);
    }
    Progress progress;
    Tile<1, T> tile;
#pragma GCC unroll 16
    for (int t = 0; t < T; ++t) {
      tile.sums[0][t] = zero();
    }
    for (int64_t b = 0; b < block_count;) {
      for (const int64_t end = task.steps[progress.step].end / cpu::kBlock; b < end; ++b) {
        unpack_block(b + kAhead + kUnpackAhead);
        multiply_block(b + kAhead);
        scale<T>(packed, b, dots[b & kAhead], x[b], tile);
      }
      end_step<T>(source, tile, partials, progress);
    }
  }

  /// One row block, tokens of `tiles`; `x` [tiles][blocks].
  static void run_row_block(TileSource source, const TokenTiles& tiles, const TileBlock* x) {
    constexpr int64_t kMostTiles = kTokenChunk / 16;
    const int64_t block_count = source.task.columns / cpu::kBlock;
    TilePartials partials[kMostTiles];
    alignas(64) std::byte integers[kPanelBlocks * kBlockBytes];
    Progress progress;
    const int64_t panels = (block_count + kPanelBlocks - 1) / kPanelBlocks;
    for (int64_t p = 0; p < panels; ++p) {
      const int64_t end = block_count * (p + 1) / panels;
      const Panel panel{block_count * p / panels, end, source.rows(0), integers};
      unpack(panel, integers);
      // What comes behind the panel, spread evenly over the blocks of all tiles.
      const int64_t lines = (panel.blocks() * kPackedBytes + cpu::kCacheLine - 1) / cpu::kCacheLine;
      const int64_t units = panel.blocks() * tiles.count();
      source.ahead_bytes = (lines + units - 1) / units * cpu::kCacheLine;
      source.ahead = panel.packed + Format::scales_offset(end);
      Progress after;
      for (int64_t i = 0; i < tiles.count(); ++i) {
        source.token = tiles.first_token(i);
        const TileBlock* of_tile = x + i * block_count;
        after = tiles.tokens(i) == 16 ? add_panel<16>(source, panel, of_tile, progress, partials[i])
                                      : add_panel<8>(source, panel, of_tile, progress, partials[i]);
        source.ahead += panel.blocks() * source.ahead_bytes;
      }
      progress = after;
    }
  }

  /// Row blocks [begin, end) of the part, tokens of `tiles`, whose activations are at `x` if they are `gathered`, else
  /// come there.
  static void run(const cpu::LinearTask& task, const cpu::LinearPart& part, const TokenTiles& tiles, TileBlock* x,
                  bool gathered, int64_t begin, int64_t end) {
    const int64_t block_count = task.columns / cpu::kBlock;
    for (int64_t i = 0; !gathered && i < tiles.count(); ++i) {
      gather(task, tiles.first_token(i), tiles.tokens(i), x + i * block_count);
    }
    TileSource source{.task = task, .part = part, .row = begin, .token = tiles.first_token(0)};
    for (; source.row < end; ++source.row) {
      if (tiles.count() > 1) {
        run_row_block(source, tiles, x);
      } else if (tiles.tokens(0) == 16) {
        run_single_tile<16>(source, x);
      } else {
        run_single_tile<8>(source, x);
      }
    }
  }
};

/// Tokens whose activations have room as tiles, a multiple of 16.
inline int64_t tokens_with_room(const cpu::LinearTask& task) {
  return task.room_bytes / (task.columns / cpu::kBlock * static_cast<int64_t>(sizeof(TileBlock))) * 16;
}

/// Many tokens, with room for the activations of a tile at least.
template <class Format>
void run_tiles(const cpu::LinearTask& task, const cpu::LinearPart& part, int64_t begin, int64_t end) {
  const int64_t roomy = tokens_with_room(task);
  const int64_t chunk = roomy < kTokenChunk ? roomy : kTokenChunk;
  const bool keeps_all = (task.tokens + chunk - 1) / chunk * chunk <= roomy;
  tile_configure(tile_shapes(cpu::kBlock / Format::kDots));
  for (int64_t token = 0; token < task.tokens; token += chunk) {
    auto* x = reinterpret_cast<TileBlock*>(task.room) + (keeps_all ? token / 16 * (task.columns / cpu::kBlock) : 0);
    const int64_t last = token + chunk < task.tokens ? token + chunk : task.tokens;
    // A rest that no tile has room for is taken together with tokens before it.
    const TokenTiles tiles{last - token < kLeastTileTokens ? last - kLeastTileTokens : token, last};
    TileProducts<Format>::run(task, part, tiles, x, keeps_all && task.room_has_activations, begin, end);
  }
  tile_release();
}

}  // namespace longship::LONGSHIP_CPU_NAMESPACE
