#pragma once

#include "launcher/server/http/http_server.h"

namespace longship {

/// Whether a path is that of the page for people, "/", or of one of its files. They hold no secrets and need no key.
bool is_web_path(std::string_view path);

/// The page or its file, or 304 where the client has it. It may load scripts and styles from this server, talk to this
/// server, and nothing else; no other page may show it inside.
HttpResponse web_response(const HttpRequest& request);

}  // namespace longship
