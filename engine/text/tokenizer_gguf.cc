// Reads the tokenizer of a GGUF file (keys "tokenizer.ggml.*"): model "gpt2", which is byte-level BPE.
#include <array>

#include "core/unsupported.h"
#include "engine/text/scanners.h"
#include "engine/text/tokenizer.h"
#include "engine/text/unicode.h"

namespace longship {

namespace {

// Values of tokenizer.ggml.token_type.
constexpr int64_t kControl = 3;
constexpr int64_t kUserDefined = 4;

const std::string_view kQwen35Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
const std::string_view kO200kPattern =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
const std::string_view kTekkenPattern =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
const std::string_view kDeepseekV3Pattern =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
const std::string_view kCjkPattern = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+";
const std::string_view kDeepseekV3Cjk = "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+";
const std::string_view kDeepseekLlmLetters =
    R"(\s?[A-Za-z\x{b5}\x{c0}-\x{d6}\x{d8}-\x{f6}\x{f8}-\x{1ba}\x{1bc}-\x{1bf}\x{1c4}-\x{293}\x{295}-\x{2af}\x{370}-\x{373}\x{376}\x{377}\x{37b}-\x{37d}\x{37f}\x{386}\x{388}-\x{38a}\x{38c}\x{38e}-\x{3a1}\x{3a3}-\x{3f5}\x{3f7}-\x{481}\x{48a}-\x{52f}\x{531}-\x{556}\x{10a0}-\x{10c5}\x{13a0}-\x{13f5}\x{13f8}-\x{13fd}\x{1c90}-\x{1cba}\x{1cbd}-\x{1cbf}\x{1d00}-\x{1d2b}\x{1d6b}-\x{1d77}\x{1d79}-\x{1d9a}\x{1e00}-\x{1f15}\x{1f18}-\x{1f1d}\x{1f20}-\x{1f45}\x{1f48}-\x{1f4d}\x{1f50}-\x{1f57}\x{1f59}\x{1f5b}\x{1f5d}\x{1f5f}-\x{1f7d}\x{1f80}-\x{1fb4}\x{1fb6}-\x{1fbc}\x{1fbe}\x{1fc2}-\x{1fc4}\x{1fc6}-\x{1fcc}\x{1fd0}-\x{1fd3}\x{1fd6}-\x{1fdb}\x{1fe0}-\x{1fec}\x{1ff2}-\x{1ff4}\x{1ff6}-\x{1ffc}\x{2102}\x{2107}\x{210a}-\x{2113}\x{2115}\x{2119}-\x{211d}\x{2124}\x{2126}\x{2128}\x{212a}-\x{212d}\x{212f}-\x{2134}\x{2139}\x{213c}-\x{213f}\x{2145}-\x{2149}\x{214e}\x{2183}\x{2184}\x{2c00}-\x{2c7b}\x{2c7e}-\x{2ce4}\x{2ceb}-\x{2cee}\x{2cf2}\x{2cf3}\x{a640}-\x{a66d}\x{a680}-\x{a69b}\x{a722}-\x{a76f}\x{a771}-\x{a787}\x{a78b}-\x{a78e}\x{ab70}-\x{abbf}\x{fb00}-\x{fb06}\x{fb13}-\x{fb17}\x{ff21}-\x{ff3a}\x{ff41}-\x{ff5a}\x{10400}-\x{1044f}\x{104b0}-\x{104d3}\x{104d8}-\x{104fb}\x{10c80}-\x{10cb2}\x{10cc0}-\x{10cf2}\x{118a0}-\x{118df}\x{1e900}-\x{1e943}]+)";
const std::string_view kDeepseekLlmPunctuation = "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+";

void isolate(PreTokenizer& pre, std::string_view pattern) {
  pre.add_split(make_regex_matcher(std::string(pattern)), SplitBehavior::kIsolated);
}

void digits(PreTokenizer& pre, bool individual) {
  pre.add_split(make_class_matcher(is_number), individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous);
}

// What a value of tokenizer.ggml.pre stands for.
struct Variant {
  std::string_view name;
  bool ignore_merges;
  bool add_bos;  ///< Where the file does not say.
  bool nfc;
  void (*fill)(PreTokenizer& pre);
};

constexpr auto kFillGpt2 = [](PreTokenizer& pre) { isolate(pre, kGpt2Pattern); };
constexpr auto kFillLlama3 = [](PreTokenizer& pre) { isolate(pre, kLlama3Pattern); };
constexpr auto kFillQwen2 = [](PreTokenizer& pre) { isolate(pre, kQwen2Pattern); };
constexpr auto kFillQwen35 = [](PreTokenizer& pre) { isolate(pre, kQwen35Pattern); };
constexpr auto kFillTekken = [](PreTokenizer& pre) { isolate(pre, kTekkenPattern); };
constexpr auto kFillO200k = [](PreTokenizer& pre) { isolate(pre, kO200kPattern); };
constexpr auto kFillSmollm = [](PreTokenizer& pre) {
  digits(pre, true);
  isolate(pre, kGpt2Pattern);
};
constexpr auto kFillDeepseekCoder = [](PreTokenizer& pre) {
  for (const std::string_view pattern :
       {std::string_view("[\r\n]"), std::string_view(R"(\s?\p{L}+)"), std::string_view(R"(\s?\p{P}+)"), kCjkPattern}) {
    isolate(pre, pattern);
  }
  digits(pre, true);
};
constexpr auto kFillDeepseekLlm = [](PreTokenizer& pre) {
  for (const std::string_view pattern : {std::string_view("[\r\n]"), kDeepseekLlmLetters, kDeepseekLlmPunctuation,
                                         std::string_view(R"(\s+$)"), kCjkPattern}) {
    isolate(pre, pattern);
  }
  digits(pre, true);
};
constexpr auto kFillDeepseekV3 = [](PreTokenizer& pre) {
  isolate(pre, R"(\p{N}{1,3})");
  isolate(pre, kDeepseekV3Cjk);
  isolate(pre, kDeepseekV3Pattern);
};
constexpr auto kFillFalcon = [](PreTokenizer& pre) {
  pre.add_split(make_class_matcher(is_punctuation), SplitBehavior::kContiguous);
  isolate(pre, kGpt2Pattern);
  // The digits here are those of the byte alphabet.
  pre.add_byte_alphabet();
  digits(pre, false);
  isolate(pre, "[0-9][0-9][0-9]");
};

constexpr std::array kVariants = {
    Variant{"gpt-2", false, false, false, kFillGpt2},
    Variant{"default", false, false, false, kFillGpt2},
    Variant{"mpt", false, false, true, kFillGpt2},
    Variant{"olmo", false, false, false, kFillGpt2},
    Variant{"phi-2", false, false, false, kFillGpt2},
    Variant{"llama-bpe", true, true, false, kFillLlama3},
    Variant{"llama3", true, true, false, kFillLlama3},
    Variant{"llama-v3", true, true, false, kFillLlama3},
    Variant{"qwen2", false, false, true, kFillQwen2},
    Variant{"deepseek-r1-qwen", false, false, true, kFillQwen2},
    Variant{"qwen35", false, false, true, kFillQwen35},
    Variant{"smollm", false, false, false, kFillSmollm},
    Variant{"starcoder", false, false, false, kFillSmollm},
    Variant{"refact", false, false, false, kFillSmollm},
    Variant{"command-r", false, false, false, kFillSmollm},
    Variant{"tekken", true, true, false, kFillTekken},
    Variant{"gpt-4o", true, false, false, kFillO200k},
    Variant{"deepseek-coder", false, false, false, kFillDeepseekCoder},
    Variant{"deepseek-llm", false, false, false, kFillDeepseekLlm},
    Variant{"deepseek-v3", false, false, false, kFillDeepseekV3},
    Variant{"falcon", false, false, false, kFillFalcon},
};

class GgufTokenizerReader {
 public:
  explicit GgufTokenizerReader(const GgufFile& file) : file_(file) {}

