#pragma once

#include <string>

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace longship {

/// One sentence for what the option parser did not understand, begun and ended as ours are, with options as they are
/// typed: "-tp", not "--tp". `program` is as the parser left it.
std::string parse_error_text(const CLI::App& program, const CLI::ParseError& error);

/// The same for a value from elsewhere than the command line.
std::string parse_error_text(const CLI::ParseError& error);

/// "longship bench run --help": where the options of the command stand that the parser got to.
std::string help_of_command(const CLI::App& program);

}  // namespace longship
