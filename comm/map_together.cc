#include "comm/map_together.h"

#include <string_view>

namespace longship {

namespace {

enum Tag : int { kKey, kMapped };

constexpr std::string_view kOperation = "meeting in shared memory with";

void exchange_keys(MpiPort& port, SharedMemory::Key& key) {
  if (port.rank() != 0) {
    port.take(&key, sizeof key, 0, kKey);
  }
  for (int rank = 1; rank < port.size() && port.rank() == 0; ++rank) {
    port.give(&key, sizeof key, rank, kKey);
  }
  port.finish(kOperation);
}

}  // namespace

std::optional<SharedMemory> map_together(MpiPort& port, int64_t bytes) {
  std::optional<SharedMemory> memory;
  if (port.rank() == 0) {
    memory = SharedMemory::create(bytes);
  }
  SharedMemory::Key key = memory ? memory->key() : SharedMemory::Key();
  exchange_keys(port, key);
  if (port.rank() != 0 && key.descriptor >= 0) {
    memory = SharedMemory::open(key);
  }
  if (!port.all(memory.has_value(), kMapped, kOperation)) {
    return std::nullopt;
  }
  memory->lock();
  return memory;
}

}  // namespace longship
