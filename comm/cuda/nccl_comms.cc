#include "comm/cuda/nccl_comms.h"

#include <array>
#include <exception>
#include <string>
#include <thread>
#include <utility>

namespace longship {

namespace {

// Rank 0's.
NcclUniqueId shared_id(const NcclApi& api, Communicator& host) {
  const bool makes_it = host.rank() == 0;
  NcclUniqueId id = makes_it ? new_nccl_id(api) : NcclUniqueId();
  Tensor bytes = Tensor::wrap(DType::kU8, {sizeof id}, &id);
  Stream stream;
  host.broadcast(bytes, 0, stream);
  return id;
}

}  // namespace

std::unique_ptr<NcclComm> meet_over_nccl(const NcclApi& api, Communicator& host, std::chrono::milliseconds deadline) {
  return std::make_unique<NcclComm>(api, shared_id(api, host), host.rank(), host.size(), deadline);
}

NcclComms::NcclComms(std::unique_ptr<NcclComm> all, Communicator& host, const GroupTraffic& most)
    : all_(std::move(all)),
      largest_(static_cast<std::size_t>(most.message_bytes)),
      to_(static_cast<std::size_t>(host.size())),
      from_(static_cast<std::size_t>(host.size())) {
  if (all_->api().comm_split != nullptr) {
    split_edges(host.rank(), host.size());
  } else {
    meet_at_edges(host);
  }
}

NcclComms::~NcclComms() {
  if (std::uncaught_exceptions() != 0) {
    abort();
  }
}

void NcclComms::add_edge(int from, int to, int rank, std::unique_ptr<NcclComm> comm) {
  const bool sends = rank == from;
  std::unique_ptr<NcclEdge>& edge = sends ? to_[static_cast<std::size_t>(to)] : from_[static_cast<std::size_t>(from)];
  edge = std::make_unique<NcclEdge>(std::move(comm), sends, largest_);
}

// Every rank has edges to the ranks after and before it. A split makes every other edge of one direction at once, and
// with an odd number of ranks the last one is left for a third.
void NcclComms::split_edges(int rank, int ranks) {
  const auto split_of = [&](int from) { return ranks % 2 == 1 && from == ranks - 1 ? 2 : from % 2; };
  const int splits = ranks % 2 == 1 ? 3 : 2;
  for (const int step : {1, ranks - 1}) {
    for (int split = 0; split < splits; ++split) {
      const int before = (rank + ranks - step) % ranks;
      const bool sends = split_of(rank) == split;
      const bool receives = split_of(before) == split;
      const int from = sends ? rank : before;
      std::unique_ptr<NcclComm> comm =
          all_->split(sends || receives ? from : NcclApi::kNoColor, sends ? NcclEdge::kSender : NcclEdge::kReceiver);
      if (comm != nullptr) {
        add_edge(from, (from + step) % ranks, rank, std::move(comm));
      }
    }
    if (ranks == 2) {
      break;  // both directions are the same
    }
  }
}

// The same edges where NCCL cannot split. Ranks take part in the making of theirs in one order, so that nobody waits
// for one who waits for him.
void NcclComms::meet_at_edges(Communicator& host) {
  constexpr int kEach = 2;
  const int ranks = host.size();
  const auto edges = static_cast<std::size_t>(kEach * ranks);
  std::array<NcclUniqueId, kEach> mine = {new_nccl_id(all_->api()), new_nccl_id(all_->api())};
  std::vector<NcclUniqueId> ids(edges);
  Stream stream;
  Tensor all = Tensor::wrap(DType::kU8, {static_cast<int64_t>(edges * sizeof(NcclUniqueId))}, ids.data());
  host.all_gather(Tensor::wrap(DType::kU8, {sizeof mine}, mine.data()),
                  std::vector<int64_t>(static_cast<std::size_t>(ranks), sizeof mine), all, stream);
  for (int edge = 0; edge < kEach * ranks; ++edge) {
    const int from = edge / kEach;
    const bool forward = edge % kEach == 0;
    const int to = (from + (forward ? 1 : ranks - 1)) % ranks;
    if ((ranks == 2 && !forward) || (from != host.rank() && to != host.rank())) {
      continue;
    }
    const int place = from == host.rank() ? NcclEdge::kSender : NcclEdge::kReceiver;
    add_edge(from, to, host.rank(),
             std::make_unique<NcclComm>(all_->api(), ids[static_cast<std::size_t>(edge)], place, 2, all_->deadline()));
  }
}

// All at once: to free what one communicator has waits for the device, where kernels of the others wait for other ranks
// until these are aborted too.
void NcclComms::abort() {
  std::vector<std::jthread> threads;
  for (auto* edges : {&to_, &from_}) {
    for (const std::unique_ptr<NcclEdge>& edge : *edges) {
      if (edge != nullptr) {
        threads.emplace_back([&edge] { edge->abort(); });
      }
    }
  }
  all_->abort();
}

void NcclComms::progress() {
  for (const std::unique_ptr<NcclEdge>& edge : to_) {
    if (edge != nullptr) {
      edge->progress();
    }
  }
}

// A kernel that waits for a rank which is gone would wait for ever: NCCL sets no deadline.
void NcclComms::check(std::string_view operation, std::chrono::nanoseconds waited) {
  try {
    all_->check(operation);
    for (auto* edges : {&to_, &from_}) {
      for (const std::unique_ptr<NcclEdge>& edge : *edges) {
        if (edge != nullptr) {
          edge->check(operation);
        }
      }
    }
    if (const auto deadline = all_->deadline(); waited > deadline) {
      all_->fail(operation, "the device was not done after " + std::to_string(deadline.count()) + " ms");
    }
  } catch (const Error&) {
    abort();
    throw;
  }
}

}  // namespace longship
