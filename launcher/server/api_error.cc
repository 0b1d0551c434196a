#include "launcher/server/api_error.h"

namespace longship {

namespace {

std::string type_of(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 404:
      return "not_found_error";
    case 429:
      return "rate_limit_error";
    case 503:
      return "service_unavailable_error";
    default:
      return status >= 500 ? "server_error" : "invalid_request_error";
  }
}

Json or_null(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

}  // namespace

Json ApiError::json() const {
  Json error;
  error.set("message", message);
  error.set("type", type_of(status));
  error.set("param", or_null(param));
  error.set("code", or_null(code));
  Json body;
  body.set("error", std::move(error));
  return body;
}

HttpResponse ApiError::response() const {
  HttpResponse response{.status = status, .body = dump_json(json())};
  if (retry_after_s > 0) {
    response.headers.emplace_back("Retry-After", std::to_string(retry_after_s));
  }
  if (!allow.empty()) {
    response.headers.emplace_back("Allow", allow);
  }
  return response;
}

}  // namespace longship
