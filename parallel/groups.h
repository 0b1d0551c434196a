#pragma once

#include <cstdint>

#include "core/dtype.h"

namespace longship {

/// The fixed groups in which contracted dimensions are summed: a function of the model, never of the layout.

/// Columns in a group of a feed-forward contraction over `columns`: the largest power of two <= 256 that
/// leaves 24 groups or more, but at least 32 for block-quantised weights, else 2, as products of BF16 weights, an
/// adapter's too, add up pairs; where even that leaves fewer than 24, that least size.
int64_t ffn_group_columns(int64_t columns, DType weight);

/// Query heads in a group of the attention output's contraction: the smallest number of heads whose columns are a
/// multiple of 32 if any weight of the model is block-quantised, else of 2, as products of BF16 weights add up pairs.
/// Heads are cut, and keys and values stored, in these units.
int64_t heads_per_group(int64_t head_dim, bool block_quantised);

/// Rows in the unit by which a vocabulary of `rows` is cut over `tp` ranks: 1024, or 1 where that leaves
/// ranks without a block.
int64_t vocabulary_unit(int64_t rows, int tp);

}  // namespace longship
