#pragma once

#include "core/stream.h"
#include "cuda/api.h"

namespace longship::cuda {

/// A stream of the current device.
class CudaStream : public Stream {
 public:
  CudaStream() { check(api().stream_create(&handle_), "create a stream"); }
  ~CudaStream() override { api().stream_destroy(handle_); }

  void* native() const override { return handle_; }
  void synchronise() override { check(api().stream_synchronize(handle_), "wait for the device"); }

  StreamHandle handle() const { return handle_; }

 private:
  StreamHandle handle_ = nullptr;
};

inline StreamHandle handle_of(const Stream& stream) {
  return static_cast<StreamHandle>(stream.native());
}

}  // namespace longship::cuda
