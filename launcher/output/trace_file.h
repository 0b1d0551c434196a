#pragma once

#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
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

  /// What is added from here on is of the job of this name, such as "-tp 2 -pp 1", whose ranks are processes of their
  /// own; a name that was there before goes on with its processes. Without any, all is of one job without name.
  void begin_job(const std::string& name) { job_ = name; }
  /// Reports of all ranks, the leader's first.
  void add(const std::vector<RankReport>& reports);
  /// Ends the file. Errors: kUsage if not everything could be written.
  void finish();

 private:
  void begin_event();
  /// Where the processes of the job begin; names them if they are new.
  int first_process(const std::vector<RankReport>& reports);
  void write(const NamedSpan& span, int process, int64_t lead_ns);

  std::filesystem::path path_;
  std::FILE* file_;
  bool first_event_ = true;
  std::string job_;
  std::map<std::string, int> first_processes_;  // of jobs that were there
  int processes_ = 0;
};

/// `front_end`, and then the spans of all that it ran into `trace`.
FrontEnd with_trace(FrontEnd front_end, std::shared_ptr<TraceFile> trace);

}  // namespace longship
