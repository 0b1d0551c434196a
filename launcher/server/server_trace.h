#pragma once

#include <chrono>
#include <filesystem>
#include <vector>

#include "engine/engine.h"
#include "launcher/output/trace_file.h"
#include "launcher/server/engine_hub.h"

namespace longship {

/// What the ranks of a server did, fetched into a trace file while it works. Everything but take_last() is for the
/// server's thread.
class ServerTrace {
 public:
  using Clock = std::chrono::steady_clock;

  /// Errors: kUsage if the file cannot be written.
  explicit ServerTrace(const std::filesystem::path& path) : file_(path) {}

  /// Asks the ranks for what they recorded if they worked lately and it is time to.
  void ask(EngineHub& hub, Clock::time_point now);
  /// What they answered.
  void add(const std::vector<RankReport>& reports);
  /// Takes what is left once nobody else takes the engine's events or calls ask(), in the calling thread. Gives up
  /// after a few seconds, and where ranks are lost.
  void take_last(Engine& engine);
  /// Ends the file; what comes later is dropped. Errors: kUsage if not everything could be written.
  void finish();

 private:
  TraceFile file_;
  bool worked_ = false;  ///< Since they were asked.
  int awaited_ = 0;      ///< Reports that were asked for.
  Clock::time_point asked_{};
  bool finished_ = false;
};

}  // namespace longship
