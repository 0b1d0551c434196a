#include "engine/text/detokenizer.h"

#include <algorithm>
#include <utility>

#include "engine/text/unicode.h"

namespace longship {

std::string Detokenizer::push(int32_t id) {
  const bool shown = std::find(shown_.begin(), shown_.end(), id) != shown_.end();
  if (skip_special_ && !shown && tokenizer_->is_special(id)) {
    return {};
  }
  std::string bytes = std::exchange(held_, {});
  bytes.append(tokenizer_->bytes_of(id));
  const std::size_t complete = bytes.size() - incomplete_suffix_bytes(bytes);
  held_ = bytes.substr(complete);
  bytes.resize(complete);
  return replace_invalid_utf8(bytes);
}

std::string Detokenizer::flush() {
  return replace_invalid_utf8(std::exchange(held_, {}));
}

}  // namespace longship
