#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace longship {

/// One answer as its client saw it.
struct StreamAnswer {
  bool complete = false;  ///< It ended as it should.
  std::string content;    ///< Its events without id and time of creation, choice by choice, one line each.
  std::string failure;    ///< What came instead of an end.
};

/// Clients that each keep one streaming request running on a server, one after the other out of a fixed list, and
/// compare every answer with what the same request has answered before.
class StreamLoad {
 public:
  using Clock = std::chrono::steady_clock;

  /// `bodies`: the requests; client i begins with the i-th.
  StreamLoad(uint16_t port, std::vector<std::string> bodies);
  ~StreamLoad();
  StreamLoad(const StreamLoad&) = delete;
  StreamLoad& operator=(const StreamLoad&) = delete;

  /// Runs every request once and keeps the answers as what is expected. False if one is not complete.
  bool learn();
  void start(int clients);
  /// No new requests; waits until the open ones have ended.
  void stop();

  /// Answers so far: in all, incomplete ones, and complete ones that differ from what is expected.
  int answers() const { return answers_; }
  int lost() const { return lost_; }
  int different() const { return different_; }
  std::string first_failure() const;
  /// Waits until the open request of every client has been answered in part: three losses in a row before that would
  /// refuse it. False if that takes longer than `limit`.
  bool wait_until_flowing(std::chrono::milliseconds limit) const;
  /// For every client, how long after `moment` its next event came that was not on its way then, or `limit`, whichever
  /// is earlier; returns when all are known.
  std::vector<std::chrono::milliseconds> waits_after(Clock::time_point moment, std::chrono::milliseconds limit) const;

 private:
  struct Client {
    std::thread thread;
    std::atomic<bool> flowing = false;  ///< The open request has had an event.
    std::atomic<Clock::time_point> last_event;
  };

  void run(Client& client, std::size_t first);
  StreamAnswer ask(const std::string& body, Client& client) const;
  void judge(std::size_t body, const StreamAnswer& answer);

  uint16_t port_;
  std::vector<std::string> bodies_;
  std::vector<std::string> expected_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> answers_ = 0;
  std::atomic<int> lost_ = 0;
  std::atomic<int> different_ = 0;
  mutable std::mutex mutex_;
  std::string first_failure_;
};

}  // namespace longship
