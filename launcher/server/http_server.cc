#include "launcher/server/http_server.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <random>
#include <thread>
#include <unordered_set>

#include "core/error.h"

namespace longship {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

std::string new_request_id() {
  static thread_local std::mt19937_64 random{std::random_device{}()};
  constexpr char kDigits[] = "0123456789abcdef";
  std::string id = "req-";
  for (int i = 0; i < 24; ++i) {
    id += kDigits[random() % 16];
  }
  return id;
}

// A client's own id is sent back only if it cannot break a header or a log line.
bool is_plain_id(std::string_view id) {
  return !id.empty() && id.size() <= 128 &&
         std::all_of(id.begin(), id.end(), [](char c) { return c > ' ' && c < 0x7f && c != '"' && c != '\\'; });
}

HttpRequest plain_request(const http::request<http::string_body>& message) {
  HttpRequest request;
  request.method = message.method_string();
  const std::string_view target = message.target();
  request.path = target.substr(0, target.find('?'));
  for (const auto& field : message) {
    request.headers[lower(field.name_string())] = field.value();
  }
  request.body = message.body();
  const std::string_view id = request.header("x-request-id");
  request.id = is_plain_id(id) ? std::string(id) : new_request_id();
  return request;
}

// The response to a request that is none.
HttpResponse rejection(int status, const std::string& message) {
  return {
      .status = status,
      .body = R"({"error":{"message":")" + message + R"(","type":"invalid_request_error","param":null,"code":null}})"};
}

HttpResponse rejection_of(const error_code& error) {
  if (error == http::error::header_limit) {
    return rejection(431, "the header is too large");
  }
  if (error == http::error::body_limit) {
    return rejection(413, "the body is too large");
  }
  if (error == beast::error::timeout) {
    return rejection(408, "the request took too long to arrive");
  }
  return rejection(400, "this is not an HTTP request");
}

struct ServerState {
  HttpLimits limits;
  HttpServer::Handler handler;
  std::atomic<int> connections = 0;
  std::atomic<int64_t> unsent_bytes = 0;
};

// One connection: requests one after the other, each answered before the next is read.
class Session : public HttpExchange, public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket socket, ServerState& state)
      : state_(state), stream_(std::move(socket)), news_(stream_.get_executor()) {
    ++state_.connections;
  }
  ~Session() override { --state_.connections; }

  void close() {
    error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_both, ignored);
    stream_.close();
    news_.cancel();
  }

  asio::awaitable<void> run();

  void respond(HttpResponse response) override;
  void start_stream(const std::string& content_type) override;
  void write(std::string data) override;
  void finish() override;
  void on_abandoned(std::function<void()> abandoned) override { abandoned_ = std::move(abandoned); }

 private:
  asio::awaitable<error_code> read(http::request_parser<http::string_body>& parser);
  asio::awaitable<void> answer(HttpRequest request);
  asio::awaitable<void> send();
  asio::awaitable<void> watch();
  void abandon();
  void append(std::string_view data);
  std::string head(int status, const std::string& content_type) const;

  ServerState& state_;
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  asio::steady_timer news_;  ///< Cancelled when there is something to send.
  // Of the exchange that is being answered.
  std::string request_id_;
  bool http_1_0_ = false;
  bool keep_alive_ = true;
  bool chunked_ = false;
  bool head_only_ = false;
  bool answering_ = false;
  bool finished_ = false;
  std::string unsent_;
  std::function<void()> abandoned_;
};

asio::awaitable<error_code> Session::read(http::request_parser<http::string_body>& parser) {
  error_code error;
  parser.header_limit(static_cast<std::uint32_t>(state_.limits.header_bytes));
  parser.body_limit(state_.limits.body_bytes);
  if (buffer_.size() == 0) {
    stream_.expires_after(state_.limits.keep_alive);
    const std::size_t count =
        co_await stream_.async_read_some(buffer_.prepare(4096), asio::redirect_error(asio::use_awaitable, error));
    if (error) {
      co_return http::make_error_code(http::error::end_of_stream);
    }
    buffer_.commit(count);
  }
  stream_.expires_after(state_.limits.header_time);
  co_await http::async_read_header(stream_, buffer_, parser, asio::redirect_error(asio::use_awaitable, error));
  if (!error && parser.get()[http::field::expect] == "100-continue") {
    constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    co_await asio::async_write(stream_, asio::buffer(kContinue), asio::redirect_error(asio::use_awaitable, error));
  }
  while (!error && !parser.is_done()) {
    stream_.expires_after(state_.limits.body_idle_time);
    co_await http::async_read_some(stream_, buffer_, parser, asio::redirect_error(asio::use_awaitable, error));
  }
  stream_.expires_never();
  co_return error;
}

