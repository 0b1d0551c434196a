#pragma once

#include <filesystem>

namespace longship {

/// What can be made again: ${XDG_CACHE_HOME:-~/.cache}/longship.
std::filesystem::path longship_cache();
/// Folder of downloaded models in it.
std::filesystem::path model_cache();

/// The model for commands that were given none: what scripts/fetch-model has put into the cache. Errors: kUsage, saying
/// how to get it.
std::filesystem::path default_model();

}  // namespace longship
