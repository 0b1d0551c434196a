#include "launcher/server/http/http_server.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <thread>

#include "core/error.h"
#include "launcher/server/http/http_session.h"
#include "launcher/server/http/tls_certificate.h"

namespace longship {

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::string_view kFull =
    "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

sigset_t every_signal() {
  sigset_t signals;
  sigfillset(&signals);
  return signals;
}

// What a child process must not inherit: it would keep the port.
void close_on_exec(int fd) {
  fcntl(fd, F_SETFD, FD_CLOEXEC);
}

int most_connections(int wanted) {
  constexpr rlim_t kOwnFiles = 40;  // pipes and memory of the ranks, sockets that listen, logs
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) {
    return wanted;
  }
  const rlim_t left = files.rlim_cur > kOwnFiles ? files.rlim_cur - kOwnFiles : 1;
  return static_cast<int>(std::clamp<rlim_t>(left / 5 * 4, 1, static_cast<rlim_t>(wanted)));
}

}  // namespace

std::string_view HttpRequest::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string_view() : std::string_view(found->second);
}

class HttpServer::Impl {
 public:
  Impl(const std::string& host, uint16_t port, const HttpLimits& limits, HttpHandlers handlers,
       std::shared_ptr<TlsCertificate> certificate)
      : certificate_(std::move(certificate)), acceptor_(context_) {
    shared_.limits = limits;
    shared_.limits.connections = most_connections(limits.connections);
    shared_.handlers = std::move(handlers);
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
      for (const std::weak_ptr<HttpSession>& session : sessions_) {
        if (const auto alive = session.lock()) {
          alive->close();
        }
      }
      context_.stop();
    });
    thread_.join();
  }

  uint16_t port() const { return port_; }
  int connections() const { return shared_.connections; }
  void post(std::function<void()> work) { asio::post(context_, std::move(work)); }

  void flush(std::chrono::milliseconds patience) const {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (shared_.unsent_bytes > 0 && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }

 private:
  void bind(const std::string& host, uint16_t port) {
    error_code error;
    tcp::resolver resolver(context_);
    const auto found = resolver.resolve(host, std::to_string(port), tcp::resolver::passive, error);
    if (error) {
      throw Error(ErrorKind::kAddress, "there is no address for --host " + host + ": " + error.message(),
                  "Give an address or a name of this machine.");
    }
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
    if (error) {
      throw Error(ErrorKind::kAddress, "cannot listen on " + host + ":" + std::to_string(port) + ": " + error.message(),
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
      if (shared_.connections >= shared_.limits.connections) {
        if (!certificate_) ::send(socket.native_handle(), kFull.data(), kFull.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        continue;
      }
      start(std::move(socket));
    }
  }

  void start(tcp::socket socket) {
    error_code ignored;
    close_on_exec(socket.native_handle());
    socket.set_option(tcp::no_delay(true), ignored);
    auto stream =
        certificate_ ? make_tls_stream(std::move(socket), certificate_->context()) : make_tcp_stream(std::move(socket));
    auto session = std::make_shared<HttpSession>(std::move(stream), shared_);
    std::erase_if(sessions_, [](const std::weak_ptr<HttpSession>& s) { return s.expired(); });
    sessions_.push_back(session);
    asio::co_spawn(
        context_, [session] { return session->run(); }, asio::detached);
  }

  HttpSessionContext shared_;
  std::shared_ptr<TlsCertificate> certificate_;
  asio::io_context context_{1};
  tcp::acceptor acceptor_;
  std::vector<std::weak_ptr<HttpSession>> sessions_;
  uint16_t port_ = 0;
  std::thread thread_;
};

HttpServer::HttpServer(const std::string& host, uint16_t port, const HttpLimits& limits, HttpHandlers handlers,
                       std::shared_ptr<TlsCertificate> certificate)
    : impl_(std::make_unique<Impl>(host, port, limits, std::move(handlers), std::move(certificate))) {}

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
