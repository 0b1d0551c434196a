#pragma once

#include <cstdio>
#include <filesystem>
#include <memory>
#include <vector>

#include "engine/schedule/rank_report.h"
#include "launcher/assemble.h"

namespace longship {

/// A file of spans in the Trace Event Format, which chrome://tracing and Perfetto show: a process for each rank, on the
/// leader's clock. Written as reports come.
class TraceFile {
 public:
  /// Errors: kUsage if the file cannot be written.
  explicit TraceFile(const std::filesystem::path& path);
  ~TraceFile();
  TraceFile(const TraceFile&) = delete;
  TraceFile& operator=(const TraceFile&) = delete;

  /// Reports of all ranks, the leader's first.
  void add(const std::vector<RankReport>& reports);
  /// Ends the file. Errors: kUsage if not everything could be written.
  void finish();

 private:
  void begin_event();
  void write(const NamedSpan& span, int rank, int64_t lead_ns);

  std::filesystem::path path_;
  std::FILE* file_;
  bool first_event_ = true;
  bool named_ = false;
};

/// `front_end`, and then the spans of all that it ran into `trace`.
FrontEnd with_trace(FrontEnd front_end, std::shared_ptr<TraceFile> trace);

}  // namespace longship
