#pragma once

#include <stdexcept>
#include <string>

namespace longship::jinja {

/// A template that cannot be parsed or rendered: what raise_exception() said, a type error, a limit, ...
/// `line` is the line of the template, 0 where it is not known yet.
class TemplateError : public std::runtime_error {
 public:
  explicit TemplateError(const std::string& message, int line = 0) : std::runtime_error(message), line_(line) {}
  int line() const { return line_; }

 private:
  int line_;
};

}  // namespace longship::jinja
