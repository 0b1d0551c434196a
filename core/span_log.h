#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/quickest.h"

namespace longship {

/// What a span of a rank's time was spent on.
enum class SpanKind : uint8_t { kStep, kOp, kCollective, kSend, kReceive };
inline constexpr std::size_t kSpanKinds = 5;

/// A piece of time. `amount`: tokens of a step, rows of an operation, bytes of a message.
struct Span {
  const char* name;  ///< Static storage.
  SpanKind kind;
  int64_t begin_ns;  ///< Of the steady clock.
  int64_t end_ns;
  int64_t amount;
};

/// All spans of one kind, summed up.
struct SpanTotals {
  int64_t count = 0;
  int64_t ns = 0;
  int64_t amount = 0;
};

/// Nanoseconds of the steady clock; ranks of one host share it.
inline int64_t now_ns() {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

/// Spans of one rank, kept by the thread that drives it until somebody takes them. What does not fit is counted. Totals
/// count all spans from the start on.
class SpanLog {
 public:
  /// `capacity` 0: only totals are kept.
  explicit SpanLog(std::size_t capacity) : capacity_(capacity) { spans_.reserve(capacity); }

  void add(const Span& span) {
    SpanTotals& totals = totals_[static_cast<std::size_t>(span.kind)];
    ++totals.count;
    totals.ns += span.end_ns - span.begin_ns;
    totals.amount += span.amount;
    if (span.kind == SpanKind::kCollective) {
      quickest_.add(span.name, span.amount, span.end_ns - span.begin_ns);
    }
    if (spans_.size() < capacity_) {
      spans_.push_back(span);
    } else {
      ++dropped_;
    }
  }
  const std::vector<Span>& spans() const { return spans_; }
  int64_t dropped() const { return dropped_; }
  const SpanTotals& totals(SpanKind kind) const { return totals_[static_cast<std::size_t>(kind)]; }
  /// Of all collectives, the time without waiting for late ranks; begins another period of QuickestCollectives.
  int64_t take_moving_ns() { return quickest_.take(); }
  void clear() {
    spans_.clear();
    dropped_ = 0;
  }

 private:
  std::size_t capacity_;
  std::vector<Span> spans_;
  int64_t dropped_ = 0;
  std::array<SpanTotals, kSpanKinds> totals_{};
  QuickestCollectives quickest_;
};

/// Records the time from its construction to its end, unless `log` is null.
class ScopedSpan {
 public:
  ScopedSpan(SpanLog* log, const char* name, SpanKind kind, int64_t amount)
      : log_(log), span_{name, kind, log == nullptr ? 0 : now_ns(), 0, amount} {}
  ~ScopedSpan() {
    if (log_ != nullptr) {
      span_.end_ns = now_ns();
      log_->add(span_);
    }
  }
  ScopedSpan(const ScopedSpan&) = delete;
  ScopedSpan& operator=(const ScopedSpan&) = delete;

 private:
  SpanLog* log_;
  Span span_;
};

}  // namespace longship
