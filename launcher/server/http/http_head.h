#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "launcher/server/http/http_server.h"

namespace longship {

/// Bytes of a head, its empty line included, at the start of what a client has sent; nothing if its end is not there.
std::optional<std::size_t> head_bytes(std::string_view received);

/// What is wrong with a head, or with the beginning of one, by rules of RFC 9112 that keep two readers of one message
/// from disagreeing: lines end with CR LF, no folded fields, no control characters, one length, one host.
/// Status 400, 431 or 501.
std::optional<HttpResponse> head_problem(std::string_view head, bool complete, const HttpLimits& limits);

/// The response to a request that is none.
HttpResponse http_rejection(int status, const std::string& message);

/// The client's id if it cannot break a header or a log line, else a new one.
std::string request_id(std::string_view given);

}  // namespace longship
