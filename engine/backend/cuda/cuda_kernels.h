#pragma once

#include <memory>

#include "engine/backend/kernels.h"

namespace longship {

/// Kernels on CUDA device `device`, through the one cuda::Api that the library was linked with. The calling thread's
/// device from then on. Device -1 only counts bytes, for plans, and needs no driver. Operations of a step copy nothing
/// and wait for nothing between begin_step() and read(), except when a program of GroupSteps or a layout of heads first
/// comes. Errors: kInternal with the runtime's explanation.
std::unique_ptr<Kernels> make_cuda_kernels(const BackendOptions& options, int device);

}  // namespace longship
