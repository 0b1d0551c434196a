#include "comm/map_together.h"

#include <algorithm>
#include <string_view>
#include <vector>

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

bool all_mapped(MpiPort& port, bool mapped) {
  const auto mine = static_cast<uint8_t>(mapped);
  std::vector<uint8_t> others(static_cast<std::size_t>(port.size()), 1);
  for (int rank = 0; rank < port.size(); ++rank) {
    if (rank != port.rank()) {
      port.take(&others[static_cast<std::size_t>(rank)], 1, rank, kMapped);
      port.give(&mine, 1, rank, kMapped);
    }
  }
  port.finish(kOperation);
  return mapped && std::ranges::all_of(others, [](uint8_t other) { return other != 0; });
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
  if (!all_mapped(port, memory.has_value())) {
    return std::nullopt;
  }
  memory->lock();
  return memory;
}

}  // namespace longship
