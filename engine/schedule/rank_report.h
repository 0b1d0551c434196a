#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/dtype.h"
#include "core/roofline.h"
#include "core/span_log.h"

namespace longship {

/// What ranks are asked to report.
enum class ReportKind : uint8_t {
  kNone,
  kSpans,     ///< What was recorded since the last report.
  kRoofline,  ///< The same, and what machine and links allow, which all ranks measure together.
};

/// What the work of a rank takes, from the declarations of its stage.
struct StageCost {
  int64_t layers = 0;
  int64_t width = 0;                 ///< Values of a row between layers.
  int64_t weight_bytes = 0;          ///< Read by every step, the head's included.
  int64_t ops_per_token = 0;         ///< Of matrix products but the head's; a multiply-add counts two.
  int64_t head_ops = 0;              ///< Of the head, for each row that wants logits.
  int64_t kv_bytes_per_key = 0;      ///< Read for each key that a sequence's token sees.
  int64_t ops_per_key = 0;           ///< Of attention, for each key that a token sees.
  DType weight_dtype = DType::kF32;  ///< That most bytes of the weights are stored in.
};

/// What moving the data of a step between ranks takes, measured with nothing else to do.
struct StepTraffic {
  int64_t rows = 0;      ///< Of the step.
  double sums_s = 0;     ///< Adding up the layers' products over the ranks of the stage.
  double message_s = 0;  ///< From this stage to the next one.
};

/// A span whose name may come from another process.
struct NamedSpan {
  std::string name;
  SpanKind kind = SpanKind::kStep;
  int64_t begin_ns = 0;
  int64_t end_ns = 0;
  int64_t amount = 0;
};

/// One rank about itself. Not everything is asked for every time.
struct RankReport {
  int rank = 0;
  int tp = 0;  ///< Its place in the mesh.
  int pp = 0;
  int64_t clock_ns = 0;     ///< Of its steady clock when all ranks had arrived: clocks differ by what these do.
  Roofline roofline;        ///< While all ranks measure theirs.
  Roofline stage_roofline;  ///< While only the ranks of its stage do.
  std::array<StepTraffic, 2> traffic{};  ///< Of a row and the recorded steps' most.
  double signal_s = 0;                   ///< A few bytes from the leader to the last rank; of these two.
  StageCost cost;
  std::vector<NamedSpan> spans;
  int64_t dropped_spans = 0;  ///< That found no room.

  Bytes serialize() const;
  /// Errors: kRank for a frame that is no report.
  static RankReport parse(std::span<const std::byte> frame);
};

}  // namespace longship
