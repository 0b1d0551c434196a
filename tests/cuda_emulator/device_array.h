#pragma once

#include <utility>
#include <vector>

#include "cuda/api.h"

namespace longship::cuda {

/// A stream that is destroyed with the object.
class TestStream {
 public:
  TestStream() { check(api().stream_create(&handle_), "stream"); }
  ~TestStream() { api().stream_destroy(handle_); }
  TestStream(const TestStream&) = delete;
  TestStream& operator=(const TestStream&) = delete;

  operator StreamHandle() const { return handle_; }
  void synchronize() const { check(api().stream_synchronize(handle_), "synchronize"); }

 private:
  StreamHandle handle_ = nullptr;
};

/// Values in device memory.
template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(std::size_t count) : count_(count) {
    check(api().malloc(reinterpret_cast<void**>(&data_), count * sizeof(T)), "malloc");
  }
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) {
    const TestStream stream;
    check(api().memcpy_async(data_, values.data(), count_ * sizeof(T), CopyKind::kHostToDevice, stream), "copy");
    stream.synchronize();
  }
  ~DeviceArray() { api().free(data_); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  T* data() const { return data_; }
  std::size_t size() const { return count_; }
  std::vector<T> read(StreamHandle stream) const {
    std::vector<T> values(count_);
    check(api().memcpy_async(values.data(), data_, count_ * sizeof(T), CopyKind::kDeviceToHost, stream), "copy");
    check(api().stream_synchronize(stream), "synchronize");
    return values;
  }

 private:
  std::size_t count_;
  T* data_ = nullptr;
};

}  // namespace longship::cuda
