#pragma once

#include <string>
#include <string_view>

#include "core/error.h"

namespace longship {

/// A model file that is sound but holds what longship does not do: "FILE: PLACE: WHAT", as in model_file_error(), whose
/// remedy, to get the file again, would not help.
Error unsupported_error(std::string_view file, std::string_view place, std::string_view what,
                        std::string remedy = "Choose another conversion of it, or another model.");

}  // namespace longship
