#pragma once

#include <cstring>
#include <utility>

#include "core/stream.h"
#include "core/tensor.h"
#include "cuda/api.h"
#include "cuda/memory.h"
#include "cuda/watch.h"

namespace longship::conformance {

/// A stream of the device.
class DeviceStream final : public Stream {
 public:
  DeviceStream() { cuda::check(cuda::api().stream_create(&handle_), "a test"); }
  ~DeviceStream() override { cuda::api().stream_destroy(handle_); }

  void* native() const override { return handle_; }
  void synchronise() override { cuda::wait(handle_); }
  cuda::StreamHandle handle() const { return handle_; }

 private:
  cuda::StreamHandle handle_ = nullptr;
};

inline Tensor device_tensor(DType dtype, const Shape& shape) {
  const auto bytes = static_cast<std::size_t>(bytes_of(dtype, element_count(shape)));
  return Tensor::own(dtype, shape, cuda::allocate_device(bytes));
}

inline void copy(const void* from, void* to, int64_t bytes, cuda::CopyKind kind, DeviceStream& stream) {
  if (bytes != 0) {
    cuda::check(cuda::api().memcpy_async(to, from, static_cast<std::size_t>(bytes), kind, stream.handle()), "a test");
  }
}

/// The same values in memory of the device, once the stream has got there.
inline Tensor to_device(const Tensor& x, DeviceStream& stream) {
  Tensor copied = device_tensor(x.dtype(), x.shape());
  copy(x.data<void>(), copied.data<void>(), x.bytes(), cuda::CopyKind::kHostToDevice, stream);
  return copied;
}

/// Waits for the stream.
inline void to_host(const Tensor& from, Tensor& to, DeviceStream& stream) {
  copy(from.data<void>(), to.data<void>(), to.bytes(), cuda::CopyKind::kDeviceToHost, stream);
  stream.synchronise();
}

}  // namespace longship::conformance
