#include "launcher/server/http/web_page.h"

#include <algorithm>

#include "launcher/server/http/embedded_file.h"

namespace longship {

namespace {

constexpr const char* kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; frame-ancestors 'none'; form-action 'none'";

bool is_at(const EmbeddedFile& file, std::string_view path) {
  constexpr std::string_view kFolder = "/web/";
  return path == "/" ? file.name == "index.html"
                     : path.starts_with(kFolder) && path.substr(kFolder.size()) == file.name;
}

const EmbeddedFile* find(std::string_view path) {
  for (const EmbeddedFile& file : embedded_files()) {
    if (is_at(file, path)) {
      return &file;
    }
  }
  return nullptr;
}

const char* content_type(std::string_view name) {
  if (name.ends_with(".html")) return "text/html; charset=utf-8";
  if (name.ends_with(".css")) return "text/css; charset=utf-8";
  if (name.ends_with(".js")) return "text/javascript; charset=utf-8";
  return "image/svg+xml";
}

}  // namespace

bool is_web_path(std::string_view path) {
  return find(path) != nullptr;
}

HttpResponse web_response(const HttpRequest& request) {
  const EmbeddedFile& file = *find(request.path);
  const std::string tag = '"' + std::string(file.hash.substr(0, 16)) + '"';
  HttpResponse response{.status = 200,
                        .body = std::string(file.text),
                        .content_type = content_type(file.name),
                        .headers = {{"Content-Security-Policy", kPolicy},
                                    {"X-Content-Type-Options", "nosniff"},
                                    {"Referrer-Policy", "no-referrer"},
                                    {"Cache-Control", "no-cache"},
                                    {"ETag", tag}}};
  if (request.header("if-none-match") == tag) {
    response.status = 304;
    response.body.clear();
  }
  return response;
}

}  // namespace longship
