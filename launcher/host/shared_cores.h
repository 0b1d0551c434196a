#pragma once

#include <sched.h>

#include <span>

#include "comm/transport.h"

namespace longship {

/// How many cores a rank may use that may run on `mine`, beside the ranks of its host, it among them, that may run on
/// `of_host`: a core that several may use counts in equal parts.
double share_of_cores(const cpu_set_t& mine, std::span<const cpu_set_t> of_host);

/// Compute threads of this rank, at least 1: its share of the cores of its host within the control groups' quota,
/// whether its launcher bound ranks to cores of their own, as srun does, or not. All ranks together.
int threads_of_rank(Transport& transport);

}  // namespace longship
