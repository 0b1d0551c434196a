#include "comm/cuda/nccl_comms.h"

#include <array>
#include <exception>
#include <string>
#include <thread>

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

NcclComms::NcclComms(const NcclApi& api, Communicator& host, std::chrono::milliseconds deadline)
    : deadline_(deadline),
      all_(api, shared_id(api, host), host.rank(), host.size(), deadline),
      to_(static_cast<std::size_t>(host.size())),
      from_(static_cast<std::size_t>(host.size())) {
  make_edges(host);
}

NcclComms::~NcclComms() {
  if (std::uncaught_exceptions() != 0) {
    abort();
  }
}

// Every rank makes two edges, to the ranks after and before it. Ranks take part in the making of theirs in one order,
// so that nobody waits for one who waits for him.
void NcclComms::make_edges(Communicator& host) {
  constexpr int kEach = 2;
  const int ranks = host.size();
  const auto edges = static_cast<std::size_t>(kEach * ranks);
  std::array<NcclUniqueId, kEach> mine = {new_nccl_id(all_.api()), new_nccl_id(all_.api())};
  std::vector<NcclUniqueId> ids(edges);
  Stream stream;
  Tensor all = Tensor::wrap(DType::kU8, {static_cast<int64_t>(edges * sizeof(NcclUniqueId))}, ids.data());
  host.all_gather(Tensor::wrap(DType::kU8, {sizeof mine}, mine.data()),
                  std::vector<int64_t>(static_cast<std::size_t>(ranks), sizeof mine), all, stream);
  for (int edge = 0; edge < kEach * ranks; ++edge) {
    const int from = edge / kEach;
    const bool forward = edge % kEach == 0;
    const int to = (from + (forward ? 1 : ranks - 1)) % ranks;
    if (ranks == 2 && !forward) {
      continue;  // the same as forward
    }
    const NcclUniqueId& id = ids[static_cast<std::size_t>(edge)];
    if (from == host.rank()) {
      to_[static_cast<std::size_t>(to)] = std::make_unique<NcclEdge>(all_.api(), id, true, deadline_);
    } else if (to == host.rank()) {
      from_[static_cast<std::size_t>(from)] = std::make_unique<NcclEdge>(all_.api(), id, false, deadline_);
    }
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
  all_.abort();
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
    all_.check(operation);
    for (auto* edges : {&to_, &from_}) {
      for (const std::unique_ptr<NcclEdge>& edge : *edges) {
        if (edge != nullptr) {
          edge->check(operation);
        }
      }
    }
    if (waited > deadline_) {
      all_.fail(operation, "the device was not done after " + std::to_string(deadline_.count()) + " ms");
    }
  } catch (const Error&) {
    abort();
    throw;
  }
}

}  // namespace longship
