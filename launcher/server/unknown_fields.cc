#include "launcher/server/unknown_fields.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "core/json.h"
#include "launcher/output/log.h"

namespace longship {

namespace {

// What clients say of themselves; no answer depends on it.
constexpr auto kOfNoEffect = std::to_array<std::string_view>(
    {"user", "metadata", "service_tier", "store", "safety_identifier", "prompt_cache_key"});

}  // namespace

void UnknownFields::warn_of(const std::string& route, std::span<const std::string> fields) {
  constexpr std::size_t kMost = 100;
  const std::lock_guard lock(mutex_);
  for (const std::string& field : fields) {
    if (told_.size() == kMost) {
      return;
    }
    const bool matters = std::find(kOfNoEffect.begin(), kOfNoEffect.end(), field) == kOfNoEffect.end();
    const std::string line =
        "requests to " + route + " have a field that is ignored: " + dump_json(field.substr(0, 80));
    if (matters && told_.insert(line).second) {
      log_line(LogLevel::kWarning, line);
    }
  }
}

}  // namespace longship
