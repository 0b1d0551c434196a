#pragma once

#include <cstdint>
#include <vector>

namespace longship {

/// Sizes of the model whose operations are timed, those of an 8B-class one, and of the ceilings.
struct BenchShape {
  int64_t hidden = 4096;
  int64_t heads = 32;
  int64_t kv_heads = 8;
  int64_t head_dim = 128;
  int64_t inner = 14336;
  int64_t vocab = 128256;

  std::vector<int64_t> few_tokens = {1, 8, 16};
  std::vector<int64_t> many_tokens = {32, 512, 2048};
  std::vector<int64_t> depths = {1024, 8192, 32768, 131072};  ///< Keys of one sequence, one token each.
  int64_t sequences = 8;                                      ///< Of a batch, `sequence_depth` keys each.
  int64_t sequence_depth = 4096;
  std::vector<int64_t> prompts = {512, 2048, 8192};
  int64_t rows = 2048;  ///< Tokens of operations that work on elements.

  int64_t copy_bytes = int64_t{1} << 30;
  int64_t product = 8192;  ///< Rows and columns of the matrices that show what cuBLASLt reaches.

  int64_t query_width() const { return heads * head_dim; }
  int64_t kv_width() const { return kv_heads * head_dim; }
  int64_t qkv_width() const { return query_width() + 2 * kv_width(); }

  /// So small that all of it runs in the emulator.
  static BenchShape small() {
    return {.hidden = 256,
            .heads = 8,
            .kv_heads = 2,
            .head_dim = 32,
            .inner = 256,
            .vocab = 320,
            .few_tokens = {1, 3},
            .many_tokens = {20},
            .depths = {100},
            .sequences = 2,
            .sequence_depth = 70,
            .prompts = {20},
            .rows = 4,
            .copy_bytes = 1 << 16,
            .product = 64};
  }
};

}  // namespace longship
