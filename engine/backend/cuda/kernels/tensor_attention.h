#pragma once

#include "engine/backend/cuda/kernels/attention.h"

namespace longship::cuda {

/// Whether launch_tensor_attention() takes heads as wide as `head_dim` where a block has so much shared memory.
bool has_tensor_attention(int head_dim, std::size_t block_shared_bytes);

/// Attention of slices of many rows on tensor cores: queries, keys, values and the weights of a chunk rounded to bf16
/// (to f16 where keys and values are f16 or q8_0), sums in f32, by online softmax (arXiv 2205.14135) in tiles of
/// kTensorQueries queries. A query's bits depend on its own keys and on the segments alone. Takes `slices` and
/// `tile_rows` of the arguments.
void launch_tensor_attention(const AttentionArguments& arguments, const KvView& kv, StreamHandle stream);

}  // namespace longship::cuda