  Tokenizer::Parts read() {
    if (text("model", "") != "gpt2") {
      refuse("model", "the tokenizer model \"" + text("model", "").substr(0, 64) + "\" is not supported");
    }
    const Variant& variant = find_variant();
    parts_.bpe = std::make_unique<Bpe>(TokenTexts(strings("tokens")));
    if (parts_.bpe->duplicate()) {
      fail("tokens", "the token " + *parts_.bpe->duplicate() + " appears twice");
    }
    parts_.bpe->set_ignore_merges(variant.ignore_merges);
    read_merges();
    read_types(variant.name == "mpt");
    variant.fill(parts_.pre_tokenizer);
    if (variant.name != "falcon") {
      parts_.pre_tokenizer.add_byte_alphabet();
    }
    if (variant.nfc) {
      parts_.normalizer.add(Normalizer::Step::kNfc);
    }
    const std::optional<int32_t> bos = id("bos_token_id");
    const std::optional<int32_t> eos = id("eos_token_id");
    if (flag("add_bos_token", variant.add_bos) && bos) {
      parts_.prefix.push_back(*bos);
    }
    if (flag("add_eos_token", false) && eos) {
      parts_.suffix.push_back(*eos);
    }
    return std::move(parts_);
  }

 private:
  [[noreturn]] void fail(const std::string& key, std::string_view rule) const {
    throw model_file_error(file_.path().string(), "tokenizer.ggml." + key, rule);
  }
  [[noreturn]] void refuse(const std::string& key, std::string_view what) const {
    throw unsupported_error(file_.path().string(), "tokenizer.ggml." + key, what);
  }
  const Json* find(const std::string& key) const { return file_.find("tokenizer.ggml." + key); }

