#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <unordered_map>
#include <vector>

#include "engine/engine.h"
#include "launcher/server/cluster.h"

namespace longship {

/// What the requests of a server have cost so far.
struct EngineCounters {
  int64_t waiting = 0;  ///< Accepted, without a token yet.
  int64_t running = 0;  ///< Accepted, with a token.
  int64_t prompt_tokens = 0;
  int64_t generated_tokens = 0;
  /// Those of `waiting` and `running` that have an adapter, by its number; 0 for one whose requests are over.
  std::map<int32_t, int64_t> adapters_waiting{};
  std::map<int32_t, int64_t> adapters_running{};
};

/// Shares one engine among many requests: each gets its own events. Everything but pump() is for the server's thread.
class EngineHub {
 public:
  using Sink = std::function<void(const EngineEvent&)>;

  explicit EngineHub(Engine& engine) : engine_(engine) {}

  RequestId submit(GenerationRequest request, Sink sink);
  /// Its sink hears no more.
  void cancel(RequestId request);
  /// Hands an event to the sink of its request, activity of ranks to cluster(). Reports are dropped.
  void deliver(const EngineEvent& event);
  /// Ends all requests with an error.
  void fail(const std::string& message);

  const EngineCounters& counters() const { return counters_; }
  /// The engine's own, as it last told them.
  const EngineStats& stats() const { return stats_; }
  const Cluster& cluster() const { return cluster_; }
  bool idle() const { return requests_.empty(); }
  EngineInfo info() const { return engine_.info(); }
  bool ready() const { return engine_.ready(); }
  /// Asks the ranks; their answer is an event for whoever calls deliver().
  void report(ReportKind kind) { engine_.report(kind); }
  EngineLosses losses() const { return engine_.losses(); }

  /// The engine's events, taken in the calling thread until `stopped`; each batch goes to `deliver`. Errors: kRank.
  void pump(const std::function<bool()>& stopped, const std::function<void(std::vector<EngineEvent>)>& deliver);

 private:
  struct Request {
    Sink sink;
    int32_t adapter = 0;  ///< See GenerationRequest.
    int64_t tokens = 0;
  };

  void count(const Request& request, int64_t change);

  Engine& engine_;
  std::unordered_map<RequestId, Request> requests_;
  EngineCounters counters_;
  EngineStats stats_;
  Cluster cluster_;
};

}  // namespace longship
