#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "cuda/api.h"
#include "tests/cuda_emulator/graph.h"
#include "tests/cuda_emulator/random.h"

namespace longship::cuda::emulator {

class Stream;

/// One call of event_record: what waits for the event waits for this. Guarded by the scheduler's lock.
struct EventRecord {
  bool done = false;
  std::chrono::steady_clock::time_point time;
  Stream* stream = nullptr;  ///< That records it; null once done.
  std::shared_ptr<Capture> capture;
  int capture_slot = -1;
};

/// An event and its last record.
struct Event {
  std::shared_ptr<EventRecord> last;
};

/// A stream's work that has not run. Guarded by the scheduler's lock.
class Stream {
 public:
  struct Entry {
    std::function<bool()> work;              ///< Called until it returns true; may be empty.
    std::shared_ptr<EventRecord> waits_for;  ///< May be null.
    std::shared_ptr<EventRecord> records;    ///< May be null.
  };

  std::deque<Entry> queue;
  bool busy = false;  ///< A host thread runs its first entry.
  std::thread::id owner = std::this_thread::get_id();
  std::shared_ptr<Capture> capture;
  int capture_lane = 0;
};

/// Runs the work of streams on the host threads that wait for it, in a random order that streams and events allow:
/// among the streams that the same host thread has made, and further ones that these wait for. Thread-safe; no lock is
/// held while work runs.
class Scheduler {
 public:
  static Scheduler& instance();

  Stream* make_stream();
  Status destroy(Stream* stream);
  Event* make_event();
  Status destroy(Event* event);

  Status enqueue(Stream* stream, std::function<void()> work);
  Status enqueue_until_done(Stream* stream, std::function<bool()> work);
  Status record(Event* event, Stream* stream);
  Status wait(Stream* stream, Event* event);

  Status synchronize(Stream* stream);
  Status synchronize(Event* event);
  /// Runs a few entries; kNotReady while some are left.
  Status query(Stream* stream);
  Status query(Event* event);
  Status elapsed_ms(float* milliseconds, const Event* begin, const Event* end);
  /// Runs all work of the streams of this host thread.
  Status synchronize_thread();

  Status begin_capture(Stream* stream);
  Status end_capture(Stream* stream, std::shared_ptr<const Graph>& graph, std::vector<GraphHold>& holds);
  /// See emulator.h.
  void hold_while_recorded(Stream* stream, const std::shared_ptr<std::atomic<int>>& count);
  /// Whether a stream of this host thread is being captured.
  bool capturing();
  bool capturing(Stream* stream);

  /// See emulator.h.
  void run_without_host();

  void reseed(uint64_t seed);
  uint64_t draw();

 private:
  /// What is known of a host thread whose streams run without it.
  struct Absence {
    std::chrono::steady_clock::time_point last_seen;
    int inside = 0;  ///< Calls of it that run work.
  };

  Scheduler();

  void run_in_background(std::thread::id owner);
  void see(std::thread::id owner);

  template <class Done>
  void run_until(std::unique_lock<std::mutex>& lock, std::thread::id owner, Done done);
  void step(std::unique_lock<std::mutex>& lock, std::thread::id owner);
  Stream* choose(std::thread::id owner);
  static bool runnable(const Stream& stream);
  bool idle(const Stream& stream) const { return stream.queue.empty() && !stream.busy; }
  bool knows(const Stream* stream) const;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Stream*> streams_;  ///< As they were made, so that a seed gives the same order in every process.
  std::set<Event*> events_;
  std::map<std::thread::id, Absence> absences_;
  Random random_;
};

}  // namespace longship::cuda::emulator
