// How columns of a packed weight are added up, per layout: R row blocks times T tokens at once.

namespace longship::LONGSHIP_CPU_NAMESPACE {

#define LONGSHIP_INLINE inline __attribute__((always_inline))

LONGSHIP_INLINE void prefetch_second_cache(const std::byte* from) {
  constexpr int kReading = 0;
  constexpr int kSecondCache = 2;
  __builtin_prefetch(from, kReading, kSecondCache);
}

/// Sums of a tile: one lane an output row.
template <int R, int T>
struct Tile {
  F32 sums[R][T];
};

/// What a tile reads: R row blocks from row block `row`, tokens from `token`. For unit u of its columns (a column, or a
/// block of 32) it asks for the `ahead_bytes` bytes from ahead + u x ahead_bytes on, which a later tile will read.
struct TileSource {
  const cpu::LinearTask& task;
  const cpu::LinearPart& part;
  int64_t row = 0;
  int64_t token = 0;
  const std::byte* ahead = nullptr;  ///< Null: the row blocks are read straight on.
  int64_t ahead_bytes = 0;
  const std::byte* unpacked = nullptr;  ///< See unpack(): the integers of the R row blocks, one after the other.

  const std::byte* rows(int r) const { return part.data + (row + r) * part.row_block_bytes; }

  LONGSHIP_INLINE void prefetch(int64_t unit) const {
    for (int64_t i = 0; i < ahead_bytes; i += cpu::kCacheLine) {
      prefetch_second_cache(ahead + unit * ahead_bytes + i);
    }
  }
};

template <cpu::Layout kLayout>
struct PlainFormat {
  static constexpr int64_t kUnit = 1;
  static constexpr int kFewTokens = 0;  // see BlockFormat
  // Tiles that fill the registers with sums and convert each weight as seldom as they can.
  static constexpr int kTileRows = kRegisters >= 32 ? 4 : 1;
  static constexpr int kTileTokens = kRegisters >= 32 ? 4 : 6;
  // Up to so many tokens a single row block has too few sums to hide the latency of adding to them: they take two.
  static constexpr int64_t kPairTokens = kRegisters >= 32 ? 0 : 2;
  static constexpr int64_t kUnpackTokens = INT64_MAX;  // never
  static constexpr int64_t kBytes = kLayout == cpu::Layout::kF32 ? 4 : 2;

  static LONGSHIP_INLINE F32 column(const std::byte* from) {
    if constexpr (kLayout == cpu::Layout::kF32) {
      return load(reinterpret_cast<const float*>(from));
    } else if constexpr (kLayout == cpu::Layout::kF16) {
      return load_f16(reinterpret_cast<const uint16_t*>(from));
    } else {
      return load_bf16(reinterpret_cast<const uint16_t*>(from));
    }
  }

  template <int R, int T>
  static LONGSHIP_INLINE void add_columns(const TileSource& source, int64_t begin, int64_t end, Tile<R, T>& tile) {
    const float* x = source.task.x + source.token * source.task.columns;
    const std::byte* w = source.rows(0);
    for (int64_t k = begin; k < end; ++k) {
      if constexpr (R > 1) {
        source.prefetch(k);
      }
      F32 rows[R];
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        rows[r] = column(w + r * source.part.row_block_bytes + k * cpu::kLanes * kBytes);
      }
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) {
        const F32 value = broadcast(x[t * source.task.columns + k]);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
          tile.sums[r][t] = fma(rows[r], value, tile.sums[r][t]);
        }
      }
    }
  }
};

