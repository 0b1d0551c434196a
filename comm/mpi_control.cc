#include "comm/mpi_control.h"

#include <exception>
#include <memory>
#include <string>
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

// The longer a rank has been idle, the later it may notice work: a sixteenth of that time, at most 2.5 ms.
constexpr std::chrono::microseconds kAwake(200);
constexpr std::chrono::microseconds kLongestNap(2500);

}  // namespace

MpiControl::~MpiControl() {
  if (port_.rank() != kLeader || job_.broken || !says_end_) {
    return;
  }
  try {
    for (int rank = 1; rank < port_.size(); ++rank) {
      port_.send(std::make_shared<const Bytes>(), rank, kEnd, kFramesUnderWay);
    }
  } catch (const std::exception&) {
    job_.broken = true;
  }
}

void MpiControl::publish(Bytes frame) {
  const auto message = std::make_shared<const Bytes>(std::move(frame));
  for (int rank = 1; rank < port_.size(); ++rank) {
    port_.send(message, rank, kFrame, kFramesUnderWay);
  }
}

std::optional<Bytes> MpiControl::receive(Deadline deadline) {
  Backoff backoff(kAwake, kLongestNap);
  while (true) {
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
    backoff.pause();
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
