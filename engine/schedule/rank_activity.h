#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "core/bytes.h"
#include "core/range.h"
#include "core/span_log.h"

namespace longship {

/// One rank: what it is, and what it has done since its start. Times of communication are parts of steps.
struct RankActivity {
  int rank = 0;
  int tp = 0;  ///< Its place in the mesh.
  int pp = 0;
  std::string host;
  int64_t pid = 0;      ///< On that host.
  std::string device;   ///< What it computes on: Kernels::name().
  std::string tp_wire;  ///< What moves data between the ranks of its stage, and
  std::string pp_wire;  ///< from stage to stage: Communicator::wire().
  Range layers;
  int64_t weights_bytes = 0;
  int64_t kv_bytes = 0;

  int64_t clock_ns = 0;    ///< Of its steady clock when it said this.
  SpanTotals steps;        ///< Amount: tokens.
  SpanTotals collectives;  ///< With the ranks of its stage; amount of this and what follows: bytes.
  int64_t moving_ns = 0;   ///< Of these, as it seems to this rank, without the wait for others: QuickestCollectives.
  SpanTotals sends;        ///< To the next stage.
  SpanTotals receives;     ///< From the stage before, the wait for it included.

  Bytes serialize() const;
  /// Errors: kRank for a frame that is none.
  static RankActivity parse(std::span<const std::byte> frame);
};

}  // namespace longship