asio::awaitable<void> Session::run() {
  const auto self = shared_from_this();
  for (int i = 0; i < state_.limits.requests_per_connection && keep_alive_; ++i) {
    http::request_parser<http::string_body> parser;
    const error_code error = co_await read(parser);
    if (error == http::error::end_of_stream || error == asio::error::operation_aborted) {
      break;
    }
    if (error) {
      keep_alive_ = false;
      answering_ = true;
      request_id_ = new_request_id();
      respond(rejection_of(error));
      co_await send();
      break;
    }
    http_1_0_ = parser.get().version() < 11;
    keep_alive_ = parser.get().keep_alive();
    head_only_ = parser.get().method() == http::verb::head;
    co_await answer(plain_request(parser.get()));
  }
  close();
}

asio::awaitable<void> Session::answer(HttpRequest request) {
  request_id_ = request.id;
  error_code unknown;
  request.address = stream_.socket().remote_endpoint(unknown).address().to_string();
  answering_ = true;
  finished_ = chunked_ = false;
  unsent_.clear();
  abandoned_ = nullptr;
  asio::co_spawn(
      stream_.get_executor(), [self = shared_from_this()] { return self->watch(); }, asio::detached);
  state_.handler(request, shared_from_this());
  co_await send();
  answering_ = false;
  abandoned_ = nullptr;
  error_code ignored;
  stream_.socket().cancel(ignored);  // watch()
}

// Sends what comes until the answer is complete or the client gone.
asio::awaitable<void> Session::send() {
  while (answering_ && (!finished_ || !unsent_.empty())) {
    error_code error;
    if (unsent_.empty()) {
      news_.expires_at(asio::steady_timer::time_point::max());
      co_await news_.async_wait(asio::redirect_error(asio::use_awaitable, error));
      continue;
    }
    const std::string data = std::exchange(unsent_, {});
    std::size_t sent = 0;
    while (!error && sent < data.size()) {
      stream_.expires_after(state_.limits.send_idle_time);
      sent += co_await stream_.async_write_some(asio::buffer(data.data() + sent, data.size() - sent),
                                                asio::redirect_error(asio::use_awaitable, error));
    }
    stream_.expires_never();
    state_.unsent_bytes -= static_cast<int64_t>(data.size());
    if (error) {
      abandon();
    }
  }
}

// Notices a client that goes while it waits for its answer.
asio::awaitable<void> Session::watch() {
  error_code error;
  co_await stream_.socket().async_wait(tcp::socket::wait_read, asio::redirect_error(asio::use_awaitable, error));
  if (error || !answering_) {
    co_return;
  }
  char byte = 0;
  const ssize_t count = recv(stream_.socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) {
    abandon();
  }
}

void Session::abandon() {
  if (!answering_) {
    return;
  }
  answering_ = keep_alive_ = false;
  state_.unsent_bytes -= static_cast<int64_t>(unsent_.size());
  unsent_.clear();
  if (const auto abandoned = std::exchange(abandoned_, nullptr); abandoned && !finished_) {
    abandoned();
  }
  close();
}

void Session::append(std::string_view data) {
  if (!answering_) {
    return;
  }
  unsent_ += data;
  state_.unsent_bytes += static_cast<int64_t>(data.size());
  if (chunked_ && unsent_.size() > state_.limits.unsent_bytes) {
    abandon();
    return;
  }
  news_.cancel();
}

std::string Session::head(int status, const std::string& content_type) const {
  return "HTTP/1.1 " + std::to_string(status) + ' ' +
         std::string(http::obsolete_reason(http::int_to_status(static_cast<unsigned>(status)))) +
         "\r\nContent-Type: " + content_type + "\r\nx-request-id: " + request_id_ +
         "\r\nConnection: " + (keep_alive_ ? "keep-alive" : "close") + "\r\n";
}

void Session::respond(HttpResponse response) {
  std::string text = head(response.status, response.content_type);
  for (const auto& [name, value] : response.headers) {
    text.append(name).append(": ").append(value).append("\r\n");
  }
  text += "Content-Length: " + std::to_string(response.body.size()) + "\r\n\r\n";
  finished_ = true;
  append(text + (head_only_ ? std::string() : response.body));
}

void Session::start_stream(const std::string& content_type) {
  if (http_1_0_) {
    keep_alive_ = false;
  }
  append(head(200, content_type) + "Cache-Control: no-cache\r\nX-Accel-Buffering: no\r\n" +
         (http_1_0_ ? "" : "Transfer-Encoding: chunked\r\n") + "\r\n");
  chunked_ = true;
}

