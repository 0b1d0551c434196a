#pragma once

#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "launcher/job/child_process.h"

namespace longship {

/// A `longship serve` of our own, on a free port, as long as this lives.
class OwnServer {
 public:
  /// Starts this program with "serve" and these arguments and waits until it is ready, at most ten minutes. What it
  /// says meanwhile goes to standard error. Errors: its own.
  explicit OwnServer(std::vector<std::string> arguments);
  ~OwnServer();
  OwnServer(const OwnServer&) = delete;
  OwnServer& operator=(const OwnServer&) = delete;

  const std::string& url() const { return url_; }

 private:
  void read_until_ready();
  void read_line(const std::string& line);
  bool read_some();
  [[noreturn]] void fail();

  ChildProcess process_;
  std::string unread_;
  std::string url_;
  std::string error_;    ///< What it said of its own error.
  std::jthread reader_;  ///< Takes what the server says once it is ready.
};

}  // namespace longship
