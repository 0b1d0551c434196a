#include "cuda/watch.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "core/backoff.h"

namespace longship::cuda {

namespace {

// Longer than a step takes: its result is noticed at once.
constexpr std::chrono::milliseconds kAwake{50};
constexpr std::chrono::microseconds kLongestNap{200};

std::vector<Watch*>& watches_of_thread() {
  thread_local std::vector<Watch*> watches;
  return watches;
}

void check_watches(std::chrono::nanoseconds waited) {
  for (Watch* watch : watches_of_thread()) {
    watch->check(waited);
  }
}

template <class Query>
void wait_until_ready(const Query& query) {
  Backoff backoff(kAwake, kLongestNap);
  std::chrono::nanoseconds waited{0};
  for (;;) {
    const Status status = query();
    // Also when all is done: work that has given up is done too.
    check_watches(waited);
    if (status != kNotReady) {
      cuda::check(status, "waiting for the device");
      return;
    }
    waited = backoff.pause();
  }
}

}  // namespace

Watch::Watch() {
  watches_of_thread().push_back(this);
}

Watch::~Watch() {
  std::erase(watches_of_thread(), this);
}

void wait(StreamHandle stream) {
  wait_until_ready([stream] { return api().stream_query(stream); });
}

void wait(EventHandle event) {
  wait_until_ready([event] { return api().event_query(event); });
}

}  // namespace longship::cuda