void Session::write(std::string data) {
  if (http_1_0_) {
    append(data);
    return;
  }
  char size[24];
  const int length = std::snprintf(size, sizeof(size), "%zx\r\n", data.size());
  append(std::string(size, static_cast<std::size_t>(length)) + data + "\r\n");
}

void Session::finish() {
  if (!http_1_0_) {
    append("0\r\n\r\n");
  }
  finished_ = true;
  news_.cancel();
}

sigset_t every_signal() {
  sigset_t signals;
  sigfillset(&signals);
  return signals;
}

// What a child process must not inherit: it would keep the port.
void close_on_exec(int fd) {
  fcntl(fd, F_SETFD, FD_CLOEXEC);
}

}  // namespace

std::string_view HttpRequest::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string_view() : std::string_view(found->second);
}

class HttpServer::Impl {
 public:
  Impl(const std::string& host, uint16_t port, const HttpLimits& limits, Handler handler) : acceptor_(context_) {
    state_.limits = limits;
    state_.handler = std::move(handler);
    rlimit files{};
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
      const auto most = std::min<rlim_t>(files.rlim_cur / 5 * 4, static_cast<rlim_t>(limits.connections));
      state_.limits.connections = static_cast<int>(most);
    }
    bind(host, port);
    asio::co_spawn(
        context_, [this] { return accept(); }, asio::detached);
    // Signals are for the thread that waits for them.
    const sigset_t all = every_signal();
    sigset_t before;
    pthread_sigmask(SIG_BLOCK, &all, &before);
    thread_ = std::thread([this] { context_.run(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  ~Impl() {
    asio::post(context_, [this] {
      error_code ignored;
      acceptor_.close(ignored);
      for (const std::weak_ptr<Session>& session : sessions_) {
        if (const auto alive = session.lock()) {
          alive->close();
        }
      }
      context_.stop();
    });
    thread_.join();
  }

  uint16_t port() const { return port_; }
  int connections() const { return state_.connections; }
  void post(std::function<void()> work) { asio::post(context_, std::move(work)); }

  void flush(std::chrono::milliseconds patience) const {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (state_.unsent_bytes > 0 && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }

 private:
  void bind(const std::string& host, uint16_t port) {
    error_code error;
    tcp::resolver resolver(context_);
    const auto found = resolver.resolve(host, std::to_string(port), tcp::resolver::passive, error);
    if (!error) {
      const tcp::endpoint endpoint = found.begin()->endpoint();
      acceptor_.open(endpoint.protocol(), error);
      if (!error) {
        close_on_exec(acceptor_.native_handle());
        acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
        acceptor_.bind(endpoint, error);
      }
      if (!error) {
        acceptor_.listen(asio::socket_base::max_listen_connections, error);
      }
    }
    if (error) {
      throw Error(ErrorKind::kUsage, "cannot listen on " + host + ":" + std::to_string(port) + ": " + error.message(),
                  "Choose another --port, or --host.");
    }
    port_ = acceptor_.local_endpoint().port();
  }

  asio::awaitable<void> accept() {
    for (;;) {
      error_code error;
      tcp::socket socket = co_await acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, error));
      if (error == asio::error::operation_aborted || !acceptor_.is_open()) {
        co_return;
      }
      if (error) {  // out of files, mostly: others will end
        asio::steady_timer pause(context_, std::chrono::milliseconds(50));
        co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
        continue;
      }
      if (state_.connections >= state_.limits.connections) {
        continue;
      }
      close_on_exec(socket.native_handle());
      socket.set_option(tcp::no_delay(true), error);
      auto session = std::make_shared<Session>(std::move(socket), state_);
      std::erase_if(sessions_, [](const std::weak_ptr<Session>& s) { return s.expired(); });
      sessions_.push_back(session);
      asio::co_spawn(
          context_, [session] { return session->run(); }, asio::detached);
    }
  }

  ServerState state_;
  asio::io_context context_{1};
  tcp::acceptor acceptor_;
  std::vector<std::weak_ptr<Session>> sessions_;
  uint16_t port_ = 0;
  std::thread thread_;
};

HttpServer::HttpServer(const std::string& host, uint16_t port, const HttpLimits& limits, Handler handler)
    : impl_(std::make_unique<Impl>(host, port, limits, std::move(handler))) {}

HttpServer::~HttpServer() = default;

uint16_t HttpServer::port() const {
  return impl_->port();
}

int HttpServer::connections() const {
  return impl_->connections();
}

void HttpServer::post(std::function<void()> work) {
  impl_->post(std::move(work));
}

void HttpServer::flush(std::chrono::milliseconds patience) {
  impl_->flush(patience);
}

}  // namespace longship