/// Blocks of 32 columns, int8 dot products: sum += (scale of the weights x scale of the activations) x dot, for all 32
/// or for each 16 columns, then minimum x sum of the activations.
template <cpu::Layout kLayout, bool kUnpacked = false>
struct BlockFormat {
  using Unpacked = BlockFormat<kLayout, true>;
  static constexpr cpu::BlockShape kShape = cpu::block_shape(kLayout);
  static constexpr int64_t kUnit = cpu::kBlock;
  static constexpr bool kNibbles = kShape.bits < 8;
  static constexpr int kDots = kShape.scales == 2 && !kShape.minimum ? 2 : 1;
  static constexpr int64_t kVector = 64;
  static constexpr int64_t kQuantBytes = kShape.quant_bytes();
  static constexpr int64_t kScaleBytes = 32 * kShape.scales;
  static constexpr int64_t kRun = kShape.blocks_per_run();
  static constexpr int64_t kRunBytes = kShape.run_bytes();
  // Up to so many tokens memory, read straight on, is the limit.
  static constexpr int kFewTokens = kNibbles ? 4 : 2;
  /// Row blocks that such tokens take side by side: a core waits for more lines at once where it reads several streams.
  static constexpr int few_token_rows(int tokens) {
    if (kRegisters < 32) {
      return tokens > 1 ? 1 : kNibbles ? 2 : 4;
    }
    return tokens <= 2 ? 4 : 2;
  }
  static constexpr int kTileRows = kRegisters >= 32 ? 2 : 1;
  static constexpr int kTileTokens = kRegisters >= 32 ? 6 : 4;
  static constexpr int64_t kPairTokens = 0;
  // From so many tokens on integers are unpacked once for all tiles instead of once for each, where that takes long.
  static constexpr int64_t kUnpackTokens = kUnpacked || kShape.bits == 8     ? INT64_MAX
                                           : kShape.bits > 4                 ? 16
                                           : kShape.table || kRegisters < 32 ? 64
                                                                             : INT64_MAX;
  // How far ahead of its use a pass over R row blocks that memory limits asks for weights. With wide registers into the
  // second cache, and into the first when it is nearly their turn. Else only nibbles: bytes take longer to arrive than
  // to compute with, so that the machine's own prefetching keeps up.
  static constexpr int64_t far_bytes(int rows) {
    return kRegisters < 32 ? 6144 / rows : rows < 4 ? 12288 / rows : 4096;
  }
  static constexpr int64_t kNearBytes = 2048;

