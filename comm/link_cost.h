#pragma once

#include <cstdint>

#include "core/reduction_tree.h"

namespace longship {

class MpiPort;

/// What a message costs between the ranks of a group: a latency, then bytes at a rate.
struct LinkCost {
  double latency_us = 0;
  double bytes_per_us = 0;
};

/// Measures the links of a group whose ranks are on different hosts: ping-pongs between its first and last rank, the
/// result told to all. Takes some milliseconds. All ranks together.
LinkCost measure_link(MpiPort& port);

/// Whether sending all nodes to everyone beats reducing parts and exchanging them, which moves less but takes two
/// steps. (With messages straight between ranks, two steps are never slower than the log2(ranks) of recursive doubling,
/// which for two ranks is the one step.) `node_bytes` on the wire.
bool one_step_is_faster(const LinkCost& link, const ReductionTree& tree, int64_t node_bytes);

}  // namespace longship
