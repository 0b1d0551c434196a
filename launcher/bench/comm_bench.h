#pragma once

#include <functional>
#include <string>
#include <vector>

#include "comm/transport.h"
#include "core/json.h"
#include "engine/schedule/rank_report.h"
#include "launcher/bench/table.h"

namespace longship {

struct CommBenchOptions {
  std::vector<std::string> ops;  ///< Of comm_ops(), or kAddNormOp.
  int64_t least_bytes = 8;
  int64_t most_bytes = int64_t{1} << 26;
  int64_t factor = 2;    ///< From one size to the next.
  int repetitions = 20;  ///< Samples, of which the median counts.
  bool record = false;   ///< A span for each sample.
};

/// "all_reduce", "all_gather", "reduce_scatter" and "sendrecv" (round a ring, both ways of a pair at two ranks).
const std::vector<std::string>& comm_ops();

/// What a model does at the end of half a layer: the sum over ranks, the residual and RMSNorm, in rows of up to 4096
/// values on one thread. Measured in turn with "all_reduce", which it is to be compared with.
inline constexpr const char* kAddNormOp = "all_reduce_add_norm";

struct CommBenchResult {
  Json::Array rows;
  std::vector<RankReport> reports;  ///< Of all ranks, with what they recorded, on the leader.
};

/// Times operations of f32 values over every alternative of the transport. All ranks call it together and return the
/// same rows: "op", "transport", "type", "size_bytes", "ranks", "time_us" (median over samples of the slowest rank's
/// time), "algbw_gbps" = size / time, "busbw_gbps" and sizes as nccl-tests define them (doc/PERFORMANCE.md there), and
/// "errors", wrong values of all ranks together. A sample repeats small operations back to back; the samples of the
/// transports take turns, so that what disturbs the machine disturbs all of them. `progress` says what runs now.
/// Errors: kUsage for a job of one rank, kDoesNotFit if two buffers of the largest size do not fit every rank's memory.
CommBenchResult run_comm_benchmarks(Transport& transport, const CommBenchOptions& options,
                                    const std::function<void(const std::string&)>& progress);

const std::vector<TableColumn>& comm_columns();

}  // namespace longship
