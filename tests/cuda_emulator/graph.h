#pragma once

#include <functional>
#include <thread>
#include <vector>

#include "tests/cuda_emulator/random.h"

namespace longship::cuda::emulator {

/// Work of one or several streams and what it waits for, to be run many times.
struct Graph {
  struct Node {
    int lane = 0;                ///< Nodes of a lane, one for each captured stream, run in order.
    std::function<bool()> work;  ///< Called until it returns true; may be empty.
    int waits_for = -1;          ///< A slot that another node marks.
    int marks = -1;
  };
  std::vector<Node> nodes;
  int lanes = 1;
  int slots = 0;
};

/// A graph that is being recorded. The stream that began it has lane 0.
struct Capture {
  Graph graph;
  std::thread::id thread;
  std::vector<std::size_t> slot_nodes;  ///< The node that marks each slot.
  std::vector<bool> slot_joined;        ///< Whether something waits for it.
};

/// Runs the nodes once, in a random order that lanes and waits allow.
void run_graph(const Graph& graph, Random random);

/// Whether all work of other lanes is waited for, in the end by lane 0.
bool joined(const Capture& capture);

}  // namespace longship::cuda::emulator
