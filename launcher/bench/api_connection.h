#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace longship {

/// An OpenAI server as its clients know it.
struct ApiServer {
  /// `base_url`: http://HOST:PORT, /v1 behind it or not. Errors: kUsage if it is another kind of address, or its host
  /// is not known.
  ApiServer(const std::string& base_url, std::string api_key);

  std::string url;        ///< Without /v1.
  std::string authority;  ///< HOST:PORT
  std::string prefix;     ///< Of all paths.
  std::string api_key;    ///< Empty: none.
  std::vector<boost::asio::ip::tcp::endpoint> endpoints;
};

struct ApiReply {
  int status = 0;
  std::string body;
};

/// An HTTP/1.1 connection to a server, opened when it is needed and kept between requests. Used by the thread that runs
/// `executor`.
class ApiConnection {
 public:
  /// Takes the status and bytes of the answer's body as they come.
  using OnBody = std::function<void(int status, std::string_view bytes)>;

  /// `server` outlives this.
  ApiConnection(const boost::asio::any_io_executor& executor, const ApiServer& server)
      : server_(server), stream_(executor) {}

  /// Posts a body (a GET if it is empty) and reads the whole answer. Throws boost::system::system_error; the connection
  /// is then closed.
  boost::asio::awaitable<void> exchange(const std::string& path, const std::string& body, const OnBody& on_body);
  /// Makes exchange() throw.
  void close();

 private:
  boost::asio::awaitable<void> connect();
  boost::asio::awaitable<bool> send_and_read_head(const std::string& request);
  boost::asio::awaitable<void> read_body(const OnBody& on_body);
  std::string request_text(const std::string& path, const std::string& body) const;

  struct Answer;

  const ApiServer& server_;
  boost::beast::tcp_stream stream_;
  boost::beast::flat_buffer buffer_;
  std::shared_ptr<Answer> answer_;
  bool open_ = false;
};

/// One request on a connection of its own; waits for its answer. Errors: kUsage if the server cannot be reached.
ApiReply ask_server(const ApiServer& server, const std::string& path, const std::string& body = {});

}  // namespace longship
