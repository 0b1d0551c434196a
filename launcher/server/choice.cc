#include "launcher/server/choice.h"

#include <algorithm>

namespace longship {

namespace {

// Of UTF-8: bytes that do not go on with a character.
int64_t characters(const std::string& text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; });
}

}  // namespace

Choice::Choice(std::shared_ptr<const Tokenizer> tokenizer, const TextRules& rules)
    : detokenizer_(std::move(tokenizer), rules.skip_special, rules.shown_special),
      stops_(rules.stops, rules.show_stop),
      min_tokens_(rules.min_tokens),
      keep_rows_(rules.keep_rows) {}

void Choice::begin_with(const std::string& text, std::vector<TokenRow> rows) {
  rows_ = std::move(rows);
  characters_ += characters(text);
}

void Choice::count(const EngineEvent& event) {
  ++tokens_;
  logprob_sum_ += static_cast<double>(event.logprob);
  if (keep_rows_) {
    rows_.push_back({event.token, event.logprob, event.top_logprobs, characters_});
  }
}

std::string Choice::push(const EngineEvent& event) {
  count(event);
  std::string text = detokenizer_.push(event.token);
  characters_ += characters(text);
  return tokens_ <= min_tokens_ ? text : stops_.push(text);
}

std::string Choice::flush() {
  const std::string rest = detokenizer_.flush();
  characters_ += characters(rest);
  std::string text = stops_.push(rest);
  return text + stops_.flush();
}

std::vector<TokenRow> prompt_rows(Detokenizer detokenizer, std::span<const int32_t> prompt,
                                  std::span<const PositionLogprobs> positions, int64_t top) {
  std::vector<TokenRow> rows;
  int64_t offset = 0;
  for (std::size_t i = 0; i < prompt.size(); ++i) {
    TokenRow row{.token = prompt[i], .text_offset = offset};
    if (i > 0) {
      const PositionLogprobs& position = positions[i - 1];
      row.logprob = position.logprob;
      row.top.assign(position.top.begin(), position.top.begin() + std::min<int64_t>(top, std::ssize(position.top)));
    }
    offset += characters(detokenizer.push(prompt[i]));
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace longship
