#include "tests/cuda_emulator/stream.h"

#include <pthread.h>

#include <algorithm>
#include <cstdlib>

#include "tests/cuda_emulator/device_memory.h"
#include "tests/cuda_emulator/emulator.h"
#include "tests/cuda_emulator/status.h"

namespace longship::cuda::emulator {

namespace {

/// How long a thread may wait for work that another one runs.
constexpr std::chrono::seconds kDeadline{300};
/// How long a host thread is away before its work runs without it.
constexpr std::chrono::milliseconds kPatience{20};
constexpr std::chrono::milliseconds kPoll{5};

uint64_t seed_from_environment() {
  const char* text = std::getenv("LONGSHIP_EMULATOR_SEED");
  return text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
}

}  // namespace

Scheduler& Scheduler::instance() {
  static auto* scheduler = new Scheduler;  // outlives other static objects, which may destroy streams
  return *scheduler;
}

// A child of the process has this thread alone, and none that holds the lock.
Scheduler::Scheduler() : random_(seed_from_environment()) {
  ::pthread_atfork([] { instance().mutex_.lock(); }, [] { instance().mutex_.unlock(); },
                   [] {
                     instance().absences_.clear();
                     instance().mutex_.unlock();
                   });
}

void Scheduler::reseed(uint64_t seed) {
  const std::lock_guard lock(mutex_);
  random_ = Random(seed);
}

uint64_t Scheduler::draw() {
  const std::lock_guard lock(mutex_);
  return random_.next();
}

Stream* Scheduler::make_stream() {
  const std::lock_guard lock(mutex_);
  return streams_.emplace_back(new Stream);
}

Status Scheduler::destroy(Stream* stream) {
  if (const Status status = synchronize(stream); status != kSuccess) {
    return status;
  }
  const std::lock_guard lock(mutex_);
  std::erase(streams_, stream);
  delete stream;
  return kSuccess;
}

Event* Scheduler::make_event() {
  const std::lock_guard lock(mutex_);
  return *events_.insert(new Event).first;
}

Status Scheduler::destroy(Event* event) {
  const std::lock_guard lock(mutex_);
  if (events_.erase(event) == 0) {
    return kInvalidHandle;
  }
  delete event;
  return kSuccess;
}

Status Scheduler::enqueue(Stream* stream, std::function<void()> work) {
  return enqueue_until_done(stream, [work = std::move(work)] {
    work();
    return true;
  });
}

Status Scheduler::enqueue_until_done(Stream* stream, std::function<bool()> work) {
  const std::lock_guard lock(mutex_);
  if (!knows(stream)) {
    return kInvalidHandle;
  }
  see(stream->owner);
  if (stream->capture) {
    stream->capture->graph.nodes.push_back({stream->capture_lane, std::move(work), -1, -1});
  } else {
    stream->queue.push_back({std::move(work), nullptr, nullptr});
  }
  return kSuccess;
}

Status Scheduler::record(Event* event, Stream* stream) {
  const std::lock_guard lock(mutex_);
  if (!knows(stream) || !events_.contains(event)) {
    return kInvalidHandle;
  }
  event->last = std::make_shared<EventRecord>();
  event->last->stream = stream;
  if (Capture* capture = stream->capture.get()) {
    event->last->capture = stream->capture;
    event->last->capture_slot = capture->graph.slots++;
    capture->slot_nodes.push_back(capture->graph.nodes.size());
    capture->slot_joined.push_back(false);
    capture->graph.nodes.push_back({stream->capture_lane, {}, -1, event->last->capture_slot});
  } else {
    stream->queue.push_back({{}, nullptr, event->last});
  }
  return kSuccess;
}

Status Scheduler::wait(Stream* stream, Event* event) {
  const std::lock_guard lock(mutex_);
  if (!knows(stream) || !events_.contains(event)) {
    return kInvalidHandle;
  }
  const std::shared_ptr<EventRecord>& record = event->last;
  if (!record) {
    return kSuccess;
  }
  if (!record->capture && !stream->capture) {
    stream->queue.push_back({{}, record, nullptr});
    return kSuccess;
  }
  if (!record->capture || (stream->capture && stream->capture != record->capture) ||
      record->capture->thread == std::thread::id()) {
    return kCaptureIsolation;
  }
  if (!stream->capture) {
    stream->capture = record->capture;
    stream->capture_lane = record->capture->graph.lanes++;
  }
  record->capture->slot_joined[record->capture_slot] = true;
  record->capture->graph.nodes.push_back({stream->capture_lane, {}, record->capture_slot, -1});
  return kSuccess;
}

bool Scheduler::knows(const Stream* stream) const {
  return std::find(streams_.begin(), streams_.end(), stream) != streams_.end();
}

bool Scheduler::runnable(const Stream& stream) {
  return !stream.busy && !stream.queue.empty() &&
         (!stream.queue.front().waits_for || stream.queue.front().waits_for->done);
}

/// A stream whose first entry may run now, or null.
Stream* Scheduler::choose(std::thread::id owner) {
  std::vector<Stream*> choices;
  std::vector<Stream*> blocked;
  for (Stream* stream : streams_) {
    if (stream->owner == owner) {
      (runnable(*stream) ? choices : blocked).push_back(stream);
    }
  }
  // Streams of other threads run only if this thread would wait for them.
  for (std::size_t i = 0; choices.empty() && i < blocked.size(); ++i) {
    const Stream& stream = *blocked[i];
    if (!stream.busy && !stream.queue.empty()) {
      Stream* other = stream.queue.front().waits_for->stream;
      (runnable(*other) ? choices : blocked).push_back(other);
    }
  }
  return choices.empty() ? nullptr : choices[random_.below(static_cast<unsigned>(choices.size()))];
}

void Scheduler::step(std::unique_lock<std::mutex>& lock, std::thread::id owner) {
  Stream* stream = choose(owner);
  if (stream == nullptr) {
    if (changed_.wait_for(lock, kDeadline) == std::cv_status::timeout) {  // another host thread runs what is waited for
      fail("work of another host thread that is waited for does not end");
    }
    return;
  }
  Stream::Entry entry = std::move(stream->queue.front());
  stream->queue.pop_front();
  if (entry.work) {
    stream->busy = true;
    lock.unlock();
    const bool done = entry.work();
    if (done) {
      entry.work = nullptr;  // frees what it holds before the lock is taken
    } else {
      std::this_thread::yield();  // what it waits for may need this core
    }
    lock.lock();
    stream->busy = false;
    if (!done) {
      stream->queue.push_front(std::move(entry));
      changed_.notify_all();  // who waited because this one was busy may go on with it
      return;
    }
  }
  if (entry.records) {
    entry.records->done = true;
    entry.records->time = std::chrono::steady_clock::now();
    entry.records->stream = nullptr;
  }
  changed_.notify_all();
}

template <class Done>
void Scheduler::run_until(std::unique_lock<std::mutex>& lock, std::thread::id owner, Done done) {
  if (done()) {
    return;
  }
  lock.unlock();
  const DeviceMemory::Access access;
  lock.lock();
  if (const auto found = absences_.find(owner); found != absences_.end()) {
    ++found->second.inside;
  }
  while (!done()) {
    step(lock, owner);
  }
  if (const auto found = absences_.find(owner); found != absences_.end()) {
    --found->second.inside;
    see(owner);
  }
}

void Scheduler::see(std::thread::id owner) {
  if (const auto found = absences_.find(owner); found != absences_.end()) {
    found->second.last_seen = std::chrono::steady_clock::now();
  }
}

void Scheduler::run_without_host() {
  const std::lock_guard lock(mutex_);
  const auto owner = std::this_thread::get_id();
  if (absences_.try_emplace(owner, Absence{std::chrono::steady_clock::now(), 0}).second) {
    std::thread([this, owner] { run_in_background(owner); }).detach();  // lives as long as the process
  }
}

void Scheduler::run_in_background(std::thread::id owner) {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait_for(lock, kPoll);
    const Absence& absence = absences_[owner];
    const bool away = absence.inside == 0 && std::chrono::steady_clock::now() - absence.last_seen > kPatience;
    if (away && choose(owner) != nullptr) {
      lock.unlock();
      const DeviceMemory::Access access;
      lock.lock();
      while (absences_[owner].inside == 0 && choose(owner) != nullptr) {
        step(lock, owner);
      }
    }
  }
}

