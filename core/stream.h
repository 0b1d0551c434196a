#pragma once

namespace longship {

/// The order in which a device runs operations. Operations and collectives take the stream that they
/// are ordered on and return nothing to the host. On a CPU, whose stream this one is, an operation is complete when the
/// call returns; other devices have streams of their own, made by Kernels::make_stream().
class Stream {
 public:
  Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  virtual ~Stream() = default;

  /// The device's handle of the stream; null on a CPU.
  virtual void* native() const { return nullptr; }
  /// Returns once everything that was put on the stream is done.
  virtual void synchronise() {}
};

}  // namespace longship
