#include "launcher/server/http/http_session.h"

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/status.hpp>
#include <cstdio>

#include "launcher/server/http/http_head.h"

namespace longship {

namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

// A client may send so much ahead of what is taken.
constexpr std::size_t kReadAhead = std::size_t{64} << 10U;
// For a client to read the last answer and close.
constexpr std::chrono::seconds kLinger(1);

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

// Where a request goes. "/path?query" leaves the host to its field, "http://host/path?query" has it.
struct Target {
  std::string path;
  std::string host;
};

Target target_of(std::string_view target) {
  target = target.substr(0, target.find('?'));
  const auto scheme = target.find("://");
  if (scheme == std::string_view::npos || target.starts_with('/')) {
    return {.path = std::string(target), .host = {}};
  }
  target.remove_prefix(scheme + 3);
  const auto path = std::min(target.find('/'), target.size());
  return {.path = path == target.size() ? "/" : std::string(target.substr(path)),
          .host = std::string(target.substr(0, path))};
}

HttpRequest plain_head(const http::request<http::string_body>& message) {
  HttpRequest request;
  Target target = target_of(message.target());
  request.method = message.method_string();
  request.path = std::move(target.path);
  for (const auto& field : message) {
    request.headers[lower(field.name_string())] = field.value();
  }
  if (!target.host.empty()) {
    request.headers["host"] = std::move(target.host);
  }
  request.id = request_id(request.header("x-request-id"));
  return request;
}

HttpResponse rejection_of(const error_code& error) {
  if (error == http::error::header_limit) {
    return http_rejection(431, "the header is too large");
  }
  if (error == http::error::body_limit) {
    return http_rejection(413, "the body is too large");
  }
  return http_rejection(400, "this is not an HTTP request: " + error.message());
}

double seconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

HttpSession::HttpSession(std::unique_ptr<ByteStream> stream, HttpSessionContext& context)
    : context_(context),
      stream_(std::move(stream)),
      arrival_(stream_->socket().get_executor()),
      room_(stream_->socket().get_executor()),
      news_(stream_->socket().get_executor()),
      guard_(stream_->socket().get_executor()) {
  ++context_.connections;
}

HttpSession::~HttpSession() {
  --context_.connections;
}

void HttpSession::close() {
  ended_ = true;
  error_code ignored;
  stream_->socket().shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  stream_->socket().close(ignored);
  for (Timer* timer : {&arrival_, &room_, &news_, &guard_}) {
    timer->cancel();
  }
}

// Until guard_ is cancelled or set again.
void HttpSession::close_after(std::chrono::milliseconds patience) {
  guard_.expires_after(patience);
  guard_.async_wait([weak = weak_from_this()](const error_code& error) {
    const auto self = error ? nullptr : weak.lock();
    if (self) self->close();
  });
}

asio::awaitable<void> HttpSession::run() {
  const auto self = shared_from_this();
  close_after(context_.limits.header_time);
  const error_code error = co_await stream_->open();
  guard_.cancel();
  if (error) {
    close();
    co_return;
  }
  asio::co_spawn(
      stream_->socket().get_executor(), [self] { return self->receive(); }, asio::detached);
  for (int i = 0; keep_alive_; ++i) {
    Incoming incoming = co_await read_request(i == 0);
    if (!incoming.complete && !incoming.refusal) {
      break;
    }
    if (!incoming.complete || i + 1 >= context_.limits.requests_per_connection) {
      keep_alive_ = false;
    }
    co_await answer(std::move(incoming.refusal));
  }
  co_await end();
}

// Takes what comes during the whole life of the connection, so that the client's end is seen at any time.
asio::awaitable<void> HttpSession::receive() {
  const auto self = shared_from_this();
  std::array<char, 8192> piece;
  while (!ended_) {
    error_code error;
    if (received_.size() >= kReadAhead) {
      room_.expires_at(Timer::time_point::max());
      co_await room_.async_wait(asio::redirect_error(asio::use_awaitable, error));
      continue;
    }
    const std::size_t count = co_await stream_->read_some(asio::buffer(piece), error);
    if (error) {
      ended_ = true;
      // One that has sent more requests, and then no more, may still read.
      if (received_.empty() || error != asio::error::eof) abandon();
    } else if (!discarding_) {
      received_.append(piece.data(), count);
    }
    arrival_.cancel();
  }
}

// Waits for more than there is; false at the deadline or at the client's end.
asio::awaitable<bool> HttpSession::arrived(Clock::time_point deadline) {
  const std::size_t before = received_.size();
  while (received_.size() == before && !ended_ && Clock::now() < deadline) {
    error_code ignored;
    arrival_.expires_at(deadline);
    co_await arrival_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  co_return received_.size() > before;
}

asio::awaitable<HttpSession::Incoming> HttpSession::read_head(Parser& parser, bool first) {
  if (!first && received_.empty() && !co_await arrived(Clock::now() + context_.limits.keep_alive)) {
    co_return Incoming{};
  }
  started_ = Clock::now();
  std::optional<std::size_t> bytes;
  for (;;) {
    received_.erase(0, std::min(received_.find_first_not_of("\r\n"), received_.size()));
    bytes = head_bytes(received_);
    const std::string_view head = std::string_view(received_).substr(0, bytes.value_or(received_.size()));
    if (std::optional<HttpResponse> problem = head_problem(head, bytes.has_value(), context_.limits)) {
      co_return Incoming{.refusal = std::move(problem)};
    }
    if (bytes) {
      break;
    }
    if (!co_await arrived(started_ + context_.limits.header_time)) {
      if (ended_ || received_.empty()) co_return Incoming{};
      co_return Incoming{.refusal = http_rejection(408, "the header took too long to arrive")};
    }
  }
  parser.header_limit(static_cast<std::uint32_t>(context_.limits.header_bytes));
  parser.body_limit(context_.limits.body_bytes);
  error_code error;
  parser.put(asio::buffer(received_.data(), *bytes), error);
  received_.erase(0, *bytes);
  room_.cancel();
  if (error && error != http::error::need_more) {
    co_return Incoming{.refusal = rejection_of(error)};
  }
  co_return Incoming{.complete = true};
}

asio::awaitable<HttpSession::Incoming> HttpSession::read_body(Parser& parser) {
  const HttpLimits& limits = context_.limits;
  const Clock::time_point start = Clock::now();
  std::size_t bytes = 0;
  bool hungry = received_.empty();
  parser.eager(true);
  while (!parser.is_done()) {
    if (hungry) {
      const std::chrono::seconds allowed(bytes / limits.body_bytes_per_s);
      if (!co_await arrived(std::min(Clock::now(), start + allowed) + limits.body_idle_time)) {
        if (ended_) co_return Incoming{};
        co_return Incoming{.refusal = http_rejection(408, "the body took too long to arrive")};
      }
    }
    error_code error;
    const std::size_t taken = parser.put(asio::buffer(received_), error);
    bytes += taken;
    received_.erase(0, taken);
    room_.cancel();
    if (error && error != http::error::need_more) {
      co_return Incoming{.refusal = rejection_of(error)};
    }
    hungry = received_.empty() || error == http::error::need_more;
    if (hungry && received_.size() >= kReadAhead) {
      co_return Incoming{.refusal = http_rejection(400, "a chunk has no size")};
    }
  }
  co_return Incoming{.complete = true};
}

// Reads a request into request_. A refusal of one whose body was not read is incomplete.
asio::awaitable<HttpSession::Incoming> HttpSession::read_request(bool first) {
  request_ = {};
  request_.id = request_id("");
  headers_.clear();
  head_only_ = http_1_0_ = false;
  Parser parser;
  Incoming incoming = co_await read_head(parser, first);
  if (!incoming.complete) {
    co_return incoming;
  }
  request_ = plain_head(parser.get());
  error_code unknown;
  request_.address = stream_->socket().remote_endpoint(unknown).address().to_string();
  http_1_0_ = parser.get().version() < 11;
  keep_alive_ = parser.get().keep_alive();
  head_only_ = request_.method == "HEAD";
  Admission admission = context_.handlers.admit(request_);
  headers_ = std::move(admission.headers);
  if (admission.refusal) {
    co_return Incoming{.complete = parser.is_done(), .refusal = std::move(admission.refusal)};
  }
  if (const std::string_view expectation = request_.header("expect"); !expectation.empty() && !parser.is_done()) {
    if (lower(expectation) != "100-continue") {
      co_return Incoming{.refusal = http_rejection(417, "the only expectation is 100-continue")};
    }
    if (received_.empty() && !co_await send_all("HTTP/1.1 100 Continue\r\n\r\n")) {
      co_return Incoming{};
    }
  }
  incoming = co_await read_body(parser);
  request_.body = std::move(parser.get().body());
  co_return incoming;
}

asio::awaitable<void> HttpSession::answer(std::optional<HttpResponse> refusal) {
  record_ = {.id = request_.id, .method = request_.method, .path = request_.path, .body = {}, .cost = {}};
  answering_ = true;
  finished_ = chunked_ = false;
  unsent_.clear();
  abandoned_ = nullptr;
  if (refusal) {
    respond(std::move(*refusal));
  } else {
    context_.handlers.handle(request_, shared_from_this());
  }
  co_await send();
  record_.abandoned = !answering_;
  record_.seconds = seconds(Clock::now() - started_);
  record_.body = std::move(request_.body);
  answering_ = false;
  abandoned_ = nullptr;
  context_.handlers.answered(record_);
}

// Sends what comes until the answer is complete or the client gone.
asio::awaitable<void> HttpSession::send() {
  while (answering_ && (!finished_ || !unsent_.empty())) {
    if (unsent_.empty()) {
      error_code ignored;
      news_.expires_at(Timer::time_point::max());
      co_await news_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      continue;
    }
    std::string data = std::exchange(unsent_, {});
    const auto bytes = static_cast<int64_t>(data.size());
    const bool sent = co_await send_all(std::move(data));
    context_.unsent_bytes -= bytes;
    if (!sent) {
      abandon();
    }
  }
}

// False if the client is gone or reads nothing.
asio::awaitable<bool> HttpSession::send_all(std::string data) {
  error_code error;
  std::size_t sent = 0;
  while (!error && sent < data.size()) {
    close_after(context_.limits.send_idle_time);
    sent += co_await stream_->write_some(asio::buffer(data.data() + sent, data.size() - sent), error);
  }
  guard_.cancel();
  co_return !error;
}

// Lets the client read what it was sent: closing while it still sends would destroy that.
asio::awaitable<void> HttpSession::end() {
  if (!ended_) {
    discarding_ = true;
    received_.clear();
    room_.cancel();
    close_after(kLinger);
    co_await stream_->end();
    while (!ended_) {
      error_code ignored;
      arrival_.expires_at(Timer::time_point::max());
      co_await arrival_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
  }
  close();
}

void HttpSession::abandon() {
  if (!answering_) {
    return;
  }
  answering_ = keep_alive_ = false;
  context_.unsent_bytes -= static_cast<int64_t>(unsent_.size());
  unsent_.clear();
  if (const auto abandoned = std::exchange(abandoned_, nullptr); abandoned && !finished_) {
    abandoned();
  }
  close();
}

void HttpSession::append(std::string_view data) {
  if (!answering_) {
    return;
  }
  unsent_ += data;
  context_.unsent_bytes += static_cast<int64_t>(data.size());
  if (chunked_ && unsent_.size() > context_.limits.unsent_bytes) {
    abandon();
    return;
  }
  news_.cancel();
}

std::string HttpSession::head(int status, const std::string& content_type) {
  record_.status = status;
  std::string text = "HTTP/1.1 " + std::to_string(status) + ' ' +
                     std::string(http::obsolete_reason(http::int_to_status(static_cast<unsigned>(status)))) +
                     "\r\nContent-Type: " + content_type + "\r\nx-request-id: " + request_.id +
                     "\r\nConnection: " + (keep_alive_ ? "keep-alive" : "close") + "\r\n";
  for (const auto& [name, value] : headers_) {
    text.append(name).append(": ").append(value).append("\r\n");
  }
  return text;
}

void HttpSession::respond(HttpResponse response) {
  std::string text = head(response.status, response.content_type);
  for (const auto& [name, value] : response.headers) {
    text.append(name).append(": ").append(value).append("\r\n");
  }
  text += "Content-Length: " + std::to_string(response.body.size()) + "\r\n\r\n";
  finished_ = true;
  append(text + (head_only_ ? std::string() : response.body));
}

void HttpSession::start_stream(const std::string& content_type) {
  if (http_1_0_) {
    keep_alive_ = false;
  }
  append(head(200, content_type) + "Cache-Control: no-cache\r\nX-Accel-Buffering: no\r\n" +
         (http_1_0_ ? "" : "Transfer-Encoding: chunked\r\n") + "\r\n");
  chunked_ = true;
}

void HttpSession::write(std::string data) {
  if (http_1_0_) {
    append(data);
    return;
  }
  char size[24];
  const int length = std::snprintf(size, sizeof(size), "%zx\r\n", data.size());
  append(std::string(size, static_cast<std::size_t>(length)) + data + "\r\n");
}

void HttpSession::finish() {
  if (!http_1_0_) {
    append("0\r\n\r\n");
  }
  finished_ = true;
  news_.cancel();
}

}  // namespace longship
