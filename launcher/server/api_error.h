#pragma once

#include <string>

#include "core/json.h"
#include "launcher/server/http/http_server.h"

namespace longship {

/// A request that is refused, in the shape of the OpenAI API: {"error": {message, type, param, code}}.
struct ApiError {
  int status = 400;
  std::string message;
  std::string param{};  ///< The field that is wrong; empty: none.
  std::string code{};
  int retry_after_s = 0;  ///< For 429 and 503.
  std::string allow{};    ///< For 405: the method that is taken.

  Json json() const;
  HttpResponse response() const;
};

}  // namespace longship
