#pragma once

#include "engine/backend/cuda/kernels/attention.h"

namespace longship::cuda {

/// Queries of a block, rows x heads.
inline constexpr int kWarpgroupQueries = 128;

/// Whether launch_warpgroup_attention() takes such keys and values on a device of compute capability major.minor.
bool has_warpgroup_attention(const KvView& kv, int major, int minor, std::size_t block_shared_bytes);

/// As launch_tensor_attention(), rounded alike, in tiles of kWarpgroupQueries queries on Hopper's matrix units, which a
/// block of each of `multiprocessors` takes in turn.
void launch_warpgroup_attention(const AttentionArguments& arguments, const KvView& kv, int multiprocessors,
                                StreamHandle stream);

}  // namespace longship::cuda
