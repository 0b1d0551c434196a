#pragma once

namespace longship {

/// The order in which a device runs operations. Operations and collectives take the stream that they
/// are ordered on and return nothing to the host. On a CPU an operation is complete when the call returns.
class Stream {
 public:
  Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
};

}  // namespace longship
