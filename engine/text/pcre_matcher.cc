#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <stdexcept>

#include "core/error.h"
#include "engine/text/pre_tokenizer.h"
#include "engine/text/unicode.h"

namespace longship {

namespace {

constexpr std::size_t kMaxPatternBytes = 1 << 16;
constexpr std::size_t kMaxCompiledBytes = 1 << 20;
constexpr uint32_t kMatchLimit = 1'000'000;
constexpr uint32_t kDepthLimit = 100'000;
constexpr uint32_t kHeapLimitKilobytes = 64 << 10;

std::string message_of(int code) {
  PCRE2_UCHAR8 buffer[256];
  pcre2_get_error_message(code, buffer, sizeof(buffer));
  return reinterpret_cast<const char*>(buffer);
}

class PcreMatcher : public Matcher {
 public:
  explicit PcreMatcher(const std::string& pattern) {
    if (pattern.size() > kMaxPatternBytes) {
      throw std::invalid_argument("the pattern is longer than 64 KiB");
    }
    const CompileContext context(pcre2_compile_context_create(nullptr));
    pcre2_set_max_pattern_length(context.get(), kMaxPatternBytes);
    int code = 0;
    PCRE2_SIZE offset = 0;
    // Oniguruma's $ and ^ hold at every line.
    code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                              PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &code, &offset,
                              context.get()));
    if (code_ == nullptr) {
      throw std::invalid_argument(message_of(code) + " at its offset " + std::to_string(offset));
    }
    std::size_t size = 0;
    pcre2_pattern_info(code_.get(), PCRE2_INFO_SIZE, &size);
    if (size > kMaxCompiledBytes) {
      throw std::invalid_argument("the pattern is too large when compiled");
    }
    pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE);
    context_.reset(pcre2_match_context_create(nullptr));
    pcre2_set_match_limit(context_.get(), kMatchLimit);
    pcre2_set_depth_limit(context_.get(), kDepthLimit);
    pcre2_set_heap_limit(context_.get(), kHeapLimitKilobytes);
    refuse_backtracking(pattern);
  }

  std::optional<Match> next(std::string_view text, std::size_t from) const override {
    const MatchData data(pcre2_match_data_create(1, nullptr));
    while (from < text.size()) {
      const int result = pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
                                     PCRE2_NO_UTF_CHECK, data.get(), context_.get());
      if (result == PCRE2_ERROR_NOMATCH) {
        return std::nullopt;
      }
      if (result < 0) {
        throw Error(ErrorKind::kUsage, "the tokenizer's pattern gives up on this text: " + message_of(result));
      }
      const PCRE2_SIZE* range = pcre2_get_ovector_pointer(data.get());
      if (range[1] > range[0]) {
        return Match{range[0], range[1]};
      }
      const CodePoint skipped = code_point_at(text, range[0]);
      from = range[0] + (skipped.length == 0 ? 1 : skipped.length);
    }
    return std::nullopt;
  }

 private:
  // Runs of each character of the pattern and then one that it hardly matches: what makes nested repeats explode.
  void refuse_backtracking(const std::string& pattern) const {
    for (const char c : "a0 !\n" + pattern) {
      if (static_cast<unsigned char>(c) < 0x80) {
        try {
          next(std::string(64, c) + '\x01', 0);
        } catch (const Error&) {
          throw std::invalid_argument("the pattern takes exponential time");
        }
      }
    }
  }

  struct Free {
    void operator()(pcre2_code* p) const { pcre2_code_free(p); }
    void operator()(pcre2_match_context* p) const { pcre2_match_context_free(p); }
    void operator()(pcre2_compile_context* p) const { pcre2_compile_context_free(p); }
    void operator()(pcre2_match_data* p) const { pcre2_match_data_free(p); }
  };
  using CompileContext = std::unique_ptr<pcre2_compile_context, Free>;
  using MatchData = std::unique_ptr<pcre2_match_data, Free>;

  std::unique_ptr<pcre2_code, Free> code_;
  std::unique_ptr<pcre2_match_context, Free> context_;
};

}  // namespace

std::unique_ptr<Matcher> make_pcre_matcher(const std::string& pattern) {
  return std::make_unique<PcreMatcher>(pattern);
}

}  // namespace longship
