#include "launcher/recovery/job_diagnosis.h"

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstring>

namespace longship {

namespace {

constexpr std::string_view kOwnError = "longship: error: ";
constexpr std::string_view kCheckRank =
    "Start again; if it happens again, look at the free memory and the kernel log (dmesg) of that host.";

// mpirun breaks its sentences over lines: everything between words is one space.
std::string one_line(std::string_view text) {
  std::string result;
  for (const char letter : text) {
    const bool space = letter == '\n' || letter == '\r' || letter == '\t' || letter == ' ';
    if (!space) {
      result += letter;
    } else if (!result.empty() && result.back() != ' ') {
      result += ' ';
    }
  }
  return result;
}

// Takes `prefix` off the front of what follows it anywhere in `text`.
bool skip_past(std::string_view& text, std::string_view prefix) {
  const auto at = text.find(prefix);
  if (at == std::string_view::npos) {
    return false;
  }
  text.remove_prefix(at + prefix.size());
  return true;
}

bool take_number(std::string_view& text, int& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return error == std::errc();
}

std::string signal_text(int number) {
  const char* name = sigdescr_np(number);
  return "signal " + std::to_string(number) + (name == nullptr ? "" : " (" + std::string(name) + ")");
}

std::string rank_text(const LostJob& job, int rank) {
  const auto known = job.pids.find(rank);
  return "rank " + std::to_string(rank) +
         (known == job.pids.end() ? "" : " (process " + std::to_string(known->second) + ")");
}

struct OwnError {
  std::string cause;
  std::string remedy;
};

// The last error that a rank printed itself.
std::optional<OwnError> find_own_error(std::string_view output) {
  const auto at = output.rfind(kOwnError);
  if (at == std::string_view::npos) {
    return std::nullopt;
  }
  std::string_view rest = output.substr(at + kOwnError.size());
  const auto end = rest.find('\n');
  OwnError error{.cause = std::string(rest.substr(0, end)), .remedy = {}};
  if (end != std::string_view::npos) {
    rest.remove_prefix(end + 1);
    const std::string_view next = rest.substr(0, rest.find('\n'));
    error.remedy = next.empty() || next.front() == '-' ? "" : std::string(next);
  }
  return error;
}

ErrorKind kind_of(std::optional<int> exit_code) {
  const bool ours = exit_code && *exit_code >= 2 && *exit_code <= 5;
  return ours ? static_cast<ErrorKind>(*exit_code) : ErrorKind::kRank;
}

// "Process name: [[59077,1],1] Exit code: 3"
struct ExitedRank {
  int rank = 0;
  int code = 0;
};
std::optional<ExitedRank> find_exited_rank(std::string_view output) {
  const std::string line = one_line(output);
  std::string_view text = line;
  ExitedRank exited;
  if (skip_past(text, "Process name: [[") && skip_past(text, "],") && take_number(text, exited.rank) &&
      skip_past(text, "Exit code:") && skip_past(text, " ") && take_number(text, exited.code)) {
    return exited;
  }
  return std::nullopt;
}

std::string last_words(std::string_view output) {
  constexpr std::size_t kMost = 400;
  const std::string text = one_line(output.substr(output.size() - std::min(output.size(), kMost)));
  return text.empty() ? "" : "; its last words: " + text;
}

}  // namespace

std::optional<SignalledRank> find_signalled_rank(std::string_view output) {
  const std::string line = one_line(output);
  std::string_view text = line;
  SignalledRank found;
  if (!skip_past(text, "noticed that process rank ") || !take_number(text, found.rank) ||
      !skip_past(text, "on node ")) {
    return std::nullopt;
  }
  found.host = std::string(text.substr(0, text.find(' ')));
  if (!skip_past(text, "exited on signal ") || !take_number(text, found.signal)) {
    return std::nullopt;
  }
  return found;
}

bool ended_from_outside(const LostJob& job) {
  constexpr int kKilled = 128 + SIGKILL;
  const auto signalled = find_signalled_rank(job.output);
  return job.silent_rank || (signalled ? signalled->signal == SIGKILL : job.exit_code == kKilled);
}

Error diagnose(const LostJob& job) {
  if (job.silent_rank) {
    return {ErrorKind::kRank, rank_text(job, *job.silent_rank) + " gave no sign of life any more and was ended",
            std::string(kCheckRank)};
  }
  if (const auto killed = find_signalled_rank(job.output)) {
    return {ErrorKind::kRank,
            rank_text(job, killed->rank) + " on " + killed->host + " was ended by " + signal_text(killed->signal),
            std::string(kCheckRank)};
  }
  if (const auto own = find_own_error(job.output)) {
    return {kind_of(job.exit_code), own->cause, own->remedy};
  }
  constexpr int kSignalled = 128;
  if (job.ranks == 1 && job.exit_code) {
    const bool killed = *job.exit_code > kSignalled;
    return {ErrorKind::kRank,
            rank_text(job, 0) + (killed ? " was ended by " + signal_text(*job.exit_code - kSignalled)
                                        : " ended early with exit code " + std::to_string(*job.exit_code)),
            std::string(kCheckRank)};
  }
  if (const auto exited = find_exited_rank(job.output)) {
    return {ErrorKind::kRank,
            "rank " + std::to_string(exited->rank) + " ended early with exit code " + std::to_string(exited->code),
            std::string(kCheckRank)};
  }
  if (job.first_lost_rank) {
    return {ErrorKind::kRank, rank_text(job, *job.first_lost_rank) + " was lost", std::string(kCheckRank)};
  }
  const std::string how = job.exit_code ? "ended with exit code " + std::to_string(*job.exit_code) : "does not answer";
  return {ErrorKind::kRank, "mpirun " + how + last_words(job.output),
          "Try \"mpirun -n 2 hostname\" to see whether Open MPI works here."};
}

}  // namespace longship
