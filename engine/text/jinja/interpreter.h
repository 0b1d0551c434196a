#pragma once

#include <string>

#include "engine/text/jinja/ast.h"
#include "engine/text/jinja/runtime.h"

namespace longship::jinja {

/// Renders a parsed template over the variables of `context` (an object). Errors: TemplateError with the line.
std::string render(const Block& block, const Json& context, Runtime& runtime);

}  // namespace longship::jinja
