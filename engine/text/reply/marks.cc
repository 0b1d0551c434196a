#include "engine/text/reply/marks.h"

#include <algorithm>

namespace longship {

std::size_t begun_bytes(std::string_view text, std::string_view mark) {
  std::size_t length = mark.empty() ? 0 : std::min(mark.size() - 1, text.size());
  while (length > 0 && !text.ends_with(mark.substr(0, length))) {
    --length;
  }
  return length;
}

}  // namespace longship
