#include "launcher/output/load_bar.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "launcher/output/log.h"

namespace longship {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kCells = 30;
constexpr std::chrono::milliseconds kDrawEvery(80);
constexpr double kMegabyte = 1e6;

}  // namespace

LoadBar::LoadBar(std::string what)
    : what_(std::move(what)),
      terminal_(isatty(STDERR_FILENO) == 1 && log_format() == LogFormat::kText),
      started_(Clock::now()),
      next_draw_(started_) {}

void LoadBar::update(int64_t bytes_done, int64_t bytes_total) {
  const std::lock_guard lock(mutex_);
  bytes_total_ = std::max(bytes_total_, bytes_total);
  const auto now = Clock::now();
  if (terminal_ && !finished_ && now >= next_draw_ && bytes_total > 0) {
    next_draw_ = now + kDrawEvery;
    draw(bytes_done, bytes_total);
  }
}

void LoadBar::draw(int64_t bytes_done, int64_t bytes_total) {
  const double share = std::clamp(static_cast<double>(bytes_done) / static_cast<double>(bytes_total), 0.0, 1.0);
  const auto full = static_cast<std::size_t>(share * kCells);
  const std::string bar = std::string(full, '=') + std::string(kCells - full, ' ');
  std::fprintf(stderr, "\r\033[Kloading %s [%s] %3.0f %% of %.0f MB", what_.c_str(), bar.c_str(), share * 100,
               static_cast<double>(bytes_total) / kMegabyte);
  std::fflush(stderr);
}

void LoadBar::finish() {
  const std::lock_guard lock(mutex_);
  if (finished_) {
    return;
  }
  finished_ = true;
  const std::chrono::duration<double> seconds = Clock::now() - started_;
  if (terminal_) {
    std::fputs("\r\033[K", stderr);
  }
  std::array<char, 60> size{};
  std::snprintf(size.data(), size.size(), ", %.0f MB in %.1f s", static_cast<double>(bytes_total_) / kMegabyte,
                seconds.count());
  Json fields;
  fields.set("bytes", bytes_total_);
  fields.set("seconds", seconds.count());
  log_line(LogLevel::kInfo, "loaded " + what_ + size.data(), fields);
}

}  // namespace longship
