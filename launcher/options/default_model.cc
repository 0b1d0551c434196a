#include "launcher/options/default_model.h"

#include <cstdlib>
#include <string>

#include "core/error.h"

namespace longship {

namespace fs = std::filesystem;

namespace {
constexpr const char* kDefaultModel = "SmolLM2-135M-Instruct.Q4_1.gguf";
}

fs::path longship_cache() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && *cache != '\0') {
    return fs::path(cache) / "longship";
  }
  const char* home = std::getenv("HOME");
  return fs::path(home == nullptr ? "." : home) / ".cache" / "longship";
}

fs::path model_cache() {
  return longship_cache() / "models";
}

fs::path default_model() {
  fs::path path = model_cache() / kDefaultModel;
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) {
    throw Error(ErrorKind::kUsage, "no model was given, and the default model is not at " + path.native(),
                "Give the path of a model, or run scripts/fetch-model.");
  }
  return path;
}

}  // namespace longship
