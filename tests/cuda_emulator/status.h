#pragma once

#include "cuda/api.h"

namespace longship::cuda::emulator {

// Values of cudaError_t that the emulated runtime returns.
inline constexpr Status kInvalidValue = 1;
inline constexpr Status kOutOfMemory = 2;
inline constexpr Status kInvalidDevice = 101;
inline constexpr Status kInvalidContext = 201;
inline constexpr Status kInvalidHandle = 400;
inline constexpr Status kCaptureUnsupported = 900;
inline constexpr Status kCaptureUnjoined = 904;
inline constexpr Status kCaptureIsolation = 905;

}  // namespace longship::cuda::emulator
