#include "engine/schedule/sampled_row.h"

#include <span>

namespace longship {

void SampledRow::serialize(ByteWriter& out) const {
  out.put(temperature);
  out.put(top_k);
  out.put(top_p);
  out.put(min_p);
  out.put(seed);
  out.put(choice);
  out.put(index);
  out.put(logprobs);
  out.put_span(std::span<const TokenEdit>(edits));
  out.put_span(std::span<const int32_t>(banned));
  out.put(allowed ? allowed->size() : int64_t{-1});
  if (allowed) {
    out.put_span(allowed->words());
  }
}

SampledRow SampledRow::parse(ByteReader& in) {
  SampledRow row;
  row.temperature = in.get<double>();
  row.top_k = in.get<int64_t>();
  row.top_p = in.get<double>();
  row.min_p = in.get<double>();
  row.seed = in.get<uint64_t>();
  row.choice = in.get<uint32_t>();
  row.index = in.get<uint64_t>();
  row.logprobs = in.get<int64_t>();
  row.edits = in.get_vector<TokenEdit>();
  row.banned = in.get_vector<int32_t>();
  if (const auto size = in.get<int64_t>(); size >= 0) {
    std::vector<uint64_t> words = in.get_vector<uint64_t>();
    if (static_cast<uint64_t>(size) / 64 + (size % 64 != 0 ? 1 : 0) != words.size()) {
      throw Error(ErrorKind::kRank, "a set of tokens between ranks is not as large as it says",
                  "Check that every rank runs the same version of longship.");
    }
    row.allowed = TokenSet::of_words(size, std::move(words));
  }
  return row;
}

}  // namespace longship