Status Scheduler::synchronize(Stream* stream) {
  std::unique_lock lock(mutex_);
  if (!knows(stream)) {
    return kInvalidHandle;
  }
  if (stream->capture) {
    return kCaptureUnsupported;
  }
  run_until(lock, stream->owner, [&] { return idle(*stream); });
  return kSuccess;
}

Status Scheduler::synchronize(Event* event) {
  std::unique_lock lock(mutex_);
  if (!events_.contains(event)) {
    return kInvalidHandle;
  }
  const std::shared_ptr<EventRecord> record = event->last;
  if (!record || record->done) {
    return kSuccess;
  }
  if (record->capture) {
    return kCaptureUnsupported;
  }
  run_until(lock, record->stream->owner, [&] { return record->done; });
  return kSuccess;
}

Status Scheduler::query(Stream* stream) {
  std::unique_lock lock(mutex_);
  if (!knows(stream)) {
    return kInvalidHandle;
  }
  if (stream->capture) {
    return kCaptureUnsupported;
  }
  int left = 1 + static_cast<int>(random_.below(3));
  run_until(lock, stream->owner, [&] { return idle(*stream) || choose(stream->owner) == nullptr || left-- == 0; });
  return idle(*stream) ? kSuccess : kNotReady;
}

Status Scheduler::query(Event* event) {
  std::unique_lock lock(mutex_);
  if (!events_.contains(event)) {
    return kInvalidHandle;
  }
  const std::shared_ptr<EventRecord> record = event->last;
  if (!record || record->done) {
    return kSuccess;
  }
  if (record->capture) {
    return kCaptureUnsupported;
  }
  const std::thread::id owner = record->stream->owner;
  int left = 1 + static_cast<int>(random_.below(3));
  run_until(lock, owner, [&] { return record->done || choose(owner) == nullptr || left-- == 0; });
  return record->done ? kSuccess : kNotReady;
}

