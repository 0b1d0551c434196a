#pragma once

#include <array>
#include <string>
#include <vector>

#include "launcher/server/http/http_server.h"

namespace longship {

struct AccessOptions {
  std::vector<std::string> keys;     ///< Neither keys nor a file: none is asked for.
  std::string key_file;              ///< One key a line; read again by reload().
  std::vector<std::string> origins;  ///< Of web pages that may use the server; "*": all.
  std::vector<std::string> hosts;    ///< Names that clients may know the server by; empty: any.
};

/// Who may use a server. Used by the server's thread, but for the construction.
class Access {
 public:
  /// What a path is: open to all, a part of the page for people, or what programs ask.
  enum class PathKind { kOpen, kPage, kProgram };

  /// Errors: kUsage for a key file that cannot be read, or has no key.
  explicit Access(AccessOptions options);

  /// Reads the key file again. Errors: kUsage; then the keys from before stay.
  void reload();
  /// Refuses a request by a wrong Host (403), from a web page of another origin (403), or without a key (401), unless
  /// the path is open to all. Answers what browsers ask before they let a page send a request.
  Admission admit(const HttpRequest& head, PathKind kind) const;

 private:
  using Digest = std::array<unsigned char, 32>;

  std::vector<Digest> read_digests() const;
  bool knows(std::string_view key) const;
  bool allows_origin(std::string_view origin) const;

  AccessOptions options_;
  std::vector<Digest> digests_;
};

/// Whether only programs of this machine can connect to an address.
bool is_loopback(const std::string& host);

/// The address under which clients reach a server that listens on `host`; those of this machine if that is every
/// address.
std::string url_of(const std::string& host, uint16_t port, bool tls);

}  // namespace longship
