#pragma once

#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "launcher/server/http/byte_stream.h"
#include "launcher/server/http/http_server.h"

namespace longship {

/// What the connections of a server share; outlives them.
struct HttpSessionContext {
  HttpLimits limits;
  HttpHandlers handlers;
  std::atomic<int> connections = 0;
  std::atomic<int64_t> unsent_bytes = 0;
};

/// One connection: requests one after the other, each answered before the next is taken. All on the server's thread.
class HttpSession : public HttpExchange, public std::enable_shared_from_this<HttpSession> {
 public:
  HttpSession(std::unique_ptr<ByteStream> stream, HttpSessionContext& context);
  ~HttpSession() override;

  /// Serves until the connection ends.
  boost::asio::awaitable<void> run();
  void close();

  void respond(HttpResponse response) override;
  void start_stream(const std::string& content_type) override;
  void write(std::string data) override;
  void finish() override;
  void on_abandoned(std::function<void()> abandoned) override { abandoned_ = std::move(abandoned); }
  void note_cost(const AnswerCost& cost) override { record_.cost = cost; }

 private:
  using Clock = std::chrono::steady_clock;
  using Timer = boost::asio::steady_timer;
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;

  /// How the reading of a request ended. With neither, the client has gone.
  struct Incoming {
    bool complete = false;
    std::optional<HttpResponse> refusal{};
  };

  boost::asio::awaitable<void> receive();
  boost::asio::awaitable<bool> arrived(Clock::time_point deadline);
  boost::asio::awaitable<Incoming> read_head(Parser& parser, bool first);
  boost::asio::awaitable<Incoming> read_body(Parser& parser);
  boost::asio::awaitable<Incoming> read_request(bool first);
  boost::asio::awaitable<void> answer(std::optional<HttpResponse> refusal);
  boost::asio::awaitable<void> send();
  boost::asio::awaitable<bool> send_all(std::string data);
  boost::asio::awaitable<void> end();

  void take(const HttpRequest& request);
  void close_after(std::chrono::milliseconds patience);
  void abandon();
  void append(std::string_view data);
  std::string head(int status, const std::string& content_type);

  HttpSessionContext& context_;
  std::unique_ptr<ByteStream> stream_;
  // What the client has sent and nobody has taken.
  std::string received_;
  bool ended_ = false;       ///< Nothing more comes.
  bool discarding_ = false;  ///< Nothing more is wanted.
  Timer arrival_;            ///< Cancelled when something comes.
  Timer room_;               ///< Cancelled when there is room for more.
  Timer news_;               ///< Cancelled when there is something to send.
  Timer guard_;              ///< Closes the connection when an operation takes too long.
  // Of the exchange that is being read or answered.
  HttpRequest request_;
  HttpHeaders headers_;  ///< More of its response.
  AccessRecord record_;
  Clock::time_point started_;
  bool http_1_0_ = false;
  bool keep_alive_ = true;
  bool chunked_ = false;
  bool head_only_ = false;
  bool answering_ = false;
  bool finished_ = false;
  std::string unsent_;
  std::function<void()> abandoned_;
};

}  // namespace longship
