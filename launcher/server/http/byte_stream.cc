#include "launcher/server/http/byte_stream.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace longship {

namespace {

namespace asio = boost::asio;

// The same operations over a socket and over TLS on one.
template <class Stream>
class StreamOf : public ByteStream {
 public:
  Awaitable<std::size_t> read_some(asio::mutable_buffer buffer, ErrorCode& error) override {
    return stream_.async_read_some(buffer, asio::redirect_error(asio::use_awaitable, error));
  }
  Awaitable<std::size_t> write_some(asio::const_buffer buffer, ErrorCode& error) override {
    return stream_.async_write_some(buffer, asio::redirect_error(asio::use_awaitable, error));
  }

 protected:
  template <class... Arguments>
  explicit StreamOf(Arguments&&... arguments) : stream_(std::forward<Arguments>(arguments)...) {}

  Stream stream_;
};

class TcpStream : public StreamOf<ByteStream::Socket> {
 public:
  explicit TcpStream(Socket socket) : StreamOf(std::move(socket)) {}

  Socket& socket() override { return stream_; }
  Awaitable<ErrorCode> open() override { co_return ErrorCode(); }
  Awaitable<void> end() override {
    ErrorCode ignored;
    stream_.shutdown(Socket::shutdown_send, ignored);
    co_return;
  }
};

class TlsStream : public StreamOf<asio::ssl::stream<ByteStream::Socket>> {
 public:
  TlsStream(Socket socket, std::shared_ptr<asio::ssl::context> context)
      : StreamOf(std::move(socket), *context), context_(std::move(context)) {}

  Socket& socket() override { return stream_.next_layer(); }
  Awaitable<ErrorCode> open() override {
    ErrorCode error;
    co_await stream_.async_handshake(asio::ssl::stream_base::server, asio::redirect_error(asio::use_awaitable, error));
    co_return error;
  }
  Awaitable<void> end() override {
    ErrorCode ignored;
    co_await stream_.async_shutdown(asio::redirect_error(asio::use_awaitable, ignored));
  }

 private:
  std::shared_ptr<asio::ssl::context> context_;
};

}  // namespace

std::unique_ptr<ByteStream> make_tcp_stream(ByteStream::Socket socket) {
  return std::make_unique<TcpStream>(std::move(socket));
}

std::unique_ptr<ByteStream> make_tls_stream(ByteStream::Socket socket, std::shared_ptr<asio::ssl::context> context) {
  return std::make_unique<TlsStream>(std::move(socket), std::move(context));
}

}  // namespace longship
