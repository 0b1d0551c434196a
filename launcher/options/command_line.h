#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace longship {

/// The arguments in the form that the option parser takes: "-tp 2" and "-tp=2" become "--tp 2" and "--tp=2", since it
/// knows no option of several letters behind one dash. Everything behind "--" stays.
/// Errors: kUsage for an option of vLLM or llama.cpp that longship does not have.
std::vector<std::string> normalise_arguments(std::vector<std::string> arguments);

/// Errors: kUsage, with the remedy, if `name` ("--swap-space") is such an option of another program.
void refuse_foreign_option(std::string_view name);

}  // namespace longship
