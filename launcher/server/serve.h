#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "launcher/server/api.h"
#include "launcher/server/http/access.h"
#include "launcher/server/http/http_server.h"
#include "launcher/server/http/tls_certificate.h"
#include "launcher/server/server_trace.h"
#include "launcher/server/worker_pool.h"

namespace longship {

/// How `longship serve` listens, answers and logs; ServeFrontEnd keeps a copy. Options of the engine are not here.
struct ServeOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 8000;
  HttpLimits limits;
  AccessOptions access;
  std::string certificate_file;  ///< Empty: no TLS.
  std::string key_file;
  ApiOptions api;
  bool log_requests = false;
  bool log_prompts = false;             ///< With them, the bodies of requests.
  std::chrono::seconds drain_time{30};  ///< For accepted requests, once the server is told to end.
  std::string title;                    ///< Model and mesh, for the banner.
  std::string trace;                    ///< File for what every rank does; empty: none.
};

/// The front end of `longship serve`: listens from its construction on (503 until the engine is there).
class ServeFrontEnd {
 public:
  /// Errors: kUsage for keys or certificates that cannot be read or a trace that cannot be written, kAddress if the
  /// address cannot be bound.
  ServeFrontEnd(ServeOptions options, std::shared_ptr<const ModelText> model);

  /// Serves until drain(), then until all accepted requests are answered. Returns 0. Errors: kRank; every open
  /// request is told before.
  int run(Engine& engine);
  /// Takes no more requests; false if it was told before. Any thread.
  bool drain();
  /// Tells every open request why it ends, and waits a moment until that has gone out. Any thread but the server's.
  void abandon(const std::string& why);
  /// Reads the files of keys and certificate again; false if there are none. Any thread.
  bool reload();

 private:
  using Clock = std::chrono::steady_clock;

  HttpHandlers handlers();
  void log_access(const AccessRecord& record) const;
  void on_server(const std::function<void()>& work);
  bool finished();
  void announce();
  void print_banner(const EngineInfo& info, const std::vector<RankActivity>& ranks) const;
  void print_status();
  void deliver(const EngineEvent& event);
  void end_trace();
  bool read_aside(std::function<Api::Work()> read, bool large);

  ServeOptions options_;
  Access access_;
  std::shared_ptr<TlsCertificate> certificate_;  ///< Null: no TLS.
  std::unique_ptr<ServerTrace> trace_;           ///< Null: none is wanted.
  Api api_;
  HttpServer server_;
  std::atomic<bool> told_ = false;
  std::atomic<bool> idle_ = false;
  Clock::time_point drain_deadline_;
  Clock::time_point next_status_;
  Clock::time_point announce_deadline_;
  bool announced_ = false;  ///< Of the server's thread.
  EngineCounters last_status_;
  WorkerPool workers_;  ///< Ends before the server, whose connections its work holds.
};

}  // namespace longship
