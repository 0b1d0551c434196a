#include "comm/link_cost.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "comm/mpi_port.h"

namespace longship {

namespace {

constexpr int kTag = 0;
constexpr int64_t kShortBytes = 8;
constexpr int64_t kLongBytes = int64_t{1} << 18;

// Microseconds of one message from the first rank to the last, half of the quickest way there and back. Nothing on the
// other ranks.
double message_us(MpiPort& port, int64_t bytes, int rounds) {
  using Clock = std::chrono::steady_clock;
  const int last = port.size() - 1;
  if (port.rank() != 0 && port.rank() != last) {
    return 0;
  }
  const int peer = last - port.rank();
  std::vector<std::byte> message(static_cast<std::size_t>(bytes));
  double least_us = 1e30;
  for (int round = 0; round < rounds; ++round) {
    const auto begin = Clock::now();
    for (const bool mine : {port.rank() == 0, port.rank() != 0}) {
      if (mine) {
        port.give(message.data(), bytes, peer, kTag);
      } else {
        port.take(message.data(), bytes, peer, kTag);
      }
      port.finish("measuring the link to");
    }
    const std::chrono::duration<double, std::micro> there_and_back = Clock::now() - begin;
    least_us = std::min(least_us, there_and_back.count() / 2);
  }
  return least_us;
}

}  // namespace

LinkCost measure_link(MpiPort& port) {
  const double short_us = message_us(port, kShortBytes, 20);
  const double long_us = message_us(port, kLongBytes, 4);
  LinkCost link{short_us, static_cast<double>(kLongBytes - kShortBytes) / std::max(long_us - short_us, 1.0)};
  for (int rank = 1; rank < port.size(); ++rank) {
    if (port.rank() == 0) {
      port.give(&link, sizeof link, rank, kTag);
    } else if (port.rank() == rank) {
      port.take(&link, sizeof link, 0, kTag);
    }
  }
  port.finish("telling the cost of the link to");
  return link;
}

bool one_step_is_faster(const LinkCost& link, const ReductionTree& tree, int64_t node_bytes) {
  const double ranks = tree.ranks();
  const double others = (ranks - 1) / ranks;
  const double nodes = static_cast<double>(tree.node_count()) * static_cast<double>(node_bytes);
  const double one_step = link.latency_us + others * nodes / link.bytes_per_us;
  const double parts = others * (nodes / ranks + static_cast<double>(node_bytes));
  return one_step <= 2 * link.latency_us + parts / link.bytes_per_us;
}

}  // namespace longship
