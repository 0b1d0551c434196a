// Reads Hugging Face's tokenizer.json: the components of byte-level BPE. Anything else is refused by name.
#include <algorithm>
#include <stdexcept>

#include "core/unsupported.h"
#include "engine/text/scanners.h"
#include "engine/text/tokenizer.h"
#include "engine/text/unicode.h"
#include "engine/weights/mapped_file.h"

namespace longship {

namespace {

constexpr int64_t kMaxTokenId = int64_t{4} << 20;
constexpr int kMaxDepth = 16;

class JsonTokenizerReader {
 public:
  explicit JsonTokenizerReader(const std::filesystem::path& path) : path_(path.string()) {
    const MappedFile file(path);
    auto parsed = parse_json({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()});
    if (const auto* error = std::get_if<JsonError>(&parsed)) {
      fail("offset " + std::to_string(error->offset), error->rule);
    }
    root_ = std::get<Json>(std::move(parsed));
  }

  Tokenizer::Parts read() {
    read_model();
    read_added_tokens();
    if (const Json* normalizer = present(root_, "normalizer")) {
      read_normalizer(*normalizer, "normalizer", 0);
    }
    if (const Json* pre_tokenizer = present(root_, "pre_tokenizer")) {
      read_pre_tokenizer(*pre_tokenizer, "pre_tokenizer", 0);
    }
    if (!byte_level_) {
      refuse("pre_tokenizer", "only byte-level tokenizers are supported, and it has no ByteLevel");
    }
    if (const Json* post_processor = present(root_, "post_processor")) {
      read_post_processor(*post_processor, "post_processor", 0);
    }
    if (const Json* decoder = present(root_, "decoder")) {
      read_decoder(*decoder, "decoder", 0);
    }
    return std::move(parts_);
  }

 private:
  [[noreturn]] void fail(const std::string& place, std::string_view rule) const {
    throw model_file_error(path_, place, rule);
  }
  [[noreturn]] void refuse(const std::string& place, std::string_view what) const {
    throw unsupported_error(path_, place, what);
  }
  [[noreturn]] void unknown(const std::string& place, const std::string& type) const {
    refuse(place + ".type", "the component \"" + type.substr(0, 64) + "\" is not supported");
  }

  static const Json* present(const Json& object, std::string_view key) {
    const Json* value = object.find(key);
    return value == nullptr || value->is_null() ? nullptr : value;
  }

  std::string text(const Json& object, const std::string& place, const std::string& key) const {
    const Json* value = present(object, key);
    if (value == nullptr || !value->is_string()) {
      fail(place + "." + key, "must be a string");
    }
    return value->as_string();
  }

  bool flag(const Json& object, const std::string& place, const std::string& key, bool fallback) const {
    const Json* value = present(object, key);
    if (value != nullptr && !value->is_bool()) {
      fail(place + "." + key, "must be true or false");
    }
    return value == nullptr ? fallback : value->as_bool();
  }

  const Json::Array& list(const Json& object, const std::string& place, const std::string& key) const {
    const Json* value = present(object, key);
    if (value == nullptr || !value->is_array()) {
      fail(place + "." + key, "must be a list");
    }
    return value->as_array();
  }

  int32_t token_id(const Json& value, const std::string& place) const {
    if (!value.is_int() || value.as_int() < 0 || value.as_int() >= kMaxTokenId) {
      fail(place, "must be a token id from 0 to " + std::to_string(kMaxTokenId - 1));
    }
    return static_cast<int32_t>(value.as_int());
  }

  // A sequence of components nested in `key`.
  template <class Read>
  void each(const Json& object, const std::string& place, const std::string& key, int depth, const Read& read) {
    if (depth >= kMaxDepth) {
      fail(place, "components are nested too deep");
    }
    const Json::Array& items = list(object, place, key);
    for (std::size_t i = 0; i < items.size(); ++i) {
      read(items[i], place + "." + key + "[" + std::to_string(i) + "]", depth + 1);
    }
  }

  void read_model() {
    const Json* model = present(root_, "model");
    if (model == nullptr || !model->is_object()) {
      fail("model", "must be an object");
    }
    // Old files have no type; BPE is the one with merges.
    const std::string type = present(*model, "type") != nullptr ? text(*model, "model", "type") : "BPE";
    if (type != "BPE") {
      unknown("model", type);
    }
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      const Json* value = present(*model, key);
      if (value != nullptr && *value != Json("")) {
        refuse(std::string("model.") + key, "is not supported");
      }
    }
    if (flag(*model, "model", "byte_fallback", false)) {
      refuse("model.byte_fallback", "is not supported: only byte-level tokenizers are");
    }
    if (present(*model, "dropout") != nullptr && *present(*model, "dropout") != Json(0.0)) {
      refuse("model.dropout", "is not supported");
    }
    parts_.bpe = std::make_unique<Bpe>(read_vocabulary(*model));
    parts_.bpe->set_ignore_merges(flag(*model, "model", "ignore_merges", false));
    const Json::Array& merges = list(*model, "model", "merges");
    for (std::size_t i = 0; i < merges.size(); ++i) {
      read_merge(merges[i], "model.merges[" + std::to_string(i) + "]");
    }
  }