Status Scheduler::elapsed_ms(float* milliseconds, const Event* begin, const Event* end) {
  const std::lock_guard lock(mutex_);
  if (!begin->last || !end->last) {
    return kInvalidHandle;
  }
  if (!begin->last->done || !end->last->done) {
    return kNotReady;
  }
  *milliseconds = std::chrono::duration<float, std::milli>(end->last->time - begin->last->time).count();
  return kSuccess;
}

Status Scheduler::synchronize_thread() {
  std::unique_lock lock(mutex_);
  const auto owner = std::this_thread::get_id();
  run_until(lock, owner, [&] {
    for (const Stream* stream : streams_) {
      if (stream->owner == owner && !idle(*stream)) {
        return false;
      }
    }
    return true;
  });
  return kSuccess;
}

Status Scheduler::begin_capture(Stream* stream) {
  const std::lock_guard lock(mutex_);
  if (!knows(stream) || stream->capture) {
    return kInvalidHandle;
  }
  stream->capture = std::make_shared<Capture>();
  stream->capture->thread = std::this_thread::get_id();
  stream->capture_lane = 0;
  return kSuccess;
}

Status Scheduler::end_capture(Stream* stream, std::shared_ptr<const Graph>& graph, std::vector<GraphHold>& holds) {
  const std::lock_guard lock(mutex_);
  if (!knows(stream) || !stream->capture || stream->capture_lane != 0) {
    return kInvalidHandle;
  }
  const std::shared_ptr<Capture> capture = stream->capture;
  for (Stream* other : streams_) {
    if (other->capture == capture) {
      other->capture = nullptr;
    }
  }
  capture->thread = {};  // its events can no longer be waited for
  if (!joined(*capture)) {
    capture->holds.clear();  // events may know the capture for longer
    return kCaptureUnjoined;
  }
  graph = std::make_shared<const Graph>(std::move(capture->graph));
  holds = std::move(capture->holds);
  return kSuccess;
}

void Scheduler::hold_while_recorded(Stream* stream, const std::shared_ptr<std::atomic<int>>& count) {
  const std::lock_guard lock(mutex_);
  if (knows(stream) && stream->capture) {
    stream->capture->holds.emplace_back(count);
  }
}

bool Scheduler::capturing() {
  const std::lock_guard lock(mutex_);
  for (const Stream* stream : streams_) {
    if (stream->capture && stream->capture->thread == std::this_thread::get_id()) {
      return true;
    }
  }
  return false;
}

bool Scheduler::capturing(Stream* stream) {
  const std::lock_guard lock(mutex_);
  return knows(stream) && stream->capture != nullptr;
}

}  // namespace longship::cuda::emulator
