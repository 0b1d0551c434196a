#include "engine/sample/row_message.h"

#include <algorithm>
#include <cstring>

namespace longship {

namespace {

template <class T>
int32_t* put(const std::vector<T>& values, int64_t count, int32_t* to) {
  if (!values.empty()) {
    std::memcpy(to, values.data(), values.size() * sizeof(T));
  }
  std::fill(to + values.size() * sizeof(T) / sizeof(int32_t), to + count * sizeof(T) / sizeof(int32_t), -1);
  return to + count * sizeof(T) / sizeof(int32_t);
}

template <class T>
const int32_t* take(const int32_t* from, int64_t count, std::vector<T>& values) {
  const std::size_t size = values.size();
  values.resize(size + static_cast<std::size_t>(count));
  if (count > 0) {
    std::memcpy(static_cast<void*>(values.data() + size), from, static_cast<std::size_t>(count) * sizeof(T));
  }
  return from + count * sizeof(T) / sizeof(int32_t);
}

void keep_first(std::vector<Candidate>& candidates, int64_t count) {
  std::erase_if(candidates, [](const Candidate& candidate) { return candidate.token < 0; });
  std::sort(candidates.begin(), candidates.end(), before);
  candidates.resize(std::min(candidates.size(), static_cast<std::size_t>(count)));
}

}  // namespace

RowMessage::RowMessage(const SampledRow& row, const Range& share) : RowMessage(needs(row), share) {}

RowMessage::RowMessage(const SummaryNeeds& needs, const Range& share)
    : best_(std::min(needs.best, share.size())),
      sums_(needs.sums ? blocks_of(share.size()) : 0),
      top_(std::min(needs.top, share.size())),
      total_(needs.total ? blocks_of(share.size()) : 0) {}

int64_t RowMessage::most_words(const Range& share) {
  return RowMessage({.best = kMostBest, .sums = true, .top = kMostBest, .total = true, .whole = false}, share).words();
}

void RowMessage::write(const RowSummary& summary, int32_t* to) const {
  to = put(summary.best, best_, to);
  to = put(summary.sums, sums_, to);
  to = put(summary.top, top_, to);
  put(summary.total, total_, to);
}

void RowMessage::append_to(RowSummary& summary, const int32_t* from) const {
  from = take(from, best_, summary.best);
  from = take(from, sums_, summary.sums);
  from = take(from, top_, summary.top);
  take(from, total_, summary.total);
}

void finish_merge(const SampledRow& row, RowSummary& summary) {
  const SummaryNeeds wanted = needs(row);
  keep_first(summary.best, wanted.best);
  keep_first(summary.top, wanted.top);
  summary.complete = std::ssize(summary.best) < wanted.best;
}

}  // namespace longship
