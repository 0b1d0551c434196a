#pragma once

#include <cstdint>

#include "core/range.h"
#include "engine/sample/sampler.h"

namespace longship {

/// How the summary of one row travels from the rank that has `share` of the vocabulary: in 4-byte words, as many as the
/// row needs, so that all ranks know the size of each message.
class RowMessage {
 public:
  RowMessage(const SampledRow& row, const Range& share);
  /// Of the longest message that any row can need.
  static int64_t most_words(const Range& share);

  int64_t words() const { return (best_ + top_) * kCandidateWords + (sums_ + total_) * kSumWords; }
  void write(const RowSummary& summary, int32_t* to) const;
  /// Adds what a message says to a summary of the parts of the vocabulary before.
  void append_to(RowSummary& summary, const int32_t* from) const;

 private:
  RowMessage(const SummaryNeeds& needs, const Range& share);

  static constexpr int64_t kCandidateWords = sizeof(Candidate) / sizeof(int32_t);
  static constexpr int64_t kSumWords = sizeof(BlockSum) / sizeof(int32_t);

  int64_t best_;
  int64_t sums_;
  int64_t top_;
  int64_t total_;
};

/// The summary of a whole vocabulary of which append_to() has put the parts together.
void finish_merge(const SampledRow& row, RowSummary& summary);

}  // namespace longship
