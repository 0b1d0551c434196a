#pragma once

#include <mutex>
#include <set>
#include <string>

#include "core/json.h"

namespace longship {

/// Says once of each field of requests that it is not known here and has no effect. Any thread may ask.
class UnknownFields {
 public:
  void warn_of(const Json& body);

 private:
  std::mutex mutex_;
  std::set<std::string> seen_;
};

}  // namespace longship
