#pragma once

#include <cstdint>
#include <functional>

#include "cuda/api.h"

namespace longship {

/// Seconds of one call: the median of some samples, and how far the middle four fifths of these lie apart, as a part
/// of it.
struct CallTime {
  double seconds = 0;
  double spread = 0;
};

/// What a graph costs the host and the device.
struct GraphTime {
  CallTime launch;  ///< Until the call that launches it returns.
  CallTime run;     ///< On the device, from event to event.
};

/// Times work on a stream by replaying graphs of it. Not synchronised; the stream outlives it.
class CallTimer {
 public:
  /// Puts call number i on the stream, which may be captured; the calls before it have run at least once.
  using Work = std::function<void(int64_t call)>;

  /// `quick`: every call once and one sample, to show that all runs.
  CallTimer(cuda::StreamHandle stream, bool quick);
  ~CallTimer();
  CallTimer(const CallTimer&) = delete;
  CallTimer& operator=(const CallTimer&) = delete;

  /// Calls 0 .. `different` - 1 differ in the memory that they use, and all take turns. Errors: as cuda::check().
  CallTime time(int64_t different, const Work& work);
  /// One graph of `calls` calls.
  GraphTime time_graph(int64_t calls, const Work& work);

 private:
  double seconds_of(const std::function<void()>& work);

  cuda::StreamHandle stream_;
  bool quick_;
  cuda::EventHandle begin_ = nullptr;
  cuda::EventHandle end_ = nullptr;
};

}  // namespace longship
