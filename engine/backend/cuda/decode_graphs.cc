#include "engine/backend/cuda/decode_graphs.h"

#include <algorithm>
#include <utility>

#include "cuda/watch.h"

namespace longship::cuda {

namespace {

// Of all sizes of batches and lengths of contexts that take turns.
constexpr std::size_t kMostGraphs = 64;

}  // namespace

Tensor DecodeGraphs::run(const Key& key, const std::function<Tensor()>& work, StreamHandle stream) {
  Known* known = find(key);
  if (known == nullptr) {
    remember(key, stream);
    return work();
  }
  if (known->graph == nullptr) {
    record(*known, work, stream);
  }
  check(api().graph_launch(known->graph, stream), "start the graph of a step");
  return known->result;
}

void DecodeGraphs::record(Known& known, const std::function<Tensor()>& work, StreamHandle stream) {
  check(api().stream_begin_capture(stream), "begin to record a step");
  recorded_ = stream;
  Tensor result;
  try {
    result = work();
  } catch (...) {
    give_up_recording();
    throw;
  }
  LONGSHIP_CHECK(recorded_ == stream, "graphs are released where a step fails");
  recorded_ = nullptr;
  GraphHandle graph = nullptr;
  check(api().stream_end_capture(stream, &graph), "record a step");
  GraphExecHandle executable = nullptr;
  const Status status = api().graph_instantiate(&executable, graph);
  api().graph_destroy(graph);
  check(status, "make a graph of a step");
  known.graph = executable;
  known.result = result;
}

void DecodeGraphs::give_up_recording() {
  GraphHandle graph = nullptr;
  if (recorded_ != nullptr && api().stream_end_capture(std::exchange(recorded_, nullptr), &graph) == kSuccess) {
    api().graph_destroy(graph);
  }
}

void DecodeGraphs::release() {
  give_up_recording();
  clear();
}

DecodeGraphs::Known* DecodeGraphs::find(const Key& key) {
  const auto found = std::find_if(known_.begin(), known_.end(), [&](const Known& one) { return one.key == key; });
  if (found == known_.end()) {
    return nullptr;
  }
  known_.splice(known_.begin(), known_, found);
  return &known_.front();
}

void DecodeGraphs::remember(const Key& key, StreamHandle stream) {
  if (known_.size() == kMostGraphs) {
    if (known_.back().graph != nullptr) {
      wait(stream);  // which may be running it
      api().graph_exec_destroy(known_.back().graph);
    }
    known_.pop_back();
  }
  known_.push_front({.key = key});
}

void DecodeGraphs::clear() {
  for (const Known& known : known_) {
    if (known.graph != nullptr) {
      api().graph_exec_destroy(known.graph);
    }
  }
  known_.clear();
}

}  // namespace longship::cuda
