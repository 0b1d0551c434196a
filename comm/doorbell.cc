#include "comm/doorbell.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <ctime>
#include <optional>
#include <utility>

#include "comm/map_together.h"

namespace longship {

namespace {

// Between processes: the word lies elsewhere in each.
void futex(std::atomic<uint32_t>& word, int operation, uint32_t value, const timespec* most) {
  static_assert(sizeof(word) == sizeof(uint32_t) && std::atomic<uint32_t>::is_always_lock_free);
  syscall(SYS_futex, &word, operation, value, most, nullptr, 0);
}

}  // namespace

Doorbell::Doorbell(SharedMemory memory) : memory_(std::move(memory)) {}

std::unique_ptr<Doorbell> Doorbell::make(MpiPort& host) {
  std::optional<SharedMemory> memory = map_together(host, sizeof(State));
  return memory ? std::unique_ptr<Doorbell>(new Doorbell(std::move(*memory))) : nullptr;
}

// Either this sees the sleeper, or the system sees the ring before it puts the sleeper to sleep.
void Doorbell::ring() {
  State& shared = state();
  ++shared.rings;
  if (shared.sleepers.load() != 0) {
    futex(shared.rings, FUTEX_WAKE, INT_MAX, nullptr);
  }
}

void Doorbell::sleep(uint32_t rings, std::chrono::nanoseconds most) {
  if (most.count() <= 0) {
    return;
  }
  constexpr int64_t kSecond = 1'000'000'000;
  const timespec time{.tv_sec = most.count() / kSecond, .tv_nsec = most.count() % kSecond};
  State& shared = state();
  ++shared.sleepers;
  futex(shared.rings, FUTEX_WAIT, rings, &time);
  --shared.sleepers;
}

}  // namespace longship
