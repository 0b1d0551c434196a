#include "engine/text/scanners.h"

#include "engine/text/unicode.h"

namespace longship {

const std::string_view kGpt2Pattern = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
const std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
const std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

namespace {

bool is_newline(int32_t c) {
  return c == '\r' || c == '\n';
}
bool is_other(int32_t c) {
  return !is_space(c) && !is_letter(c) && !is_number(c);
}

// End of the run of characters of a class from `at`, at most `most` of them.
std::size_t run(std::string_view text, std::size_t at, bool (*in_class)(int32_t), std::size_t most = SIZE_MAX) {
  for (; most > 0; --most) {
    const CodePoint c = code_point_at(text, at);
    if (c.length == 0 || !in_class(c.value)) {
      break;
    }
    at += c.length;
  }
  return at;
}

// End of 's 't 're 've 'm 'll 'd at `at`, or `at`. Caseless, s is also U+017F.
std::size_t contraction(std::string_view text, std::size_t at, bool caseless) {
  if (code_point_at(text, at).value != '\'') {
    return at;
  }
  const auto letter = [&](std::size_t offset) {
    CodePoint c = code_point_at(text, offset);
    if (caseless && c.value == 0x17F) {
      c.value = 's';
    } else if (caseless && c.value >= 'A' && c.value <= 'Z') {
      c.value += 'a' - 'A';
    }
    return c;
  };
  const CodePoint first = letter(at + 1);
  const std::size_t after = at + 1 + first.length;
  if (first.value == 's' || first.value == 't' || first.value == 'm' || first.value == 'd') {
    return after;
  }
  const CodePoint second = letter(after);
  const bool two = (first.value == 'r' && second.value == 'e') || (first.value == 'v' && second.value == 'e') ||
                   (first.value == 'l' && second.value == 'l');
  return two ? after + second.length : at;
}

// \s+(?!\S)|\s+ : white space up to the last one, which goes with what follows.
std::size_t spaces(std::string_view text, std::size_t at) {
  const std::size_t end = run(text, at, is_space);
  if (end == text.size()) {
    return end;
  }
  const std::size_t before_last = end - code_point_before(text, end).length;
  return before_last > at ? before_last : end;
}

std::size_t scan_gpt2(std::string_view text, std::size_t at) {
  if (const std::size_t end = contraction(text, at, false); end > at) {
    return end;
  }
  const std::size_t begin = text[at] == ' ' ? at + 1 : at;
  for (const auto in_class : {is_letter, is_number, is_other}) {
    if (const std::size_t end = run(text, begin, in_class); end > begin) {
      return end;
    }
  }
  return spaces(text, at);
}

// Llama 3 and Qwen 2 differ in how many digits make a piece.
std::size_t scan_llama3(std::string_view text, std::size_t at, std::size_t digits) {
  if (const std::size_t end = contraction(text, at, true); end > at) {
    return end;
  }
  const CodePoint first = code_point_at(text, at);
  if (is_letter(first.value)) {
    return run(text, at, is_letter);
  }
  if (!is_newline(first.value) && !is_number(first.value)) {
    const std::size_t begin = at + first.length;
    if (const std::size_t end = run(text, begin, is_letter); end > begin) {
      return end;
    }
  }
  if (const std::size_t end = run(text, at, is_number, digits); end > at) {
    return end;
  }
  const std::size_t begin = text[at] == ' ' ? at + 1 : at;
  if (const std::size_t end = run(text, begin, is_other); end > begin) {
    return run(text, end, is_newline);
  }
  // \s*[\r\n]+ : to the last newline of the white space.
  const std::size_t end = run(text, at, is_space);
  const std::size_t newline = text.substr(at, end - at).find_last_of("\r\n");
  return newline != std::string_view::npos ? at + newline + 1 : spaces(text, at);
}

}  // namespace

Scanner find_scanner(std::string_view pattern) {
  if (pattern == kGpt2Pattern) {
    return scan_gpt2;
  }
  if (pattern == kLlama3Pattern) {
    return [](std::string_view text, std::size_t at) { return scan_llama3(text, at, 3); };
  }
  if (pattern == kQwen2Pattern) {
    return [](std::string_view text, std::size_t at) { return scan_llama3(text, at, 1); };
  }
  return nullptr;
}

}  // namespace longship
