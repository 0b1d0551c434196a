#include "launcher/bench/load_run.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <unordered_set>

namespace longship {

namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

}  // namespace

class LoadRun::Impl {
 public:
  Impl(const ApiServer& server, LoadRunOptions options)
      : server_(server), options_(std::move(options)), arrival_(context_), slot_(context_) {}

  std::vector<ServeSample> run(const std::vector<std::string>& bodies, const std::vector<double>& arrivals) {
    begin_ = Clock::now();
    asio::co_spawn(context_, send_all(bodies, arrivals), asio::detached);
    context_.run();
    return std::move(samples_);
  }

  void stop() {
    asio::post(context_, [this] {
      stopped_ = true;
      arrival_.cancel();
      slot_.cancel();
      for (ApiConnection* connection : busy_) {
        connection->close();
      }
    });
  }

 private:
  double now_s() const { return std::chrono::duration<double>(Clock::now() - begin_).count(); }

  asio::awaitable<void> send_all(const std::vector<std::string>& bodies, const std::vector<double>& arrivals) {
    for (std::size_t i = 0; i < bodies.size() && !stopped_; ++i) {
      error_code ignored;
      arrival_.expires_at(begin_ +
                          std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(arrivals[i])));
      co_await arrival_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      while (busy_.size() >= options_.max_concurrency && !stopped_) {
        slot_.expires_at(Clock::time_point::max());
        co_await slot_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      }
      if (!stopped_) {
        asio::co_spawn(context_, send(take_connection(), bodies[i]), asio::detached);
      }
    }
  }

  asio::awaitable<void> send(std::shared_ptr<ApiConnection> connection, const std::string& body) {
    AnswerReader reader(now_s());
    const ApiConnection::OnBody read = [&](int status, std::string_view bytes) { reader.read(status, bytes, now_s()); };
    try {
      co_await connection->exchange(options_.endpoint, body, read);
    } catch (const std::exception& error) {
      reader.fail(error.what());
    }
    ServeSample sample = reader.finish(now_s());
    if (stopped_ && sample.outcome == ServeSample::Outcome::kFailure) {
      sample.outcome = ServeSample::Outcome::kInterrupted;
    }
    samples_.push_back(std::move(sample));
    busy_.erase(connection.get());
    idle_.push_back(std::move(connection));
    slot_.cancel();
    options_.on_sample(samples_);
  }

  std::shared_ptr<ApiConnection> take_connection() {
    std::shared_ptr<ApiConnection> connection;
    if (idle_.empty()) {
      connection = std::make_shared<ApiConnection>(context_.get_executor(), server_);
    } else {
      connection = std::move(idle_.back());
      idle_.pop_back();
    }
    busy_.insert(connection.get());
    return connection;
  }

  const ApiServer& server_;
  LoadRunOptions options_;
  asio::io_context context_;
  asio::steady_timer arrival_;  ///< Of the next request.
  asio::steady_timer slot_;     ///< Cancelled when a request ends.
  Clock::time_point begin_;
  std::vector<std::shared_ptr<ApiConnection>> idle_;
  std::unordered_set<ApiConnection*> busy_;
  std::vector<ServeSample> samples_;
  bool stopped_ = false;
};

LoadRun::LoadRun(const ApiServer& server, LoadRunOptions options)
    : impl_(std::make_unique<Impl>(server, std::move(options))) {}

LoadRun::~LoadRun() = default;

std::vector<ServeSample> LoadRun::run(const std::vector<std::string>& bodies, const std::vector<double>& arrivals) {
  return impl_->run(bodies, arrivals);
}

void LoadRun::stop() {
  impl_->stop();
}

}  // namespace longship
