#include "launcher/output/trace_file.h"

#include <array>
#include <string_view>

#include "core/error.h"
#include "launcher/job/rank_reports.h"

namespace longship {

namespace {

constexpr std::array<std::string_view, 5> kKinds = {"step", "op", "collective", "send", "receive"};
constexpr std::array<std::string_view, 5> kAmounts = {"tokens", "rows", "bytes", "bytes", "bytes"};

Error cannot_write(const std::filesystem::path& path) {
  return {ErrorKind::kUsage, "the trace " + path.native() + " cannot be written",
          "Choose another file for --trace, or make room."};
}

double microseconds(int64_t ns) {
  return static_cast<double>(ns) * 1e-3;
}

}  // namespace

TraceFile::TraceFile(const std::filesystem::path& path) : path_(path), file_(std::fopen(path.c_str(), "w")) {
  if (file_ == nullptr) {
    throw cannot_write(path);
  }
  std::fputs("{\"displayTimeUnit\": \"ms\", \"traceEvents\": [\n", file_);
}

TraceFile::~TraceFile() {
  if (file_ != nullptr) {
    std::fclose(file_);
  }
}

void TraceFile::begin_event() {
  std::fputs(first_event_ ? "" : ",\n", file_);
  first_event_ = false;
}

int TraceFile::first_process(const std::vector<RankReport>& reports) {
  const auto [job, is_new] = first_processes_.try_emplace(job_, processes_);
  if (is_new) {
    processes_ += static_cast<int>(reports.size());
    const std::string prefix = job_.empty() ? "" : job_ + ", ";
    for (const RankReport& report : reports) {
      begin_event();
      std::fprintf(file_, R"({"ph": "M", "name": "process_name", "pid": %d, )", job->second + report.rank);
      std::fprintf(file_, R"~("args": {"name": "%srank %d (stage %d, shard %d)"}})~", prefix.c_str(), report.rank,
                   report.pp, report.tp);
    }
  }
  return job->second;
}

void TraceFile::add(const std::vector<RankReport>& reports) {
  const int first = first_process(reports);
  for (const RankReport& report : reports) {
    const int process = first + report.rank;
    const int64_t lead = clock_lead_ns(report, reports.front());
    for (const NamedSpan& span : report.spans) {
      write(span, process, lead);
    }
    if (report.dropped_spans > 0) {
      begin_event();
      std::fprintf(file_,
                   R"({"ph": "I", "name": "%lld spans found no room", "pid": %d, "tid": 0, "ts": %.3f, "s": "p"})",
                   static_cast<long long>(report.dropped_spans), process, microseconds(report.clock_ns - lead));
    }
  }
  std::fflush(file_);  // so much is there if the program is killed
}

void TraceFile::write(const NamedSpan& span, int process, int64_t lead_ns) {
  const auto kind = static_cast<std::size_t>(span.kind);
  begin_event();
  std::fprintf(file_, R"({"ph": "X", "name": "%s", "cat": "%s", "pid": %d, "tid": 0, )", span.name.c_str(),
               kKinds[kind].data(), process);
  std::fprintf(file_, R"("ts": %.3f, "dur": %.3f, "args": {"%s": %lld}})", microseconds(span.begin_ns - lead_ns),
               microseconds(span.end_ns - span.begin_ns), kAmounts[kind].data(), static_cast<long long>(span.amount));
}

void TraceFile::finish() {
  std::fputs("\n]}\n", file_);
  const bool failed = std::ferror(file_) != 0;
  const bool closed = std::fclose(file_) == 0;
  file_ = nullptr;
  if (failed || !closed) {
    throw cannot_write(path_);
  }
}

FrontEnd with_trace(FrontEnd front_end, std::shared_ptr<TraceFile> trace) {
  return [front_end = std::move(front_end), trace = std::move(trace)](Engine& engine) {
    const int exit_code = front_end(engine);
    trace->add(take_reports(engine, ReportKind::kSpans));
    trace->finish();
    return exit_code;
  };
}

}  // namespace longship
