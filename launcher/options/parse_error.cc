#include "launcher/options/parse_error.h"

#include <CLI/CLI.hpp>
#include <string_view>

namespace longship {

namespace {

// The parser knows no option of several letters behind one dash: see normalise_arguments().
std::string as_typed(std::string text) {
  for (const std::string_view doubled : {"--tp", "--pp", "--npl", "--np"}) {
    const std::size_t end = doubled.size();
    if (text.starts_with(doubled) && (text.size() == end || text[end] == ':' || text[end] == ' ')) {
      return text.substr(1);
    }
  }
  return text;
}

// What stands in `text` between two marks, to its end where the second is empty or missing; empty if the first is
// missing.
std::string between(const std::string& text, std::string_view open, std::string_view close) {
  const std::size_t begin = text.find(open);
  if (begin == std::string::npos) {
    return {};
  }
  const std::size_t first = begin + open.size();
  const std::size_t end = close.empty() ? std::string::npos : text.find(close, first);
  return text.substr(first, end == std::string::npos ? end : end - first);
}

// The names of the commands that were recognised, such as "bench run".
std::string command_words(const CLI::App& program) {
  std::string words;
  for (const CLI::App* command = &program; !command->get_subcommands().empty();) {
    command = command->get_subcommands().front();
    words += (words.empty() ? "" : " ") + command->get_name();
  }
  return words;
}

// There is no command, or none of the name that stands where one is needed.
std::string command_error(const CLI::App& program) {
  const std::string words = command_words(program);
  const std::vector<std::string> rest = program.remaining(true);
  if (rest.empty()) {
    return words.empty() ? "no command was given" : words + " needs a command";
  }
  const bool option = rest.front().starts_with('-');
  return "there is no " + std::string(option ? "option " : "command ") + (words.empty() || option ? "" : words + " ") +
         rest.front();
}

std::string conversion_error(const std::string& text) {
  constexpr std::string_view kAssigned = " = ";
  const std::string name = between(text, "Could not convert: ", kAssigned);
  return name.empty() ? as_typed(text) : as_typed(name) + " cannot be \"" + between(text, kAssigned, "") + '"';
}

std::string count_error(const std::string& text) {
  const std::string name = as_typed(text.substr(0, text.find(':')));
  if (text.ends_with(" missing")) {
    return name + " needs a value";
  }
  return text.find("At Most 1 ") == std::string::npos ? as_typed(text) : name + " stands there more than once";
}

}  // namespace

std::string parse_error_text(const CLI::App& program, const CLI::ParseError& error) {
  switch (static_cast<CLI::ExitCodes>(error.get_exit_code())) {
    case CLI::ExitCodes::ExtrasError:
      return "there is no option or argument " + program.remaining(true).front();
    case CLI::ExitCodes::RequiredError:
      if (std::string_view(error.what()) == "A subcommand is required") return command_error(program);
      return parse_error_text(error);
    default:
      return parse_error_text(error);
  }
}

std::string parse_error_text(const CLI::ParseError& error) {
  std::string text = error.what();
  while (!text.empty() && (text.back() == '.' || text.back() == '\n')) {
    text.pop_back();
  }
  switch (static_cast<CLI::ExitCodes>(error.get_exit_code())) {
    case CLI::ExitCodes::ConversionError:
      return conversion_error(text);
    case CLI::ExitCodes::ArgumentMismatch:
      return count_error(text);
    default:
      return as_typed(std::move(text));
  }
}

std::string help_of_command(const CLI::App& program) {
  const std::string words = command_words(program);
  return "longship " + words + (words.empty() ? "" : " ") + "--help";
}

}  // namespace longship
