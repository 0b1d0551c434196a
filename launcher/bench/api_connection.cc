#include "launcher/bench/api_connection.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>

#include "core/error.h"

namespace longship {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::chrono::seconds kConnectTime(30);
constexpr std::chrono::seconds kSendTime(60);
// Without a byte from the server: a request may wait in its queue.
constexpr std::chrono::hours kSilence(1);

std::vector<tcp::endpoint> resolve(const std::string& host, const std::string& port) {
  asio::io_context context;
  error_code error;
  const auto found = tcp::resolver(context).resolve(host, port, error);
  if (error) {
    throw Error(ErrorKind::kUsage,
                "the host of the server, " + host + ":" + port + ", is not known: " + error.message(),
                "Check --base-url, or --host and --port.");
  }
  std::vector<tcp::endpoint> endpoints;
  for (const auto& entry : found) {
    endpoints.push_back(entry.endpoint());
  }
  return endpoints;
}

void throw_if(const error_code& error) {
  if (error) {
    throw boost::system::system_error(error);
  }
}

}  // namespace

ApiServer::ApiServer(const std::string& base_url, std::string key) : url(base_url), api_key(std::move(key)) {
  constexpr std::string_view kScheme = "http://";
  constexpr std::string_view kVersion = "/v1";
  if (!url.starts_with(kScheme)) {
    throw Error(ErrorKind::kUsage, "the address " + url + " does not begin with http://",
                "Give --base-url http://HOST:PORT; TLS is not spoken here.");
  }
  while (url.ends_with('/')) {
    url.pop_back();
  }
  if (url.ends_with(kVersion)) {
    url.resize(url.size() - kVersion.size());
  }
  const std::string rest = url.substr(kScheme.size());
  authority = rest.substr(0, rest.find('/'));
  prefix = rest.substr(authority.size());
  const std::size_t bracket = authority.find(']');  // [::1]:8000
  const std::size_t colon = authority.find(':', bracket == std::string::npos ? 0 : bracket);
  std::string host = authority.substr(0, colon);
  if (bracket != std::string::npos && host.size() > 2) {
    host = host.substr(1, host.size() - 2);
  }
  endpoints = resolve(host, colon == std::string::npos ? "80" : authority.substr(colon + 1));
}

struct ApiConnection::Answer {
  http::response_parser<http::string_body> parser;
};

std::string ApiConnection::request_text(const std::string& path, const std::string& body) const {
  std::string text = (body.empty() ? "GET " : "POST ") + server_.prefix + path +
                     " HTTP/1.1\r\nHost: " + server_.authority + "\r\nUser-Agent: longship\r\n";
  if (!server_.api_key.empty()) {
    text += "Authorization: Bearer " + server_.api_key + "\r\n";
  }
  if (!body.empty()) {
    text += "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
  }
  return text + "\r\n" + body;
}

asio::awaitable<void> ApiConnection::connect() {
  close();
  buffer_.clear();
  stream_.expires_after(kConnectTime);
  co_await stream_.async_connect(server_.endpoints, asio::use_awaitable);
  stream_.socket().set_option(tcp::no_delay(true));
  open_ = true;
}

// False if the connection was closed before an answer began.
asio::awaitable<bool> ApiConnection::send_and_read_head(const std::string& request) {
  error_code error;
  stream_.expires_after(kSendTime);
  co_await asio::async_write(stream_, asio::buffer(request), asio::redirect_error(asio::use_awaitable, error));
  if (!error) {
    answer_ = std::make_shared<Answer>();
    answer_->parser.body_limit(boost::none);
    stream_.expires_after(kSilence);
    co_await http::async_read_header(stream_, buffer_, answer_->parser,
                                     asio::redirect_error(asio::use_awaitable, error));
  }
  const bool closed = error == http::error::end_of_stream || error == asio::error::connection_reset ||
                      error == asio::error::broken_pipe;
  if (!closed) {
    throw_if(error);
  }
  co_return !closed;
}

asio::awaitable<void> ApiConnection::read_body(const OnBody& on_body) {
  http::response_parser<http::string_body>& parser = answer_->parser;
  const auto status = static_cast<int>(parser.get().result_int());
  const auto hand_over = [&] {
    if (std::string& bytes = parser.get().body(); !bytes.empty()) {
      on_body(status, bytes);
      bytes.clear();
    }
  };
  on_body(status, {});
  hand_over();
  while (!parser.is_done()) {
    stream_.expires_after(kSilence);
    error_code error;
    co_await http::async_read_some(stream_, buffer_, parser, asio::redirect_error(asio::use_awaitable, error));
    hand_over();
    throw_if(error);
  }
  stream_.expires_never();
  if (!parser.keep_alive()) {
    close();
  }
}

asio::awaitable<void> ApiConnection::exchange(const std::string& path, const std::string& body, const OnBody& on_body) {
  const std::string request = request_text(path, body);
  try {
    // A connection that the server closed while it was not used is opened again.
    bool answered = false;
    if (open_) {
      answered = co_await send_and_read_head(request);
    }
    if (!answered) {
      co_await connect();
      answered = co_await send_and_read_head(request);
    }
    if (!answered) {
      throw_if(http::make_error_code(http::error::end_of_stream));
    }
    co_await read_body(on_body);
  } catch (const boost::system::system_error&) {
    close();
    throw;
  }
}

void ApiConnection::close() {
  open_ = false;
  stream_.close();
}

ApiReply ask_server(const ApiServer& server, const std::string& path, const std::string& body) {
  asio::io_context context;
  ApiConnection connection(context.get_executor(), server);
  ApiReply reply;
  std::exception_ptr failure;
  const ApiConnection::OnBody keep = [&](int status, std::string_view bytes) {
    reply.status = status;
    reply.body += bytes;
  };
  asio::co_spawn(context, connection.exchange(path, body, keep),
                 [&](const std::exception_ptr& error) { failure = error; });
  context.run();
  if (failure) {
    try {
      std::rethrow_exception(failure);
    } catch (const boost::system::system_error& error) {
      throw Error(ErrorKind::kUsage, "the server at " + server.url + " cannot be reached: " + error.code().message(),
                  "Start it, or give its --base-url, or give a model: then a server is started for the run.");
    }
  }
  return reply;
}

}  // namespace longship
