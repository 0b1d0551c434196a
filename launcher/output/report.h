#pragma once

#include <string>

#include "core/error.h"

namespace longship {

/// Prints "longship: error: CAUSE" and the remedy on a line of its own to standard error.
void print_error(const Error& error);

/// What `error` prints, without "longship: ".
std::string error_text(const Error& error);

}  // namespace longship
