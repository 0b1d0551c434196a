#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace longship {

/// Class of a failure. The value is the exit code of the process.
enum class ErrorKind : int {
  kInternal = 1,
  kUsage = 2,
  kModelFile = 3,
  kDoesNotFit = 4,
  kRank = 5,
  kAddress = 6,  ///< An address or a port that cannot be listened on.
};

/// A failure that ends a command: one sentence of cause, one of remedy (may be empty).
/// Thrown during start-up and configuration; a running step reports request problems as values.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, std::string cause, std::string remedy = {});

  ErrorKind kind() const { return kind_; }
  int exit_code() const { return static_cast<int>(kind_); }
  const std::string& cause() const { return cause_; }
  const std::string& remedy() const { return remedy_; }

 private:
  ErrorKind kind_;
  std::string cause_;
  std::string remedy_;
};

/// A model file that breaks a rule of its format: "FILE: PLACE: RULE". `place` is a byte offset
/// ("offset 12"), a key or a tensor name; it may be empty.
Error model_file_error(std::string_view file, std::string_view place, std::string_view rule);

[[noreturn]] void check_failed(const char* condition, const char* file, int line, const std::string& message);

}  // namespace longship

/// Ends the process when an invariant of ours is broken. Never for bad input.
#define LONGSHIP_CHECK(condition, message)                                 \
  do {                                                                     \
    if (!(condition)) [[unlikely]] {                                       \
      ::longship::check_failed(#condition, __FILE__, __LINE__, (message)); \
    }                                                                      \
  } while (false)
