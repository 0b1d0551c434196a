#include "launcher/server/http/tls_certificate.h"

#include <openssl/ssl.h>

#include <boost/asio/ssl/context.hpp>

#include "core/error.h"

namespace longship {

namespace {

namespace ssl = boost::asio::ssl;
using boost::system::error_code;

void check(const error_code& error, const std::string& what, const std::string& file) {
  if (error) {
    throw Error(ErrorKind::kUsage, "the " + what + " " + file + " cannot be used: " + error.message(),
                "Give --ssl-certfile a certificate and --ssl-keyfile its key, both as PEM files.");
  }
}

std::shared_ptr<ssl::context> read_context(const std::string& certificate_file, const std::string& key_file) {
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  SSL_CTX_set_options(context->native_handle(), SSL_OP_NO_RENEGOTIATION);
  error_code error;
  context->set_password_callback([](std::size_t, ssl::context::password_purpose) { return std::string(); }, error);
  context->use_certificate_chain_file(certificate_file, error);
  check(error, "certificate", certificate_file);
  context->use_private_key_file(key_file, ssl::context::pem, error);
  check(error, "key", key_file);
  return context;
}

}  // namespace

TlsCertificate::TlsCertificate(std::string certificate_file, std::string key_file)
    : certificate_file_(std::move(certificate_file)),
      key_file_(std::move(key_file)),
      context_(read_context(certificate_file_, key_file_)) {}

void TlsCertificate::reload() {
  auto context = read_context(certificate_file_, key_file_);
  const std::lock_guard lock(mutex_);
  context_ = std::move(context);
}

std::shared_ptr<ssl::context> TlsCertificate::context() const {
  const std::lock_guard lock(mutex_);
  return context_;
}

}  // namespace longship
