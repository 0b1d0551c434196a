#include "engine/backend/cuda/kernels/decode_attention.h"

#include "engine/backend/cuda/kernels/decode_attention_kernel.h"

namespace longship::cuda {

int decode_attention_blocks(KvType type, int head_dim, std::size_t block_shared_bytes) {
  if (type == KvType::kF32 || head_dim % kEight != 0 || head_dim > 256) {
    return 0;
  }
  return type == KvType::kQ8 ? decode_blocks_type<KvType::kQ8>(head_dim, block_shared_bytes)
                             : decode_blocks_type<KvType::kF16>(head_dim, block_shared_bytes);
}

void launch_decode_attention(const AttentionArguments& arguments, const KvView& kv, StreamHandle stream) {
  switch (kv.type) {
    case KvType::kF16:
      launch_decode_type<KvType::kF16>(arguments, kv, stream);
      break;
    case KvType::kBF16:
      launch_decode_type<KvType::kBF16>(arguments, kv, stream);
      break;
    default:
      launch_decode_type<KvType::kQ8>(arguments, kv, stream);
  }
}

}  // namespace longship::cuda
