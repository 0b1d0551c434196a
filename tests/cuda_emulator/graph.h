#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "tests/cuda_emulator/random.h"

namespace longship::cuda::emulator {

/// What is kept for as long as a graph that was made of certain work is: counts those that keep it.
class GraphHold {
 public:
  explicit GraphHold(std::shared_ptr<std::atomic<int>> count) : count_(std::move(count)) { ++*count_; }
  GraphHold(const GraphHold& other) : GraphHold(other.count_) {}
  GraphHold(GraphHold&& other) noexcept : count_(std::move(other.count_)) {}
  GraphHold& operator=(const GraphHold&) = delete;
  ~GraphHold() {
    if (count_ != nullptr) {
      --*count_;
    }
  }

 private:
  std::shared_ptr<std::atomic<int>> count_;
};

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
  std::vector<GraphHold> holds;
};

/// Runs the nodes once, in a random order that lanes and waits allow.
class GraphRun {
 public:
  GraphRun(std::shared_ptr<const Graph> graph, Random random);

  /// Goes on until a node waits for other ranks, then returns false; true once all are done.
  bool advance();

 private:
  std::shared_ptr<const Graph> graph_;
  Random random_;
  std::vector<std::vector<const Graph::Node*>> lanes_;
  std::vector<std::size_t> next_;  ///< Of each lane.
  std::vector<bool> marked_;
  std::size_t left_;
};

/// Whether all work of other lanes is waited for, in the end by lane 0.
bool joined(const Capture& capture);

}  // namespace longship::cuda::emulator