  /// Asks for what comes behind block b of R row blocks side by side; behind the last block come the next R.
  template <int R>
  static LONGSHIP_INLINE void prefetch_blocks(const std::byte* const (&w)[R], int64_t b, int64_t row_block_bytes) {
    const auto ahead = [&](int64_t bytes) {
      return bytes + (b / kRun * kRunBytes + bytes < row_block_bytes ? 0 : (R - 1) * row_block_bytes);
    };
    const int64_t far = ahead(far_bytes(R));
    const int64_t near = ahead(kNearBytes);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      for (int64_t line = 0; line < kQuantBytes + kScaleBytes; line += cpu::kCacheLine) {
        if constexpr (kRegisters >= 32) {
          prefetch_second_cache(w[r] + far + line);
          __builtin_prefetch(w[r] + near + line);
        } else if constexpr (kNibbles) {
          __builtin_prefetch(w[r] + far + line);
        }
      }
    }
  }

  static int64_t scales_offset(int64_t b) {
    return b / kRun * kRunBytes + b % kRun * kScaleBytes;
  }
  static int64_t quants_offset(int64_t b) {
    return b / kRun * kRunBytes + kVector + b % kRun * kQuantBytes;
  }

  static constexpr bool kHasOffset = kShape.offset != 0 && (kShape.bits < 8 || kDotU8IsBiased);

  /// What a dot product over the offset integers has too much, negated.
  static LONGSHIP_INLINE I32 too_much(const cpu::ActivationBlock& block, int dot) {
    constexpr uint32_t kWord = static_cast<uint16_t>(-kShape.offset);
    const uint32_t words = kDots == 1 ? kWord << 16U | kWord : dot == 0 ? kWord : kWord << 16U;
    return all_parts(dot_words(first_part(zero_i32()), first_part(broadcast_bytes(block.sums)),
                               first_part(broadcast_i32(static_cast<int32_t>(words)))));
  }

  /// Integers 4 step to 4 step + 3 of each row, or those + 16 for high nibbles.
  static LONGSHIP_INLINE Bytes integers(const std::byte* quants, int step, bool high) {
    if constexpr (kUnpacked) {
      return load_bytes(quants + (2 * step + (high ? 1 : 0)) * kVector);
    }
    const Bytes word = load_bytes(quants + step * kVector);
    if constexpr (!kNibbles) {
      return word;
    }
    Bytes value = high ? high_nibbles(word) : low_nibbles(word);
    if constexpr (kShape.table) {
      value = look_up(kFp4Integers, value);
    }
    if constexpr (kShape.bits == 5) {
      value = with_bits<1>(value, load_bytes(quants + 4 * kVector), high ? step + 4 : step);
    }
    if constexpr (kShape.bits == 6) {
      value = with_bits<2>(value, load_bytes(quants + (high ? 5 : 4) * kVector), 2 * step);
    }
    return value;
  }

  /// Writes the integers of a row block to `out`, [blocks][8 vectors], in the order of integers().
  static void unpack(const std::byte* row_block, int64_t columns, std::byte* out) {
    for (int64_t b = 0; b < columns / cpu::kBlock; ++b) {
      const std::byte* quants = row_block + quants_offset(b);
#pragma GCC unroll 4
      for (int step = 0; step < 4; ++step, out += 2 * kVector) {
        store_bytes(out, integers(quants, step, false));
        store_bytes(out + kVector, integers(quants, step, true));
      }
    }
  }

  /// Adds the products of a block to `dots`, the words in between (see first_products) folded in as often as need be.
  template <int R, int T>
  static LONGSHIP_INLINE void dot_block(const std::byte* const (&w)[R], const int8_t* x, int64_t stride,
                                        I32 (&dots)[kDots][R][T]) {
    constexpr int kMost = most_added(kShape.table ? 5 : kShape.bits);
    constexpr int kFold = kMost < 8 / kDots ? kMost : 8 / kDots;
    constexpr bool kLowFirst = kLowNibblesFirst && T > 1;
    I32 words[kDots][R][T];
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      const bool high = kNibbles && (kLowFirst ? i >= 4 : i % 2 != 0);
      const int step = !kNibbles ? i : kLowFirst ? i % 4 : i / 2;
      const int dot = kDots == 2 && high ? 1 : 0;
      const int added = kDots == 2 ? step : i;
      Bytes values[R];
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        values[r] = integers(w[r], step, high);
      }
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) {
        const Bytes activations = broadcast_bytes(x + t * stride + (high ? 16 : 0) + 4 * step);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
          I32& sum = dots[dot][r][t];
          if constexpr (!kNibbles) {
            sum = dot_u8(sum, values[r], activations);
          } else {
            I32& word = words[dot][r][t];
            word = added % kFold == 0 ? first_products(sum, values[r], activations)
                                      : add_products(word, values[r], activations);
            if ((added + 1) % kFold == 0) {
              sum = fold_products(sum, word);
            }
          }
        }
      }
    }
  }

  template <int R, int T>
  static LONGSHIP_INLINE void add_columns(const TileSource& source, int64_t begin, int64_t end, Tile<R, T>& tile) {
    const int64_t columns = source.task.columns;
    const int64_t block_count = columns / cpu::kBlock;
    const int8_t* x = source.task.quants + source.token * columns;
    const cpu::ActivationBlock* blocks = source.task.blocks + source.token * block_count;
    for (int64_t b = begin / kUnit; b < end / kUnit; ++b) {
      const std::byte* w[R];
      I32 dots[kDots][R][T];
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        w[r] = kUnpacked ? source.unpacked + (r * block_count + b) * 8 * kVector : source.rows(r) + quants_offset(b);
#pragma GCC unroll 8
        for (int t = 0; t < T; ++t) {
#pragma GCC unroll 2
          for (int dot = 0; dot < kDots; ++dot) {
            dots[dot][r][t] = kHasOffset && !kOffsetsLast ? too_much(blocks[t * block_count + b], dot) : zero_i32();
          }
        }
      }
      if (kUnpacked || (R > 1 && source.ahead != nullptr)) {
        source.prefetch(b);
      } else {
        prefetch_blocks(w, b, source.part.row_block_bytes);
      }
      dot_block(w, x + b * cpu::kBlock, columns, dots);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const auto* scales = reinterpret_cast<const uint16_t*>(source.rows(r) + scales_offset(b));
        scale_dots<T>(
            scales, [&](int t) -> const auto& { return blocks[t * block_count + b]; },
            [&](int dot, int t) {
              const I32 sum = dots[dot][r][t];
              return kHasOffset && kOffsetsLast ? add(sum, too_much(blocks[t * block_count + b], dot)) : sum;
            },
            tile.sums[r]);
      }
    }
  }

  /// Adds the scaled products of a row block, dot(number, t), to its sums of T tokens, whose ActivationBlocks' scales
  /// activation(t) has.
  template <int T, class Activations, class Dots>
  static LONGSHIP_INLINE void scale_dots(const uint16_t* scales, const Activations& activation, const Dots& dot,
                                         F32 (&sums)[T]) {
    const F32 scale = load_f16(scales);
    const F32 second = kShape.scales == 2 ? load_f16(scales + cpu::kLanes) : zero();
#pragma GCC unroll 16
    for (int t = 0; t < T; ++t) {
      const auto& block = activation(t);
      F32& sum = sums[t];
      sum = fma(to_f32(dot(0, t)), mul(scale, broadcast(block.scale)), sum);
      if constexpr (kDots == 2) {
        sum = fma(to_f32(dot(1, t)), mul(second, broadcast(block.scale)), sum);
      }
      if constexpr (kShape.minimum) {
        sum = fma(second, broadcast(block.scaled_sum), sum);
      }
    }
  }
};

}  // namespace longship::LONGSHIP_CPU_NAMESPACE
