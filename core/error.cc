#include "core/error.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

namespace longship {

namespace {

std::string join(const std::string& cause, const std::string& remedy) {
  return remedy.empty() ? cause : cause + "\n" + remedy;
}

}  // namespace

Error::Error(ErrorKind kind, std::string cause, std::string remedy)
    : std::runtime_error(join(cause, remedy)), kind_(kind), cause_(std::move(cause)), remedy_(std::move(remedy)) {}

Error model_file_error(std::string_view file, std::string_view place, std::string_view rule) {
  std::string cause(file);
  if (!place.empty()) {
    cause.append(": ").append(place);
  }
  cause.append(": ").append(rule);
  return Error(ErrorKind::kModelFile, std::move(cause),
               "Download the files again, or write them again with the tool that made them.");
}

void check_failed(const char* condition, const char* file, int line, const std::string& message) {
  std::fprintf(stderr, "longship: broken invariant %s at %s:%d: %s\n", condition, file, line, message.c_str());
  std::abort();
}

}  // namespace longship
