#pragma once

#include "core/roofline.h"
#include "core/thread_pool.h"
#include "engine/backend/cpu/isa.h"

namespace longship::cpu {

/// See Isa::multiply_int8.
using MultiplyFunction = int64_t (*)(int64_t rounds);

/// What the threads of `pool` reach together: memory read straight on from a buffer larger than the caches, and
/// multiply-adds by `multiply`. The best of several tries.
Roofline measure_roofline(const Isa& isa, ThreadPool& pool, MultiplyFunction multiply);

}  // namespace longship::cpu
