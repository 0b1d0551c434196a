#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace longship {

class TlsCertificate;

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

/// A request as its client sent it, read and checked; the body is missing where only the head is asked about. Handlers
/// see it for the time of the call: who needs it longer copies it.
struct HttpRequest {
  std::string method;
  std::string path;                            ///< Without the query.
  std::map<std::string, std::string> headers;  ///< Names in lower case; of repeated ones the last.
  std::string body;
  std::string address;  ///< The client's.
  std::string id;       ///< The client's x-request-id, or one of ours.

  std::string_view header(const std::string& name) const;
};

/// A whole answer. The server adds the headers of its length, its connection and its id; `headers` go beside them.
struct HttpResponse {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  HttpHeaders headers{};
};

/// What an answer has cost, for the log.
struct AnswerCost {
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;
  double first_token_s = 0;  ///< From the request on.
};

/// One request being answered: respond() once, or start_stream(), any number of write(), finish(). Used by the server's
/// thread alone; calls after the client has gone do nothing.
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;

  virtual void respond(HttpResponse response) = 0;
  /// Status 200 and headers; what follows goes out at once, in chunks.
  virtual void start_stream(const std::string& content_type) = 0;
  virtual void write(std::string data) = 0;
  virtual void finish() = 0;
  /// Called once if the client goes, or does not read what is sent, before the answer is complete.
  virtual void on_abandoned(std::function<void()> abandoned) = 0;
  /// For the log; before the answer is complete.
  virtual void note_cost(const AnswerCost&) {}
};

/// What a client may cost. Past them a request is refused (431, 413, 408) or its connection closed.
struct HttpLimits {
  std::size_t header_bytes = std::size_t{16} << 10U;
  std::size_t header_fields = 100;
  std::size_t body_bytes = std::size_t{16} << 20U;
  std::size_t body_bytes_per_s = 1024;               ///< On average, once body_idle_time has passed.
  std::size_t unsent_bytes = std::size_t{1} << 20U;  ///< Of one response; a client that reads slower is let go.
  std::chrono::seconds header_time{10};              ///< From the connection, or the first byte of a later request, on.
  std::chrono::seconds body_idle_time{30};           ///< Between two pieces of a body.
  std::chrono::seconds send_idle_time{30};           ///< Without progress of what is sent.
  std::chrono::seconds keep_alive{75};
  int requests_per_connection = 10000;
  int connections = 4096;  ///< Never more than 80 % of the files that the process may open beside 40 of its own.
};

/// What is said of a request before its body is read.
struct Admission {
  std::optional<HttpResponse> refusal{};
  HttpHeaders headers{};  ///< Of the response, whatever it will be.
};

/// A request that has been answered, or abandoned.
struct AccessRecord {
  std::string id;
  std::string method;
  std::string path;
  std::string body;  ///< Of the request.
  int status = 0;    ///< 0: the client went before there was one.
  bool abandoned = false;
  double seconds = 0;
  AnswerCost cost;
};

/// The server's side of requests. All are called by its thread.
struct HttpHandlers {
  std::function<Admission(const HttpRequest& head)> admit = [](const HttpRequest&) { return Admission{}; };
  std::function<void(const HttpRequest&, const std::shared_ptr<HttpExchange>&)> handle;
  std::function<void(const AccessRecord&)> answered = [](const AccessRecord&) {};
};

/// HTTP/1.1 on one thread of its own, which runs the handlers and all that is posted.
class HttpServer {
 public:
  /// Binds and begins to serve; `port` 0 takes a free one. With a certificate it speaks TLS.
  /// Errors: kUsage if the address cannot be bound.
  HttpServer(const std::string& host, uint16_t port, const HttpLimits& limits, HttpHandlers handlers,
             std::shared_ptr<TlsCertificate> certificate = nullptr);
  /// Closes all connections.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  uint16_t port() const;
  int connections() const;
  /// Runs `work` on the server's thread; any thread may call.
  void post(std::function<void()> work);
  /// Waits until what was written has gone out, at most so long.
  void flush(std::chrono::milliseconds patience);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace longship
