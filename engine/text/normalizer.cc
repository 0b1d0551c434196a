#include "engine/text/normalizer.h"

#include <utf8proc.h>

#include <cstdlib>
#include <memory>

#include "core/error.h"
#include "engine/text/unicode.h"

namespace longship {

namespace {

std::string map(const std::string& text, int options) {
  utf8proc_uint8_t* mapped = nullptr;
  const auto length =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                   &mapped, static_cast<utf8proc_option_t>(options | UTF8PROC_STABLE));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, std::free);
  if (length < 0) {
    throw Error(ErrorKind::kUsage, std::string("the text cannot be normalised: ") + utf8proc_errmsg(length));
  }
  return {reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(length)};
}

std::string lowercase(const std::string& text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = code_point_at(text, at);
    append_utf8(utf8proc_tolower(c.value), out);
    at += c.length;
  }
  return out;
}

}  // namespace

std::string Normalizer::normalize(std::string text) const {
  for (const Step step : steps_) {
    switch (step) {
      case Step::kNfc:
        text = map(text, UTF8PROC_COMPOSE);
        break;
      case Step::kNfd:
        text = map(text, UTF8PROC_DECOMPOSE);
        break;
      case Step::kNfkc:
        text = map(text, UTF8PROC_COMPOSE | UTF8PROC_COMPAT);
        break;
      case Step::kNfkd:
        text = map(text, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT);
        break;
      case Step::kLowercase:
        text = lowercase(text);
        break;
    }
  }
  return text;
}

}  // namespace longship
