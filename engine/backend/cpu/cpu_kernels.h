#pragma once

#include "engine/backend/kernels.h"

namespace longship {

/// Kernels for x86-64 CPUs with AVX2 or AVX-512, the instruction set chosen at run time. Errors: kUsage on a CPU
/// without AVX2, or when the environment's LONGSHIP_ISA names an instruction set that is not there.
std::unique_ptr<Kernels> make_cpu_kernels(const BackendOptions& options);

}  // namespace longship
