#include <string>

#include "core/error.h"
#include "cuda/api.h"
#include "cuda/blas_api.h"

namespace longship::cuda {

void check(Status status, std::string_view operation) {
  if (status != kSuccess) {
    throw Error(ErrorKind::kInternal,
                std::string(api().name) + ": " + std::string(operation) + ": " + api().error_string(status));
  }
}

void check_blas(const BlasApi& api, Status status, std::string_view operation) {
  if (status != kSuccess) {
    throw Error(ErrorKind::kInternal,
                std::string(api.name) + ": " + std::string(operation) + ": " + api.error_string(status));
  }
}

}  // namespace longship::cuda
