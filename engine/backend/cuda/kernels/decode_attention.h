#pragma once

#include "engine/backend/cuda/kernels/attention.h"

namespace longship::cuda {

/// Blocks of launch_decode_attention() that a multiprocessor takes at once where a block may have so much shared
/// memory; 0: keys and values of this type or width are not for it.
int decode_attention_blocks(KvType type, int head_dim, std::size_t block_shared_bytes);

/// Attention of slices of few rows on tensor cores, which reads keys and values about as fast as memory gives them:
/// queries and weights rounded as by launch_tensor_attention(), values of q8_0 too, sums in f32. A sequence's keys are
/// divided evenly among `segments` blocks, whose results the last one merges; its bits depend on that. Takes `tiles`,
/// and where there are several segments `partials` and `arrivals`.
void launch_decode_attention(const AttentionArguments& arguments, const KvView& kv, StreamHandle stream);

}  // namespace longship::cuda
