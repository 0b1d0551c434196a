#pragma once

#include <chrono>

#include "cuda/api.h"

namespace longship::cuda {

/// Knows whether what it has put on streams can still end well: other ranks take part in it, and may be gone.
class Watch {
 public:
  /// Throws if not. Called often, by the thread that made the watch; never waits. `waited`: how long a wait() has
  /// lasted so far.
  virtual void check(std::chrono::nanoseconds waited) = 0;

 protected:
  /// Registers with the calling thread, in whose waits it then is asked.
  Watch();
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
};

/// Returns once everything that was put on the stream is done. Asks the thread's watches meanwhile and at the end, so
/// that a rank that is gone ends the wait. Errors: those of the watches, and of check().
void wait(StreamHandle stream);
/// The same for what an event was recorded after.
void wait(EventHandle event);

}  // namespace longship::cuda
