#pragma once

#include <string_view>

#include "engine/text/jinja/ast.h"

namespace longship::jinja {

/// The statements of a template. Errors: TemplateError with the line; nesting is limited.
Block parse(std::string_view source);

}  // namespace longship::jinja
