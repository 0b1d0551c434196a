#include "engine/text/tokenizer.h"

#include <algorithm>

#include "core/error.h"
#include "core/utf8.h"
#include "engine/text/byte_level.h"
#include "engine/text/unicode.h"

namespace longship {

Tokenizer::Tokenizer(Parts parts) : parts_(std::move(parts)) {
  int32_t size = parts_.bpe->size();
  for (const AddedToken& token : parts_.added.tokens()) {
    size = std::max(size, token.id + 1);
  }
  special_.resize(static_cast<std::size_t>(size));
  std::vector<std::string_view> texts(special_.size());
  std::size_t bytes = 0;
  for (int32_t id = 0; id < parts_.bpe->size(); ++id) {
    texts[static_cast<std::size_t>(id)] = parts_.bpe->token(id);
    bytes += parts_.bpe->token(id).size();
  }
  for (const AddedToken& token : parts_.added.tokens()) {
    texts[static_cast<std::size_t>(token.id)] = token.content;
    bytes += token.content.size();
    special_[static_cast<std::size_t>(token.id)] = token.special;
  }
  bytes_.reserve(texts.size(), bytes);
  std::string one;
  for (const std::string_view text : texts) {
    one.clear();
    append_alphabet_bytes(text, one);
    bytes_.append(one);
  }
}

std::shared_ptr<const Tokenizer> Tokenizer::load(const std::filesystem::path& path,
                                                 std::span<const MetadataOverride> overrides) {
  if (std::filesystem::is_directory(path)) {
    return from_json(path / "tokenizer.json");
  }
  return path.extension() == ".json" ? from_json(path) : from_gguf(*GgufFile::open(path, overrides));
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  std::string valid;
  if (!is_utf8(text)) {
    valid = replace_invalid_utf8(text);
    text = valid;
  }
  std::vector<int32_t> ids;
  if (options.add_special) {
    ids = parts_.prefix;
  }
  for (const AddedTokens::Part& part : parts_.added.split(text, false, options.parse_special)) {
    if (part.id >= 0) {
      ids.push_back(part.id);
    } else {
      encode_text(part.text, options.parse_special, ids);
    }
  }
  if (options.add_special) {
    ids.insert(ids.end(), parts_.suffix.begin(), parts_.suffix.end());
  }
  return ids;
}

void Tokenizer::encode_text(std::string_view text, bool parse_special, std::vector<int32_t>& ids) const {
  const std::string normalized = parts_.normalizer.normalize(std::string(text));
  for (const AddedTokens::Part& part : parts_.added.split(normalized, true, parse_special)) {
    if (part.id >= 0) {
      ids.push_back(part.id);
      continue;
    }
    for (const std::string& piece : parts_.pre_tokenizer.split(std::string(part.text))) {
      parts_.bpe->encode(piece, ids);
    }
  }
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  std::string bytes;
  for (const int32_t id : ids) {
    if (!skip_special || !is_special(id)) {
      bytes.append(bytes_of(id));
    }
  }
  return replace_invalid_utf8(bytes);
}

std::string_view Tokenizer::bytes_of(int32_t id) const {
  return id >= 0 && id < vocab_size() ? bytes_[id] : std::string_view();
}

std::string_view Tokenizer::vocabulary_text(int32_t id) const {
  if (id >= 0 && id < parts_.bpe->size() && !parts_.bpe->token(id).empty()) {
    return parts_.bpe->token(id);
  }
  for (const AddedToken& added : parts_.added.tokens()) {
    if (added.id == id) {
      return added.content;
    }
  }
  return {};
}

bool Tokenizer::is_special(int32_t id) const {
  return id >= 0 && id < vocab_size() && special_[static_cast<std::size_t>(id)];
}

std::optional<int32_t> Tokenizer::find(std::string_view token) const {
  for (const AddedToken& added : parts_.added.tokens()) {
    if (added.content == token) {
      return added.id;
    }
  }
  return parts_.bpe->find(token);
}

}  // namespace longship
