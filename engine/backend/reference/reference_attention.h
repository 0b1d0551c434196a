#pragma once

#include "engine/backend/kernels.h"

namespace longship {

// The attention of the reference backend; see Kernels.
void reference_kv_write(const HeadsView& keys, const HeadsView& values, const Batch& batch, KvLayer& kv);
void reference_attention(const HeadsView& query, const KvLayer& kv, const Batch& batch, const AttentionSpec& spec,
                         Tensor& out);

}  // namespace longship
