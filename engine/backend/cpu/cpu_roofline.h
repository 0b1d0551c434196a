#pragma once

#include "core/roofline.h"
#include "core/thread_pool.h"
#include "engine/backend/cpu/isa.h"

namespace longship::cpu {

/// See Isa::multiply_int8.
using MultiplyFunction = int64_t (*)(int64_t rounds);

/// What the threads of `pool` reach together: memory read straight on from a buffer larger than the caches, and
/// multiply-adds by `multiply`. Of reading the median of the tries of 0.2 s, as other jobs of the host take of the same
/// bandwidth now and then; of multiplying the best of 0.1 s.
Roofline measure_roofline(const Isa& isa, ThreadPool& pool, MultiplyFunction multiply);

}  // namespace longship::cpu
