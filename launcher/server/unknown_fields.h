#pragma once

#include <mutex>
#include <set>
#include <span>
#include <string>

namespace longship {

/// Says once of each field of a route's requests that it is ignored there. Any thread may ask.
class UnknownFields {
 public:
  /// `fields`: those of a request that nobody has read.
  void warn_of(const std::string& route, std::span<const std::string> fields);

 private:
  std::mutex mutex_;
  std::set<std::string> told_;
};

}  // namespace longship
