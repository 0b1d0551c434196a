#pragma once

#include <memory>
#include <mutex>
#include <string>

namespace boost::asio::ssl {
class context;
}

namespace longship {

/// A server's certificate and key, in PEM files that may be read again while it serves. Any thread may call.
class TlsCertificate {
 public:
  /// The file of the certificate (and those that follow it up to the root), and that of its key.
  /// Errors: kUsage for files that cannot be read or do not belong together.
  TlsCertificate(std::string certificate_file, std::string key_file);

  /// Reads the files again, for connections from now on. Errors: kUsage; then what was there before stays.
  void reload();
  /// What a connection speaks TLS by: 1.2 or newer.
  std::shared_ptr<boost::asio::ssl::context> context() const;

 private:
  std::string certificate_file_;
  std::string key_file_;
  mutable std::mutex mutex_;
  std::shared_ptr<boost::asio::ssl::context> context_;
};

}  // namespace longship
