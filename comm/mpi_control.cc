#include "comm/mpi_control.h"

#include <algorithm>
#include <exception>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "comm/agreement.h"
#include "comm/patience.h"

namespace longship {

namespace {

enum Tag : int { kFrame, kEnd, kNews, kFailure, kVerdict };

constexpr int kLeader = 0;
// Far above what a window of plans needs; it bounds the memory of a leader whose follower is stuck.
constexpr std::size_t kFramesUnderWay = 4096;

// The longer a rank has been idle, the later it may notice work that nothing announces: a sixteenth of that time, at
// most 2.5 ms. Where a doorbell announces it a look is only for the case that it was missed.
constexpr std::chrono::microseconds kAwake(200);
constexpr std::chrono::microseconds kLongestNap(2500);
constexpr std::chrono::microseconds kLongestSleep(100000);
// Ranks of other hosts that wait for less than this notice work by themselves before a ring could come.
constexpr std::chrono::milliseconds kNapsShort(10);

// A rank's wait for the next frame.
class IdleWait {
 public:
  IdleWait(const MpiJob& job, Doorbell* bell, Deadline deadline) : job_(job), bell_(bell), deadline_(deadline) {}

  void before_look() {
    if (bell_ == nullptr) {
      return;
    }
    const uint32_t rings = bell_->rings();
    if (rings != rings_) {  // what it announces may come a little later, from another host
      backoff_ = Backoff(kAwake, kLongestSleep);
      rings_ = rings;
    }
  }

  void pause() {
    backoff_.pause([&](Backoff::Clock::duration nap) {
      const bool announced = bell_ != nullptr && bell_->announces() && !job_.anything_under_way();
      nap =
          std::min({nap, announced ? nap : Backoff::Clock::duration(kLongestNap), deadline_ - Deadline::clock::now()});
      if (bell_ == nullptr) {
        std::this_thread::sleep_for(nap);
      } else {
        bell_->sleep(rings_, nap);
      }
    });
  }

 private:
  const MpiJob& job_;
  Doorbell* bell_;
  Deadline deadline_;
  Backoff backoff_{kAwake, kLongestSleep};
  uint32_t rings_ = 0;
};

}  // namespace

MpiControl::~MpiControl() {
  if (port_.rank() != kLeader || job_.broken || !says_end_) {
    return;
  }
  try {
    for (int rank = 1; rank < port_.size(); ++rank) {
      port_.send(std::make_shared<const Bytes>(), rank, kEnd, kFramesUnderWay);
    }
    ring();
  } catch (const std::exception&) {
    job_.broken = true;
  }
}

void MpiControl::publish(Bytes frame) {
  const auto message = std::make_shared<const Bytes>(std::move(frame));
  for (int rank = 1; rank < port_.size(); ++rank) {
    port_.send(message, rank, kFrame, kFramesUnderWay);
  }
  ring();
}

void MpiControl::ring() {
  if (bell_) {
    bell_->ring();
  }
  const auto now = Deadline::clock::now();
  if (wake_others_ && now - std::exchange(last_ring_, now) > kNapsShort) {
    wake_others_();
  }
}

void MpiControl::hang_doorbells(int host, int leaders) {
  MpiPort ranks(job_, &port_, host, port_.rank());
  bell_ = Doorbell::make(ranks);
  expect_wakes(host == leaders);
}

void MpiControl::wake_host() {
  if (bell_) {
    bell_->ring();
  }
}

void MpiControl::expect_wakes(bool yes) {
  if (bell_) {
    bell_->set_announces(yes);
  }
}

std::optional<Bytes> MpiControl::receive(Deadline deadline) {
  IdleWait wait(job_, bell_.get(), deadline);
  while (true) {
    wait.before_look();
    std::optional<MpiPort::Message> message = port_.try_receive(kLeader, std::nullopt);
    if (!message.has_value()) {
      // The first look may only fetch a message that the second one finds.
      message = port_.try_receive(kLeader, std::nullopt);
    }
    if (message.has_value()) {
      if (message->tag == kEnd) {
        throw Error(ErrorKind::kRank, "rank 0, the leader, has ended");
      }
      return std::move(message->bytes);
    }
    if (Deadline::clock::now() >= deadline) {
      return std::nullopt;
    }
    job_.advance();
    wait.pause();
  }
}

void MpiControl::tell(Bytes frame) {
  port_.send(std::make_shared<const Bytes>(std::move(frame)), kLeader, kNews, kFramesUnderWay);
}

std::optional<Bytes> MpiControl::heard() {
  for (int rank = 1; rank < port_.size(); ++rank) {
    if (std::optional<MpiPort::Message> message = port_.try_receive(rank, kNews)) {
      return std::move(message->bytes);
    }
  }
  return std::nullopt;
}

Bytes MpiControl::wait_for(int from, int tag, std::string_view operation, std::chrono::milliseconds limit) {
  Patience patience(operation, limit);
  while (true) {
    if (std::optional<MpiPort::Message> message = port_.try_receive(from, tag)) {
      return std::move(message->bytes);
    }
    job_.advance();
    if (!patience.pause()) {
      job_.broken = true;
      throw patience.error(from);
    }
  }
}

void MpiControl::agree(const Error* failure, std::string_view phase) {
  std::string operation = "agreement after \"";
  operation.append(phase).append("\" with");
  if (port_.rank() != kLeader) {
    port_.send(std::make_shared<const Bytes>(pack_failure(failure)), kLeader, kFailure, kFramesUnderWay);
    // The leader waits for the others first, and knows better whom to name.
    throw_verdict(wait_for(kLeader, kVerdict, operation, job_.deadline + job_.deadline / 4));
    return;
  }
  std::vector<Bytes> failures = {pack_failure(failure)};
  for (int rank = 1; rank < port_.size(); ++rank) {
    failures.push_back(wait_for(rank, kFailure, operation, job_.deadline));
  }
  const auto message = std::make_shared<const Bytes>(verdict(failures));
  for (int rank = 1; rank < port_.size(); ++rank) {
    port_.send(message, rank, kVerdict, kFramesUnderWay);
  }
  throw_verdict(*message);
}

}  // namespace longship
