#pragma once

#include <functional>
#include <list>

#include "cuda/api.h"
#include "cuda/graph_keeper.h"
#include "engine/backend/kernels.h"

namespace longship::cuda {

/// Recorded steps as executable graphs. What comes for the first time runs as it is, since it may have to allocate or
/// to wait for the host; for the second time it is recorded, and from then on only started. One thread at a time.
class DecodeGraphs final : public GraphKeeper {
 public:
  /// All that decides which operations there are, and on which memory.
  struct Key {
    StepKey step;
    const void* tables = nullptr;
    int64_t chunks = 0;

    friend bool operator==(const Key&, const Key&) = default;
  };

  DecodeGraphs() = default;
  ~DecodeGraphs() { clear(); }
  DecodeGraphs(const DecodeGraphs&) = delete;
  DecodeGraphs& operator=(const DecodeGraphs&) = delete;

  /// See Kernels::replay(). Errors: those of `work`, and as check().
  Tensor run(const Key& key, const std::function<Tensor()>& work, StreamHandle stream);
  /// No graph is running.
  void clear();
  void release() override;

 private:
  struct Known {
    Key key;
    GraphExecHandle graph = nullptr;  // null until it is recorded
    Tensor result{};
  };

  Known* find(const Key& key);
  void remember(const Key& key, StreamHandle stream);
  void record(Known& known, const std::function<Tensor()>& work, StreamHandle stream);
  void give_up_recording();

  std::list<Known> known_;           // the last one used first
  StreamHandle recorded_ = nullptr;  // while a step is
};

}  // namespace longship::cuda