  TokenTexts read_vocabulary(const Json& model) const {
    const Json* vocabulary = present(model, "vocab");
    if (vocabulary == nullptr || !vocabulary->is_object()) {
      fail("model.vocab", "must be an object of token ids");
    }
    int32_t largest = -1;
    for (const Json::Member& member : vocabulary->as_object()) {
      largest = std::max(largest, token_id(member.second, "model.vocab." + member.first));
    }
    std::vector<std::string_view> tokens(static_cast<std::size_t>(largest + 1));
    for (const Json::Member& member : vocabulary->as_object()) {
      std::string_view& token = tokens[static_cast<std::size_t>(member.second.as_int())];
      if (!token.empty()) {
        fail("model.vocab." + member.first, "has the id of " + std::string(token));
      }
      token = member.first;
    }
    return TokenTexts(tokens);
  }

  void read_merge(const Json& merge, const std::string& place) {
    std::string left;
    std::string right;
    if (merge.is_string()) {
      const std::string& both = merge.as_string();
      const std::size_t space = both.find(' ');
      if (space == std::string::npos || both.find(' ', space + 1) != std::string::npos) {
        fail(place, "must be two tokens with a space between them");
      }
      left = both.substr(0, space);
      right = both.substr(space + 1);
    } else if (merge.is_array() && merge.as_array().size() == 2 && merge.as_array()[0].is_string() &&
               merge.as_array()[1].is_string()) {
      left = merge.as_array()[0].as_string();
      right = merge.as_array()[1].as_string();
    } else {
      fail(place, "must be two tokens");
    }
    if (!parts_.bpe->add_merge(left, right)) {
      fail(place, "a part or the result of the merge is not in the vocabulary");
    }
  }

  void read_added_tokens() {
    if (present(root_, "added_tokens") == nullptr) {
      return;
    }
    const Json::Array& tokens = list(root_, "", "added_tokens");
    std::vector<std::pair<int32_t, std::size_t>> ids;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const std::string place = "added_tokens[" + std::to_string(i) + "]";
      AddedToken token;
      token.content = text(tokens[i], place, "content");
      const Json* id = present(tokens[i], "id");
      token.id = token_id(id != nullptr ? *id : Json(), place + ".id");
      if (token.content.empty()) {
        fail(place + ".content", "must not be empty");
      }
      const auto known = parts_.bpe->find(token.content);
      const bool taken = token.id < parts_.bpe->size() && !parts_.bpe->token(token.id).empty() &&
                         parts_.bpe->token(token.id) != token.content;
      if (taken || (known && *known != token.id)) {
        fail(place + ".id", "the id or the text is another token's");
      }
      token.special = flag(tokens[i], place, "special", false);
      token.single_word = flag(tokens[i], place, "single_word", false);
      token.lstrip = flag(tokens[i], place, "lstrip", false);
      token.rstrip = flag(tokens[i], place, "rstrip", false);
      token.normalized = flag(tokens[i], place, "normalized", !token.special);
      ids.emplace_back(token.id, i);
      parts_.added.add(std::move(token));
    }
    std::sort(ids.begin(), ids.end());
    for (std::size_t i = 1; i < ids.size(); ++i) {
      if (ids[i].first == ids[i - 1].first) {
        fail("added_tokens[" + std::to_string(ids[i].second) + "].id", "the id appears twice");
      }
    }
  }

  void read_normalizer(const Json& object, const std::string& place, int depth) {
    const std::string type = text(object, place, "type");
    using Step = Normalizer::Step;
    constexpr std::pair<std::string_view, Step> kSteps[] = {{"NFC", Step::kNfc},
                                                            {"NFD", Step::kNfd},
                                                            {"NFKC", Step::kNfkc},
                                                            {"NFKD", Step::kNfkd},
                                                            {"Lowercase", Step::kLowercase}};
    for (const auto& [name, step] : kSteps) {
      if (type == name) {
        parts_.normalizer.add(step);
        return;
      }
    }
    if (type != "Sequence") {
      unknown(place, type);
    }
    each(object, place, "normalizers", depth,
         [this](const Json& item, const std::string& at, int level) { read_normalizer(item, at, level); });
  }

