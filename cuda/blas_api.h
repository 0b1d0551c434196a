#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cuda/api.h"

namespace longship::cuda {

using BlasHandle = struct BlasOpaque*;
using BlasPlan = struct BlasPlanOpaque*;

enum class BlasType : uint8_t { kF32, kF16, kBf16 };

/// y [tokens, outputs] = x [tokens, inputs] w [outputs, inputs]^T, all by rows; x and w of one type, sums f32 (never
/// TF32), y f32 or of the type of x.
struct MatmulShape {
  int64_t tokens = 0;
  int64_t outputs = 0;
  int64_t inputs = 0;
  int64_t x_stride = 0;  ///< Elements between rows; at least as many as a row has.
  int64_t w_stride = 0;
  int64_t y_stride = 0;
  BlasType type = BlasType::kBf16;
  BlasType result = BlasType::kF32;

  bool operator==(const MatmulShape&) const = default;
};

/// What we use of cuBLASLt, so that another implementation can stand in for it. Bits of a result may differ between
/// shapes and between versions of the library. Functions return zero for success, else a cublasStatus_t. Thread-safe.
struct BlasApi {
  std::string_view name;  ///< "cublasLt 13.1.0" or "cublasLt-emulated".

  const char* (*error_string)(Status);
  Status (*create)(BlasHandle* handle);  ///< For the device of this host thread.
  Status (*destroy)(BlasHandle handle);
  /// Chooses an algorithm for a shape that uses at most `workspace_bytes`; to be kept by the caller, as that costs
  /// tens of microseconds.
  Status (*plan)(BlasHandle handle, const MatmulShape& shape, std::size_t workspace_bytes, BlasPlan* plan);
  Status (*destroy_plan)(BlasPlan plan);
  /// Queues the product. `workspace` holds the bytes that the plan was made with, for work of one stream at a time;
  /// it and x, w and y lie at multiples of 16. May be captured.
  Status (*matmul)(BlasHandle handle, BlasPlan plan, const void* x, const void* w, void* y, void* workspace,
                   StreamHandle stream);
};

/// The implementation that this library was linked with; the first call loads the real one. Null if that fails, with
/// the reason in `why`.
const BlasApi* blas_api(std::string& why);

/// Throws Error (kInternal) with the operation and the library's explanation, unless `status` is success.
void check_blas(const BlasApi& api, Status status, std::string_view operation);

}  // namespace longship::cuda
