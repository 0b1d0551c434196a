#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <memory>

namespace longship {

/// A connection that bytes go over, plain or through TLS. One read and one write may be under way at a time.
class ByteStream {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  using ErrorCode = boost::system::error_code;
  template <class Value>
  using Awaitable = boost::asio::awaitable<Value>;

  virtual ~ByteStream() = default;

  virtual Socket& socket() = 0;
  /// What comes before the first byte.
  virtual Awaitable<ErrorCode> open() = 0;
  virtual Awaitable<std::size_t> read_some(boost::asio::mutable_buffer buffer, ErrorCode& error) = 0;
  virtual Awaitable<std::size_t> write_some(boost::asio::const_buffer buffer, ErrorCode& error) = 0;
  /// Tells the peer that nothing more comes; reading goes on.
  virtual Awaitable<void> end() = 0;
};

std::unique_ptr<ByteStream> make_tcp_stream(ByteStream::Socket socket);
std::unique_ptr<ByteStream> make_tls_stream(ByteStream::Socket socket,
                                            std::shared_ptr<boost::asio::ssl::context> context);

}  // namespace longship