  std::string text(const std::string& key, const std::string& fallback) const {
    const Json* value = find(key);
    if (value != nullptr && !value->is_string()) {
      fail(key, "must be a string");
    }
    return value == nullptr ? fallback : value->as_string();
  }

  bool flag(const std::string& key, bool fallback) const {
    const Json* value = find(key);
    if (value != nullptr && !value->is_bool()) {
      fail(key, "must be a bool");
    }
    return value == nullptr ? fallback : value->as_bool();
  }

  std::optional<int32_t> id(const std::string& key) const {
    const Json* value = find(key);
    if (value == nullptr) {
      return std::nullopt;
    }
    if (!value->is_int() || value->as_int() < 0 || value->as_int() >= parts_.bpe->size()) {
      fail(key, "must be a token of the vocabulary");
    }
    return static_cast<int32_t>(value->as_int());
  }

  const GgufArray& array(const std::string& key) const {
    if (find(key) == nullptr) {
      fail(key, "is missing");
    }
    const GgufArray* array = file_.find_array("tokenizer.ggml." + key);
    if (array == nullptr) {
      fail(key, "must be an array");
    }
    return *array;
  }

  std::vector<std::string_view> strings(const std::string& key) const {
    auto strings = array(key).strings();
    if (!strings) {
      fail(key, "must be strings");
    }
    return std::move(*strings);
  }

  const Variant& find_variant() const {
    const std::string pre = text("pre", "default");
    for (const Variant& variant : kVariants) {
      if (variant.name == pre) {
        return variant;
      }
    }
    refuse("pre", "the pre-tokenizer \"" + pre.substr(0, 64) + "\" is not supported");
  }

  void read_merges() {
    const std::vector<std::string_view> merges = strings("merges");
    parts_.bpe->reserve_merges(merges.size());
    for (std::size_t i = 0; i < merges.size(); ++i) {
      const std::string_view merge = merges[i];
      const std::size_t space = merge.find(' ');
      if (space == std::string_view::npos) {
        fail("merges", "entry " + std::to_string(i) + " must be two tokens with a space between them");
      }
      if (!parts_.bpe->add_merge(merge.substr(0, space), merge.substr(space + 1))) {
        fail("merges", "entry " + std::to_string(i) + ": a part or the result is not in the vocabulary");
      }
    }
  }

  void read_types(bool normalized) {
    if (find("token_type") == nullptr) {
      return;
    }
    const auto types = array("token_type").integers();
    if (!types) {
      fail("token_type", "must be integers");
    }
    if (std::ssize(*types) != parts_.bpe->size()) {
      fail("token_type", "must have one type for each token");
    }
    for (int32_t token = 0; token < parts_.bpe->size(); ++token) {
      const int64_t type = (*types)[static_cast<std::size_t>(token)];
      if ((type == kControl || type == kUserDefined) && !parts_.bpe->token(token).empty()) {
        AddedToken added;
        added.id = token;
        added.content = parts_.bpe->token(token);
        added.special = type == kControl;
        added.normalized = normalized && type == kUserDefined;
        parts_.added.add(std::move(added));
      }
    }
  }

  const GgufFile& file_;
  Tokenizer::Parts parts_;
};

}  // namespace

std::shared_ptr<const Tokenizer> Tokenizer::from_gguf(const GgufFile& file) {
  return std::make_shared<const Tokenizer>(GgufTokenizerReader(file).read());
}

}  // namespace longship
