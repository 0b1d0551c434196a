#pragma once

#include "core/roofline.h"
#include "core/thread_pool.h"
#include "engine/backend/cpu/isa.h"

namespace longship::cpu {

/// What the threads of `pool` reach together: memory read straight on from a buffer larger than the caches, and
/// multiply-adds, of int8 values or of f32 values. The best of several tries of some milliseconds each.
Roofline measure_roofline(const Isa& isa, ThreadPool& pool, bool int8);

}  // namespace longship::cpu
