#pragma once

#include "core/stream.h"
#include "cuda/api.h"
#include "cuda/watch.h"

namespace longship::cuda {

/// A stream of the current device.
class CudaStream : public Stream {
 public:
  CudaStream() { check(api().stream_create(&handle_), "create a stream"); }
  ~CudaStream() override { api().stream_destroy(handle_); }

  void* native() const override { return handle_; }
  /// Ends with an error where what it waits for needs a rank that is gone.
  void synchronise() override { wait(handle_); }

  StreamHandle handle() const { return handle_; }

 private:
  StreamHandle handle_ = nullptr;
};

inline StreamHandle handle_of(const Stream& stream) {
  return static_cast<StreamHandle>(stream.native());
}

}  // namespace longship::cuda
