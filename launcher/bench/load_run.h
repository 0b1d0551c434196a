#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "launcher/bench/api_connection.h"
#include "launcher/bench/serve_sample.h"

namespace longship {

struct LoadRunOptions {
  std::string endpoint = "/v1/completions";
  std::size_t max_concurrency = SIZE_MAX;  ///< Requests at a time; those that come above it wait here.
  /// Called as requests end.
  std::function<void(const std::vector<ServeSample>&)> on_sample = [](const auto&) {};
};

/// Sends a load to a server and times its answers, all on the thread that calls run(). Used once.
class LoadRun {
 public:
  /// `server` outlives this.
  LoadRun(const ApiServer& server, LoadRunOptions options);
  ~LoadRun();

  /// Sends bodies[i] at arrivals[i] seconds from now. A sample for each body that was sent, in the order of their ends.
  std::vector<ServeSample> run(const std::vector<std::string>& bodies, const std::vector<double>& arrivals);
  /// Sends no more and gives up what is being answered, which counts as interrupted. Any thread.
  void stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace longship
