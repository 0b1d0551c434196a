#include "engine/backend/kernels.h"

#include <cstring>

namespace longship {

void Kernels::write(const void* host, Tensor& x, Stream&) {
  if (!x.empty()) {
    std::memcpy(x.data<void>(), host, static_cast<std::size_t>(x.bytes()));
  }
}

void Kernels::read(const Tensor& x, void* host, Stream&) {
  if (!x.empty()) {
    std::memcpy(host, x.data<void>(), static_cast<std::size_t>(x.bytes()));
  }
}

}  // namespace longship
