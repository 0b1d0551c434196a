#include "tests/cuda_emulator/graph.h"

namespace longship::cuda::emulator {

void run_graph(const Graph& graph, Random random) {
  std::vector<std::vector<const Graph::Node*>> lanes(graph.lanes);
  for (const Graph::Node& node : graph.nodes) {
    lanes[node.lane].push_back(&node);
  }
  std::vector<std::size_t> next(graph.lanes, 0);
  std::vector<bool> marked(graph.slots, false);
  for (std::size_t left = graph.nodes.size(); left > 0;) {
    const auto lane = random.below(static_cast<unsigned>(graph.lanes));
    if (next[lane] == lanes[lane].size()) {
      continue;
    }
    const Graph::Node& node = *lanes[lane][next[lane]];
    if (node.waits_for >= 0 && !marked[node.waits_for]) {
      continue;
    }
    if (node.work && !node.work()) {
      std::this_thread::yield();
      continue;
    }
    if (node.marks >= 0) {
      marked[node.marks] = true;
    }
    ++next[lane];
    --left;
  }
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
