#pragma once

#include <vector>

#include "comm/communicator.h"
#include "core/span_log.h"
#include "engine/backend/kernels.h"
#include "engine/schedule/rank_report.h"
#include "parallel/mesh.h"

namespace longship {

/// Lets the ranks of a job tell the leader about themselves.
class Reporter {
 public:
  struct Sources {
    Mesh mesh;
    StageCost cost;
    Kernels& kernels;
    SpanLog* spans;  ///< Null if nothing is recorded.
    Communicator& world;
  };

  explicit Reporter(const Sources& sources) : sources_(sources) {}

  /// Collective over the world. The reports of all ranks in their order on the leader; nothing elsewhere.
  std::vector<RankReport> gather(ReportKind kind);

 private:
  RankReport make(ReportKind kind);
  void meet();
  std::vector<Bytes> gather_frames(const Bytes& mine);

  Sources sources_;
  Stream stream_;
};

}  // namespace longship
