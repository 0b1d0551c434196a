#include "engine/backend/cuda/kernels/warpgroup_attention.h"

#include "engine/backend/cuda/kernels/warpgroup_attention_kernel.h"

namespace longship::cuda {

bool has_warpgroup_attention(const KvView& kv, int major, int minor, std::size_t block_shared_bytes) {
  constexpr int kNarrowest = 40;  // narrower heads would be mostly padding
  const bool stored_as_operands = kv.type == KvType::kF16 || kv.type == KvType::kBF16;
  const std::size_t bytes = kv.head_dim <= 64 ? WarpgroupMemory<64>::bytes() : WarpgroupMemory<128>::bytes();
  return major == 9 && minor == 0 && stored_as_operands && kv.head_dim % kEight == 0 && kv.head_dim >= kNarrowest &&
         kv.head_dim <= 128 && bytes <= block_shared_bytes;
}

void launch_warpgroup_attention(const AttentionArguments& arguments, const KvView& kv, int multiprocessors,
                                StreamHandle stream) {
  if (kv.type == KvType::kBF16) {
    launch_warpgroup_type<KvType::kBF16>(arguments, kv, multiprocessors, stream);
  } else {
    launch_warpgroup_type<KvType::kF16>(arguments, kv, multiprocessors, stream);
  }
  if (arguments.segments > 1) {
    merge_segments(arguments, kv.head_dim, stream);
  }
}

}  // namespace longship::cuda
