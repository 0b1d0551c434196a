#pragma once

#include <vector>

#include "core/thread_pool.h"
#include "engine/backend/cpu/isa.h"
#include "engine/backend/kernels.h"

namespace longship::cpu {

/// See Kernels::kv_write.
void write_kv(const Isa& isa, ThreadPool& pool, const HeadsView& keys, const HeadsView& values, const Batch& batch,
              KvLayer& kv);

/// See Kernels::attention. `units` is memory for the plan of the work, kept by the caller between calls.
void attend(const Isa& isa, ThreadPool& pool, const AttentionTask& task, const Batch& batch,
            const std::vector<int32_t>& kv_head, std::vector<AttentionUnit>& units);

}  // namespace longship::cpu
