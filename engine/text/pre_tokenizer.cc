#include "engine/text/pre_tokenizer.h"

#include "engine/text/byte_level.h"
#include "engine/text/scanners.h"
#include "engine/text/unicode.h"

namespace longship {

namespace {

class ScannerMatcher : public Matcher {
 public:
  explicit ScannerMatcher(Scanner scanner) : scanner_(scanner) {}
  std::optional<Match> next(std::string_view text, std::size_t from) const override {
    return from < text.size() ? std::optional(Match{from, scanner_(text, from)}) : std::nullopt;
  }

 private:
  Scanner scanner_;
};

class LiteralMatcher : public Matcher {
 public:
  explicit LiteralMatcher(std::string text) : text_(std::move(text)) {}
  std::optional<Match> next(std::string_view text, std::size_t from) const override {
    const std::size_t begin = text_.empty() ? std::string_view::npos : text.find(text_, from);
    return begin == std::string_view::npos ? std::nullopt : std::optional(Match{begin, begin + text_.size()});
  }

 private:
  std::string text_;
};

class ClassMatcher : public Matcher {
 public:
  explicit ClassMatcher(bool (*in_class)(int32_t)) : in_class_(in_class) {}
  std::optional<Match> next(std::string_view text, std::size_t from) const override {
    for (CodePoint c = code_point_at(text, from); c.length != 0; c = code_point_at(text, from)) {
      if (in_class_(c.value)) {
        return Match{from, from + c.length};
      }
      from += c.length;
    }
    return std::nullopt;
  }

 private:
  bool (*in_class_)(int32_t);
};

struct Part {
  std::size_t begin;
  std::size_t end;
  bool is_match;
};

// The whole text as matches and what lies between them.
std::vector<Part> parts_of(std::string_view text, const Matcher& matcher, bool invert) {
  std::vector<Part> parts;
  std::size_t at = 0;
  while (const auto match = matcher.next(text, at)) {
    if (match->begin > at) {
      parts.push_back({at, match->begin, invert});
    }
    parts.push_back({match->begin, match->end, !invert});
    at = match->end;
  }
  if (at < text.size()) {
    parts.push_back({at, text.size(), invert});
  }
  return parts;
}

// Joins parts as the behaviour says; what is left are the pieces.
std::vector<Part> join(const std::vector<Part>& parts, SplitBehavior behavior) {
  std::vector<Part> pieces;
  bool open = false;  // a match waits for what follows it
  for (const Part& part : parts) {
    bool with_last = false;
    switch (behavior) {
      case SplitBehavior::kRemoved:
        if (part.is_match) {
          continue;
        }
        break;
      case SplitBehavior::kIsolated:
        break;
      case SplitBehavior::kContiguous:
        with_last = !pieces.empty() && pieces.back().is_match == part.is_match;
        break;
      case SplitBehavior::kMergedWithPrevious:
        with_last = part.is_match && !pieces.empty() && !pieces.back().is_match;
        break;
      case SplitBehavior::kMergedWithNext:
        with_last = open && !part.is_match;
        open = part.is_match;
        break;
    }
    if (with_last) {
      pieces.back() = {pieces.back().begin, part.end, part.is_match};
    } else {
      pieces.push_back(part);
    }
  }
  return pieces;
}

}  // namespace

std::unique_ptr<Matcher> make_regex_matcher(const std::string& pattern) {
  if (const Scanner scanner = find_scanner(pattern)) {
    return std::make_unique<ScannerMatcher>(scanner);
  }
  return make_pcre_matcher(pattern);
}

std::unique_ptr<Matcher> make_literal_matcher(std::string text) {
  return std::make_unique<LiteralMatcher>(std::move(text));
}

std::unique_ptr<Matcher> make_class_matcher(bool (*in_class)(int32_t)) {
  return std::make_unique<ClassMatcher>(in_class);
}

void PreTokenizer::add_split(std::unique_ptr<Matcher> matcher, SplitBehavior behavior, bool invert) {
  steps_.push_back({Kind::kSplit, std::move(matcher), behavior, invert});
}

std::vector<std::string> PreTokenizer::split(std::string text) const {
  std::vector<std::string> pieces;
  pieces.push_back(std::move(text));
  for (const Step& step : steps_) {
    if (step.kind != Kind::kSplit) {
      for (std::string& piece : pieces) {
        if (step.kind == Kind::kByteAlphabet) {
          piece = bytes_to_alphabet(piece);
        } else if (!piece.empty() && piece.front() != ' ') {
          piece.insert(piece.begin(), ' ');
        }
      }
      continue;
    }
    std::vector<std::string> next;
    for (const std::string& piece : pieces) {
      for (const Part& part : join(parts_of(piece, *step.matcher, step.invert), step.behavior)) {
        next.push_back(piece.substr(part.begin, part.end - part.begin));
      }
    }
    pieces = std::move(next);
  }
  return pieces;
}

}  // namespace longship
