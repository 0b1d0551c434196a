#include "engine/backend/cuda/kernels/tensor_attention.h"

#include "engine/backend/cuda/kernels/tensor_attention_kernel.h"

namespace longship::cuda {

bool has_tensor_attention(int head_dim, std::size_t block_shared_bytes) {
  return head_dim % kEight == 0 && head_dim <= 256 && tensor_shared_bytes(head_dim) <= block_shared_bytes;
}

void launch_tensor_attention(const AttentionArguments& arguments, const KvView& kv, StreamHandle stream) {
  switch (kv.type) {
    case KvType::kF16:
      launch_tensor_type<KvType::kF16>(arguments, kv, stream);
      break;
    case KvType::kBF16:
      launch_tensor_type<KvType::kBF16>(arguments, kv, stream);
      break;
    case KvType::kQ8:
      launch_tensor_type<KvType::kQ8>(arguments, kv, stream);
      break;
    default:
      launch_tensor_type<KvType::kF32>(arguments, kv, stream);
  }
  if (arguments.segments > 1) {
    merge_segments(arguments, kv.head_dim, stream);
  }
}

}  // namespace longship::cuda
