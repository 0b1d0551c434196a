#include "launcher/server/http/access.h"

#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>

#include "core/error.h"
#include "launcher/output/log.h"
#include "launcher/server/api_error.h"

namespace longship {

namespace {

constexpr std::size_t kMostKeys = 10000;

// "host" of "host:80" and "[::1]:80", in lower case.
std::string name_of(std::string_view host) {
  const auto colon = host.rfind(':');
  const auto bracket = host.rfind(']');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    host = host.substr(0, colon);
  }
  std::string name(host);
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  return name;
}

bool has(const std::vector<std::string>& list, std::string_view value) {
  return std::find(list.begin(), list.end(), value) != list.end() ||
         std::find(list.begin(), list.end(), "*") != list.end();
}

// A page that the server itself has sent.
bool is_own_origin(std::string_view origin, std::string_view host) {
  const auto scheme = origin.find("://");
  return scheme != std::string_view::npos && origin.substr(scheme + 3) == host;
}

// What stands behind a scheme, given in lower case with a space, in the header; empty if that has another.
std::string_view credentials_of(const HttpRequest& head, std::string_view scheme) {
  const std::string_view header = head.header("authorization");
  const bool is_it =
      header.size() > scheme.size() && std::equal(scheme.begin(), scheme.end(), header.begin(),
                                                  [](char a, unsigned char b) { return a == std::tolower(b); });
  return is_it ? header.substr(scheme.size()) : std::string_view();
}

// "user:password" in base64 (RFC 7617), of which the password counts; empty for anything else.
std::string password_of(std::string_view basic) {
  std::vector<unsigned char> text(basic.size() + 3);
  const int size = EVP_DecodeBlock(text.data(), reinterpret_cast<const unsigned char*>(basic.data()),
                                   static_cast<int>(basic.size()));
  const std::size_t padding = basic.size() - std::min(basic.size(), basic.find_last_not_of('=') + 1);
  if (size < 0 || padding > 2) {
    return {};
  }
  const std::string both(text.begin(), text.begin() + size - static_cast<int>(padding));
  const auto colon = both.find(':');
  return colon == std::string::npos ? std::string() : both.substr(colon + 1);
}

// As programs send it, or as browsers do.
std::string key_of(const HttpRequest& head) {
  const std::string_view bearer = credentials_of(head, "bearer ");
  return bearer.empty() ? password_of(credentials_of(head, "basic ")) : std::string(bearer);
}

HttpResponse refuse(int status, std::string message, std::string code = {}) {
  return ApiError{.status = status, .message = std::move(message), .code = std::move(code)}.response();
}

HttpResponse preflight(const HttpRequest& head) {
  HttpResponse response{.status = 200, .body = {}};
  response.headers = {{"Access-Control-Allow-Methods", "GET, POST, OPTIONS"}, {"Access-Control-Max-Age", "600"}};
  if (const std::string_view wanted = head.header("access-control-request-headers"); !wanted.empty()) {
    response.headers.emplace_back("Access-Control-Allow-Headers", wanted);
  }
  return response;
}

void warn_of_readers(const std::string& file) {
  struct stat facts {};
  if (stat(file.c_str(), &facts) == 0 && (facts.st_mode & (S_IRGRP | S_IROTH)) != 0) {
    log_line(LogLevel::kWarning, "the key file " + file + " can be read by others: chmod 600 " + file);
  }
}

}  // namespace

Access::Access(AccessOptions options) : options_(std::move(options)) {
  std::erase(options_.keys, "");
  digests_ = read_digests();
}

void Access::reload() {
  digests_ = read_digests();
}

std::vector<Access::Digest> Access::read_digests() const {
  std::vector<std::string> keys = options_.keys;
  if (!options_.key_file.empty()) {
    warn_of_readers(options_.key_file);
    std::ifstream file(options_.key_file);
    for (std::string key; keys.size() <= kMostKeys && std::getline(file, key);) {
      key.erase(key.find_last_not_of(" \t\r") + 1);
      if (!key.empty()) keys.push_back(key);
    }
    if (!file.eof() || keys.size() == options_.keys.size()) {
      throw Error(ErrorKind::kUsage, "the key file " + options_.key_file + " cannot be read, or has no key",
                  "Give --api-key-file a file of one key a line.");
    }
  }
  std::vector<Digest> digests;
  for (const std::string& key : keys) {
    Digest digest;
    SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(), digest.data());
    digests.push_back(digest);
  }
  return digests;
}

// Digests have one length and are compared in one time, and so all of them.
bool Access::knows(std::string_view key) const {
  Digest digest;
  SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(), digest.data());
  bool known = false;
  for (const Digest& one : digests_) {
    known = CRYPTO_memcmp(one.data(), digest.data(), digest.size()) == 0 || known;
  }
  return known;
}

bool Access::allows_origin(std::string_view origin) const {
  return has(options_.origins, origin);
}

Admission Access::admit(const HttpRequest& head, PathKind kind) const {
  const std::string_view host = head.header("host");
  if (!options_.hosts.empty() && !host.empty() && !has(options_.hosts, name_of(host))) {
    return {.refusal = refuse(403, "this server is not known as " + name_of(host).substr(0, 100) +
                                       ": --allowed-hosts names what it is known as")};
  }
  Admission admission;
  const std::string_view origin = head.header("origin");
  if (!origin.empty() && allows_origin(origin)) {
    const bool all = has(options_.origins, "*");
    admission.headers = {{"Access-Control-Allow-Origin", all ? "*" : std::string(origin)},
                         {"Access-Control-Expose-Headers", "x-request-id"}};
    if (!all) admission.headers.emplace_back("Vary", "Origin");
    if (head.method == "OPTIONS") {
      admission.refusal = preflight(head);
      return admission;
    }
  } else if (!origin.empty() && head.method != "GET" && head.method != "HEAD" && !is_own_origin(origin, host)) {
    admission.refusal = refuse(403, "web pages of " + std::string(origin.substr(0, 200)) +
                                        " may not use this server: --allowed-origins lets them");
    return admission;
  }
  if (const std::string key = key_of(head); kind != PathKind::kOpen && !digests_.empty() && !knows(key)) {
    admission.refusal =
        refuse(401, key.empty() ? "an API key is needed: Authorization: Bearer KEY" : "the API key is wrong",
               "invalid_api_key");
    // A browser asks for a name, which may be anything, and a password where it is to show a page.
    admission.refusal->headers.emplace_back(
        "WWW-Authenticate",
        kind == PathKind::kPage ? R"(Basic realm="the API key as password", charset="UTF-8")" : "Bearer");
  }
  return admission;
}

bool is_loopback(const std::string& host) {
  in_addr address{};
  return host == "localhost" || host == "::1" ||
         (inet_pton(AF_INET, host.c_str(), &address) == 1 && host.starts_with("127."));
}

std::string url_of(const std::string& host, uint16_t port, bool tls) {
  const bool any = host == "0.0.0.0" || host == "::";
  const bool six = !any && host.find(':') != std::string::npos;
  const std::string name = any ? "127.0.0.1" : six ? "[" + host + "]" : host;
  return std::string(tls ? "https://" : "http://") + name + ":" + std::to_string(port);
}

}  // namespace longship
