#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/added_tokens.h"
#include "engine/text/bpe.h"
#include "engine/text/normalizer.h"
#include "engine/text/pre_tokenizer.h"
#include "engine/text/token_texts.h"
#include "engine/weights/gguf.h"

namespace longship {

/// How encode() reads one text.
struct EncodeOptions {
  bool add_special = true;     ///< Put around the text what the tokenizer puts there (a begin-of-text token, ...).
  bool parse_special = false;  ///< Find special tokens in the text; never for text that a user wrote.
};

/// Text to token ids and back: byte-level BPE. Immutable; any thread may use it.
class Tokenizer {
 public:
  /// The parts of a tokenizer, as a reader of a file format fills them in.
  struct Parts {
    std::unique_ptr<Bpe> bpe;
    AddedTokens added;
    Normalizer normalizer;
    PreTokenizer pre_tokenizer;
    std::vector<int32_t> prefix;  ///< Added before a text,
    std::vector<int32_t> suffix;  ///< and after it.
  };

  explicit Tokenizer(Parts parts);

  /// From a model folder, a tokenizer.json or a GGUF file. Errors: kModelFile naming the file, the key and the rule; a
  /// component that is not known is refused by name.
  static std::shared_ptr<const Tokenizer> load(const std::filesystem::path& path,
                                               std::span<const MetadataOverride> overrides = {});
  static std::shared_ptr<const Tokenizer> from_gguf(const GgufFile& file);
  static std::shared_ptr<const Tokenizer> from_json(const std::filesystem::path& tokenizer_json);

  int32_t vocab_size() const { return bytes_.size(); }
  /// `text` that is not UTF-8 has its invalid parts replaced by U+FFFD. Errors: kUsage if a pattern of the tokenizer
  /// gives up on the text.
  std::vector<int32_t> encode(std::string_view text, const EncodeOptions& options = {}) const;
  /// Text of the ids, invalid parts replaced by U+FFFD; ids outside the vocabulary stand for nothing.
  std::string decode(std::span<const int32_t> ids, bool skip_special) const;

  /// Bytes that a token stands for; empty outside the vocabulary.
  std::string_view bytes_of(int32_t id) const;
  /// A token as the vocabulary writes it: in GPT-2's alphabet, added tokens as they stand in a text. Empty outside the
  /// vocabulary; lives as long as this.
  std::string_view vocabulary_text(int32_t id) const;
  bool is_special(int32_t id) const;
  /// The id of a token by its text, special tokens included.
  std::optional<int32_t> find(std::string_view token) const;

 private:
  void encode_text(std::string_view text, bool parse_special, std::vector<int32_t>& ids) const;

  Parts parts_;
  TokenTexts bytes_;
  std::vector<bool> special_;
};

}  // namespace longship