  SplitBehavior behavior(const Json& object, const std::string& place) const {
    constexpr std::pair<std::string_view, SplitBehavior> kBehaviors[] = {
        {"Removed", SplitBehavior::kRemoved},
        {"Isolated", SplitBehavior::kIsolated},
        {"MergedWithPrevious", SplitBehavior::kMergedWithPrevious},
        {"MergedWithNext", SplitBehavior::kMergedWithNext},
        {"Contiguous", SplitBehavior::kContiguous}};
    const std::string value = text(object, place, "behavior");
    for (const auto& [name, result] : kBehaviors) {
      if (value == name) {
        return result;
      }
    }
    refuse(place + ".behavior", "the behaviour \"" + value.substr(0, 64) + "\" is not supported");
  }

  std::unique_ptr<Matcher> pattern(const Json& object, const std::string& place) const {
    const Json* value = present(object, "pattern");
    const Json* literal = value != nullptr ? value->find("String") : nullptr;
    const Json* regex = value != nullptr ? value->find("Regex") : nullptr;
    if (literal != nullptr && literal->is_string() && !literal->as_string().empty()) {
      return make_literal_matcher(literal->as_string());
    }
    if (regex == nullptr || !regex->is_string()) {
      fail(place + ".pattern", "must be a String or a Regex");
    }
    try {
      return make_regex_matcher(regex->as_string());
    } catch (const std::invalid_argument& error) {
      fail(place + ".pattern", error.what());
    }
  }

  void read_pre_tokenizer(const Json& object, const std::string& place, int depth) {
    const std::string type = text(object, place, "type");
    PreTokenizer& pre = parts_.pre_tokenizer;
    if (type == "ByteLevel") {
      byte_level_ = true;
      if (flag(object, place, "add_prefix_space", true)) {
        pre.add_prefix_space();
      }
      if (flag(object, place, "use_regex", true)) {
        pre.add_split(make_regex_matcher(std::string(kGpt2Pattern)), SplitBehavior::kIsolated);
      }
      pre.add_byte_alphabet();
    } else if (type == "Split") {
      pre.add_split(pattern(object, place), behavior(object, place), flag(object, place, "invert", false));
    } else if (type == "Digits") {
      const bool individual = flag(object, place, "individual_digits", false);
      pre.add_split(make_class_matcher(is_number), individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous);
    } else if (type == "Punctuation") {
      pre.add_split(make_class_matcher(is_punctuation),
                    present(object, "behavior") != nullptr ? behavior(object, place) : SplitBehavior::kIsolated);
    } else if (type == "Sequence") {
      each(object, place, "pretokenizers", depth,
           [this](const Json& item, const std::string& at, int level) { read_pre_tokenizer(item, at, level); });
    } else {
      unknown(place, type);
    }
  }

  void read_post_processor(const Json& object, const std::string& place, int depth) {
    const std::string type = text(object, place, "type");
    if (type == "Sequence") {
      each(object, place, "processors", depth,
           [this](const Json& item, const std::string& at, int level) { read_post_processor(item, at, level); });
    } else if (type == "TemplateProcessing") {
      read_template(object, place);
    } else if (type != "ByteLevel") {  // ByteLevel moves offsets only
      unknown(place, type);
    }
  }

  void read_template(const Json& object, const std::string& place) {
    bool after_text = false;
    for (const Json& item : list(object, place, "single")) {
      const Json* special = item.find("SpecialToken");
      if (item.find("Sequence") != nullptr) {
        after_text = true;
      } else if (special != nullptr) {
        std::vector<int32_t>& ids = after_text ? parts_.suffix : parts_.prefix;
        for (const int32_t id : template_ids(object, place, text(*special, place + ".single", "id"))) {
          ids.push_back(id);
        }
      } else {
        fail(place + ".single", "must hold SpecialToken and Sequence");
      }
    }
  }

  std::vector<int32_t> template_ids(const Json& object, const std::string& place, const std::string& name) const {
    const Json* tokens = present(object, "special_tokens");
    const Json* token = tokens != nullptr ? tokens->find(name) : nullptr;
    if (token == nullptr) {
      fail(place + ".special_tokens", "the special token " + name + " is not defined");
    }
    std::vector<int32_t> ids;
    for (const Json& id : list(*token, place + ".special_tokens", "ids")) {
      ids.push_back(token_id(id, place + ".special_tokens." + name));
    }
    return ids;
  }

  void read_decoder(const Json& object, const std::string& place, int depth) {
    const std::string type = text(object, place, "type");
    if (type == "Sequence") {
      each(object, place, "decoders", depth,
           [this](const Json& item, const std::string& at, int level) { read_decoder(item, at, level); });
    } else if (type != "ByteLevel") {
      unknown(place, type);
    }
  }

  std::string path_;
  Json root_;
  Tokenizer::Parts parts_;
  bool byte_level_ = false;
};

}  // namespace

std::shared_ptr<const Tokenizer> Tokenizer::from_json(const std::filesystem::path& tokenizer_json) {
  return std::make_shared<const Tokenizer>(JsonTokenizerReader(tokenizer_json).read());
}

}  // namespace longship
