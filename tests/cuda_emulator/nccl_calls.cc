#include "tests/cuda_emulator/nccl_calls.h"

#include <cstring>

#include "tests/cuda_emulator/emulator.h"
#include "tests/cuda_emulator/message.h"

namespace longship::cuda::emulator {

namespace {

using Kind = NcclCall::Kind;

int64_t bytes_of(NcclType type) {
  return type == NcclType::kFloat32 ? 4 : 1;
}

const char* name_of(Kind kind) {
  switch (kind) {
    case Kind::kAllReduce:
      return "all_reduce";
    case Kind::kAllGather:
      return "all_gather";
    case Kind::kBroadcast:
      return "broadcast";
    default:
      return "send and recv";
  }
}

void copy(void* to, const void* from, int64_t bytes) {
  if (bytes != 0 && to != from) {
    std::memmove(to, from, static_cast<std::size_t>(bytes));
  }
}

}  // namespace

int64_t NcclCall::bytes() const {
  return count * bytes_of(type);
}

NcclRun::NcclRun(NcclOpaque& comm, const std::vector<NcclCall>& calls)
    : comm_(comm), calls_(calls), incoming_(static_cast<std::size_t>(comm.ranks)) {
  for (const NcclCall& call : calls_) {
    begin(call);
  }
}

// Both ends of a message give it the kind of a send.
NcclRun::Header NcclRun::header_of(const NcclCall& call, int64_t bytes) {
  const Kind kind = call.kind == Kind::kRecv ? Kind::kSend : call.kind;
  return {.kind = static_cast<int32_t>(kind),
          .type = static_cast<int32_t>(call.type),
          .count = call.count,
          .root = kind == Kind::kBroadcast ? call.peer : 0,
          .number = call.number,
          .bytes = bytes};
}

std::string NcclRun::describe(const Header& header) {
  const auto kind = static_cast<Kind>(header.kind);
  std::string text = format("%s of %lld %s", name_of(kind), static_cast<long long>(header.count),
                            static_cast<NcclType>(header.type) == NcclType::kFloat32 ? "f32" : "bytes");
  if (kind == Kind::kBroadcast) {
    text += format(" from rank %d", header.root);
  }
  if (kind != Kind::kSend) {
    text += format(" as collective %llu", static_cast<unsigned long long>(header.number));
  }
  return text;
}

void NcclRun::send(const NcclCall& call, int to, int64_t bytes) {
  const Header header = header_of(call, bytes);
  Bytes message(sizeof header + static_cast<std::size_t>(bytes));
  std::memcpy(message.data(), &header, sizeof header);
  copy(message.data() + sizeof header, call.from, bytes);
  comm_.outbox.send(to, std::move(message));
}

void NcclRun::expect(const NcclCall& call, int from, int64_t bytes, std::byte* to) {
  incoming_[static_cast<std::size_t>(from)].push_back({.expected = header_of(call, bytes), .to = to});
}

void NcclRun::begin_all_reduce(const NcclCall& call) {
  auto& parts =
      parts_.emplace_back(static_cast<std::size_t>(comm_.ranks), Bytes(static_cast<std::size_t>(call.bytes())));
  for (int peer = 0; peer < comm_.ranks; ++peer) {
    std::byte* part = parts[static_cast<std::size_t>(peer)].data();
    if (peer == comm_.rank) {
      copy(part, call.from, call.bytes());
    } else {
      send(call, peer, call.bytes());
      expect(call, peer, call.bytes(), part);
    }
  }
}

void NcclRun::begin_all_gather(const NcclCall& call) {
  auto* out = static_cast<std::byte*>(call.to);
  for (int peer = 0; peer < comm_.ranks; ++peer) {
    if (peer != comm_.rank) {
      send(call, peer, call.bytes());
      expect(call, peer, call.bytes(), out + peer * call.bytes());
    }
  }
  copy(out + comm_.rank * call.bytes(), call.from, call.bytes());
}

void NcclRun::begin_broadcast(const NcclCall& call) {
  const bool root = comm_.rank == call.peer;
  for (int peer = 0; peer < comm_.ranks; ++peer) {
    if (peer != comm_.rank) {
      send(call, peer, root ? call.bytes() : 0);
      expect(call, peer, peer == call.peer ? call.bytes() : 0, static_cast<std::byte*>(call.to));
    }
  }
  if (root) {
    copy(call.to, call.from, call.bytes());
  }
}

void NcclRun::begin(const NcclCall& call) {
  switch (call.kind) {
    case Kind::kAllReduce:
      begin_all_reduce(call);
      break;
    case Kind::kAllGather:
      begin_all_gather(call);
      break;
    case Kind::kBroadcast:
      begin_broadcast(call);
      break;
    case Kind::kSend:
      send(call, call.peer, call.bytes());
      break;
    case Kind::kRecv:
      expect(call, call.peer, call.bytes(), static_cast<std::byte*>(call.to));
      break;
  }
}

bool NcclRun::advance() {
  if (comm_.aborted.load() || comm_.error.load() != NcclResult::kSuccess) {
    return true;
  }
  bool done = true;
  for (int peer = 0; peer < comm_.ranks; ++peer) {
    done = take(peer) && done;
  }
  if (done) {
    finish();
  }
  return done || comm_.error.load() != NcclResult::kSuccess;
}

// Whether all that is expected of a rank has come.
bool NcclRun::take(int peer) {
  std::deque<Incoming>& queue = incoming_[static_cast<std::size_t>(peer)];
  // Asked first: what it had sent before it went is there by now.
  const bool gone = !queue.empty() && comm_.meeting.is_gone(peer);
  while (!queue.empty()) {
    Incoming& next = queue.front();
    constexpr int64_t kHeaderBytes = sizeof(Header);
    int64_t read = 0;
    if (next.header_done < kHeaderBytes) {
      auto* header = reinterpret_cast<std::byte*>(&next.header);
      read = comm_.meeting.read(peer, comm_.rank, header + next.header_done, kHeaderBytes - next.header_done);
      next.header_done += read;
      if (next.header_done == kHeaderBytes) {
        compare(peer, next);
      }
    } else {
      read = comm_.meeting.read(peer, comm_.rank, next.to + next.done, next.expected.bytes - next.done);
      next.done += read;
    }
    if (next.header_done == kHeaderBytes && next.done == next.expected.bytes) {
      queue.pop_front();
    } else if (read == 0) {
      if (gone) {
        comm_.fail(format("rank %d is gone during %s", peer, describe(next.expected).c_str()));
      }
      return false;
    }
  }
  return true;
}

void NcclRun::compare(int peer, const Incoming& incoming) const {
  const Header& mine = incoming.expected;
  const Header& theirs = incoming.header;
  if (mine.kind != theirs.kind || mine.type != theirs.type || mine.count != theirs.count || mine.root != theirs.root ||
      mine.number != theirs.number) {
    fail(format("NCCL: ranks call different things: rank %d %s, rank %d %s", comm_.rank, describe(mine).c_str(), peer,
                describe(theirs).c_str()));
  }
}

// Sums in the order of ranks, so that all ranks have the same.
void NcclRun::finish() {
  for (const NcclCall& call : calls_) {
    if (call.kind != Kind::kAllReduce) {
      continue;
    }
    const std::vector<Bytes>& parts = parts_.front();
    auto* to = static_cast<float*>(call.to);
    for (int64_t i = 0; i < call.count; ++i) {
      float sum = reinterpret_cast<const float*>(parts[0].data())[i];
      for (std::size_t rank = 1; rank < parts.size(); ++rank) {
        sum += reinterpret_cast<const float*>(parts[rank].data())[i];
      }
      to[i] = sum;
    }
    parts_.pop_front();
  }
}

}  // namespace longship::cuda::emulator
