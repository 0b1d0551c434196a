#pragma once

#include <signal.h>

#include <functional>
#include <string>
#include <vector>

#include "core/json.h"
#include "tests/e2e/program.h"

namespace longship {

/// The checkpoint that Server serves.
std::string served_model();

/// JSON of an answer; fails the test if it is none.
Json parse(const std::string& text);
/// A member of a member ..., null where there is none. Numbers index arrays.
Json at(const Json& json, const std::vector<std::string>& path);

/// `longship serve` with a small model, ready to answer on a port of its own.
class Server {
 public:
  /// `more` follows the options that every server here has; `start` is what starts longship.
  explicit Server(const std::vector<std::string>& more = {}, std::vector<std::string> start = longship({}),
                  const std::string& model = served_model());

  uint16_t port() const { return port_; }
  Program& program() { return program_; }
  /// The JSON of an answer, whose status must be `status`.
  Json post(const std::string& path, const std::string& body, int status = 200) const;
  double metric(const std::string& name) const;
  bool wait_for_metric(const std::string& name, double value) const;
  bool wait_for_metric(const std::string& name, const std::function<bool(double)>& wanted) const;
  Outcome stop(int signal = SIGTERM);

 private:
  Program program_;
  uint16_t port_ = 0;
};

}  // namespace longship
