#include "tests/cuda_emulator/graph.h"

#include <utility>

namespace longship::cuda::emulator {

GraphRun::GraphRun(std::shared_ptr<const Graph> graph, Random random)
    : graph_(std::move(graph)),
      random_(random),
      lanes_(graph_->lanes),
      next_(graph_->lanes),
      marked_(graph_->slots),
      left_(graph_->nodes.size()) {
  for (const Graph::Node& node : graph_->nodes) {
    lanes_[node.lane].push_back(&node);
  }
}

bool GraphRun::advance() {
  while (left_ > 0) {
    const auto lane = random_.below(static_cast<unsigned>(graph_->lanes));
    if (next_[lane] == lanes_[lane].size()) {
      continue;
    }
    const Graph::Node& node = *lanes_[lane][next_[lane]];
    if (node.waits_for >= 0 && !marked_[node.waits_for]) {
      continue;
    }
    if (node.work && !node.work()) {
      return false;
    }
    if (node.marks >= 0) {
      marked_[node.marks] = true;
    }
    ++next_[lane];
    --left_;
  }
  return true;
}

bool joined(const Capture& capture) {
  std::vector<std::size_t> last(capture.graph.lanes);
  for (std::size_t i = 0; i < capture.graph.nodes.size(); ++i) {
    last[capture.graph.nodes[i].lane] = i;
  }
  for (int lane = 1; lane < capture.graph.lanes; ++lane) {
    const int slot = capture.graph.nodes[last[lane]].marks;
    if (slot < 0 || !capture.slot_joined[slot]) {
      return false;
    }
  }
  return true;
}

}  // namespace longship::cuda::emulator
