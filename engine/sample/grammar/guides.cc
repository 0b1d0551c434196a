#include "engine/sample/grammar/guides.h"

#include <algorithm>

#include "core/error.h"

namespace longship {

namespace {

constexpr std::size_t kMostKept = 16;

}  // namespace

Guide Guides::make(const GrammarSpec& spec, std::span<const int32_t> output) {
  Guide guide(masks_for(spec));
  for (const int32_t token : output) {
    guide.accept(token);
  }
  return guide;
}

std::shared_ptr<TokenMasks> Guides::masks_for(const GrammarSpec& spec) {
  const std::lock_guard lock(mutex_);
  const auto known = std::find_if(recent_.begin(), recent_.end(), [&](const Kept& kept) { return kept.spec == spec; });
  if (known != recent_.end()) {
    recent_.splice(recent_.begin(), recent_, known);
    return recent_.front().masks;
  }
  if (!load_) {
    throw Error(ErrorKind::kUsage, "this engine has no tokenizer, which grammars need");
  }
  if (trie_ == nullptr) {
    trie_ = load_();
  }
  auto masks = std::make_shared<TokenMasks>(compile_grammar(spec), trie_);
  recent_.push_front({spec, masks});
  if (recent_.size() > kMostKept) {
    recent_.pop_back();
  }
  return masks;
}

}  // namespace longship
