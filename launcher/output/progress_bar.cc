#include "launcher/output/progress_bar.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

namespace longship {

namespace {

constexpr int kCells = 30;
constexpr std::chrono::milliseconds kDrawEvery(100);
constexpr std::chrono::seconds kLineEvery(30);

}  // namespace

ProgressBar::ProgressBar(std::string what, int64_t total)
    : what_(std::move(what)),
      total_(total),
      terminal_(isatty(STDERR_FILENO) == 1),
      started_(Clock::now()),
      next_(terminal_ ? started_ : started_ + kLineEvery) {}

void ProgressBar::update(int64_t done, const std::string& note) {
  if (done_before_ < 0) {
    done_before_ = done;
  }
  const Clock::time_point now = Clock::now();
  if (now < next_) {
    return;
  }
  next_ = now + (terminal_ ? std::chrono::duration_cast<Clock::duration>(kDrawEvery) : kLineEvery);
  const std::string text = terminal_ ? "\r\033[K" + line(done, note) : "longship: " + line(done, note) + "\n";
  std::fwrite(text.data(), 1, text.size(), stderr);
}

std::string ProgressBar::line(int64_t done, const std::string& note) const {
  std::string text;
  if (terminal_ && total_ > 0) {
    const auto full = static_cast<std::size_t>(std::clamp<int64_t>(done * kCells / total_, 0, kCells));
    text = "[" + std::string(full, '=') + std::string(kCells - full, ' ') + "] ";
  }
  text += std::to_string(done) + " of " + std::to_string(total_) + " " + what_;
  if (done > done_before_ && done < total_) {
    const double per_unit =
        std::chrono::duration<double>(Clock::now() - started_).count() / static_cast<double>(done - done_before_);
    text += ", " +
            clock_text(std::chrono::seconds(static_cast<int64_t>(per_unit * static_cast<double>(total_ - done)))) +
            " left";
  }
  return text + (note.empty() ? "" : ", " + note);
}

void ProgressBar::finish() {
  if (terminal_) {
    std::fputs("\r\033[K", stderr);
    std::fflush(stderr);
  }
}

std::string clock_text(std::chrono::seconds time) {
  constexpr int64_t kMinute = 60;
  constexpr int64_t kHour = 3600;
  const int64_t seconds = time.count();
  std::array<char, 48> text{};
  if (seconds < kHour) {
    std::snprintf(text.data(), text.size(), "%lld:%02lld", static_cast<long long>(seconds / kMinute),
                  static_cast<long long>(seconds % kMinute));
  } else {
    std::snprintf(text.data(), text.size(), "%lld:%02lld:%02lld", static_cast<long long>(seconds / kHour),
                  static_cast<long long>(seconds % kHour / kMinute), static_cast<long long>(seconds % kMinute));
  }
  return text.data();
}

}  // namespace longship
