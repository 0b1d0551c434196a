#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "comm/cuda/nccl_api.h"
#include "tests/cuda_emulator/device_memory.h"
#include "tests/cuda_emulator/emulator.h"
#include "tests/cuda_emulator/message.h"
#include "tests/cuda_emulator/nccl_calls.h"
#include "tests/cuda_emulator/nccl_version.h"

// NCCL between threads and processes of one host, over shared memory: the same table, ordered by the emulated streams.

namespace longship {

namespace cuda::emulator {

namespace {

std::atomic<int> met_count = 0;
std::atomic<int> split_count = 0;
std::atomic<int> registered_count = 0;
std::atomic<int> deregistered_count = 0;
std::atomic<NcclVersion> shown_version = NcclVersion::kNow;
thread_local std::optional<NcclVersion> version_shown_here;

/// A call between group_start() and group_end().
struct Pending {
  NcclHandle comm;
  StreamHandle stream;
  NcclCall call;
};

struct Group {
  int depth = 0;
  std::vector<Pending> calls = {};
};

Group& group_of_thread() {
  thread_local Group group;
  return group;
}

NcclResult get_version(int* version) {
  *version = 22809;
  return NcclResult::kSuccess;
}

NcclResult get_unique_id(NcclUniqueId* id) {
  const std::optional<NcclUniqueId> made = NcclMeeting::create();
  if (!made.has_value()) {
    return NcclResult::kSystemError;
  }
  *id = *made;
  return NcclResult::kSuccess;
}

const char* get_error_string(NcclResult result) {
  switch (result) {
    case NcclResult::kSuccess:
      return "no error";
    case NcclResult::kSystemError:
      return "system error";
    case NcclResult::kInvalidArgument:
      return "invalid argument";
    case NcclResult::kInvalidUsage:
      return "invalid usage";
    case NcclResult::kRemoteError:
      return "remote process exited or there was a network error";
    case NcclResult::kInProgress:
      return "NCCL operation in progress";
    default:
      return "internal error";
  }
}

const char* get_last_error(NcclHandle comm) {
  return comm == nullptr || comm->error.load() == NcclResult::kSuccess ? "" : comm->explanation.c_str();
}

NcclResult comm_init_rank_config(NcclHandle* comm, int ranks, NcclUniqueId id, int rank, NcclConfig* config) {
  if (ranks < 1 || ranks > NcclMeeting::kMostRanks || rank < 0 || rank >= ranks || config == nullptr ||
      config->size != sizeof(NcclConfig) || config->magic != NcclConfig().magic) {
    return NcclResult::kInvalidArgument;
  }
  if (config->blocking != 0) {
    fail("NCCL: a communicator that blocks has no deadline");
  }
  std::optional<NcclMeeting> meeting = NcclMeeting::open(id);
  if (!meeting.has_value()) {
    return NcclResult::kSystemError;
  }
  if (!meeting->sit(rank, ranks)) {
    fail(format("NCCL: rank %d of %d meets ranks of another group size, or one of the same number", rank, ranks));
  }
  ++met_count;
  const auto made = std::make_shared<NcclOpaque>(std::move(*meeting), id, rank, ranks);
  made->self = made;
  *comm = made.get();
  return NcclResult::kInProgress;
}

// NCCL waits until the graphs that hold operations of a communicator are gone before it ends one, be it for good or by
// an abort: for ever where the caller destroys them after it.
void check_graphs(const NcclOpaque& comm) {
  if (comm.graphs->load() != 0) {
    fail("NCCL: a communicator ends while a graph of its operations is kept");
  }
}

NcclResult comm_finalize(NcclHandle comm) {
  check_graphs(*comm);
  comm->ending = true;
  return NcclResult::kInProgress;
}

NcclResult end(NcclHandle comm) {
  check_graphs(*comm);
  comm->aborted.store(true);
  if (comm->splitting.has_value() && comm->splitting->made != nullptr) {
    end(comm->splitting->made.get());
  }
  comm->meeting.leave(comm->rank);
  const std::shared_ptr<NcclOpaque> last = std::move(comm->self);
  return NcclResult::kSuccess;
}

NcclResult comm_destroy(NcclHandle comm) {
  if (!comm->ending || !comm->outbox.is_empty()) {
    fail("NCCL: a communicator is destroyed that has not been finalised");
  }
  return end(comm);
}

NcclResult comm_split(NcclHandle comm, int color, int key, NcclHandle* new_comm, NcclConfig* config) {
  if (!comm->ready || comm->ending || comm->splitting.has_value()) {
    fail("NCCL: a split of a communicator that is not ready");
  }
  if (new_comm == nullptr || color < NcclApi::kNoColor || (config != nullptr && config->magic != NcclConfig().magic)) {
    return NcclResult::kInvalidArgument;
  }
  if (config != nullptr && config->blocking != 0) {
    fail("NCCL: a communicator that blocks has no deadline");
  }
  if (comm->splits == NcclMeeting::kMostSplits) {
    return NcclResult::kSystemError;
  }
  ++split_count;
  *new_comm = nullptr;
  comm->meeting.enter_split(comm->splits, comm->rank, color, key);
  comm->splitting = {.number = comm->splits++, .joins = color != NcclApi::kNoColor, .to = new_comm};
  return NcclResult::kSuccess;  // as NCCL says while it goes on (2.18 to 2.28, ncclCommSplit)
}

// Goes on with what can go on.
void advance_split(NcclOpaque& comm) {
  NcclOpaque::Split& split = *comm.splitting;
  const std::vector<int> part = comm.meeting.part_of_split(split.number, comm.rank, comm.ranks);
  if (part.empty()) {
    for (int rank = 0; rank < comm.ranks; ++rank) {
      if (comm.meeting.is_gone(rank)) {
        comm.fail(format("rank %d is gone during a split", rank));
      }
    }
    return;
  }
  if (!split.joins) {
    comm.splitting.reset();
    return;
  }
  if (split.made == nullptr) {
    if (part.front() == comm.rank && !comm.meeting.published(split.number, comm.rank).has_value()) {
      if (const std::optional<NcclUniqueId> id = NcclMeeting::create()) {
        comm.meeting.publish(split.number, comm.rank, *id);
      }
    }
    const std::optional<NcclUniqueId> id = comm.meeting.published(split.number, part.front());
    std::optional<NcclMeeting> meeting = id.has_value() ? NcclMeeting::open(*id) : std::nullopt;
    if (!meeting.has_value()) {
      return;
    }
    const auto rank = static_cast<int>(std::ranges::find(part, comm.rank) - part.begin());
    const auto ranks = static_cast<int>(part.size());
    meeting->sit(rank, ranks);
    split.made = std::make_shared<NcclOpaque>(std::move(*meeting), *id, rank, ranks);
    split.made->self = split.made;
  }
  NcclOpaque& made = *split.made;
  if (made.meeting.is_complete(made.ranks)) {
    made.ready = true;
    NcclMeeting::forget(made.id);
    *split.to = &made;
    comm.splitting.reset();
  }
}

NcclResult comm_get_async_error(NcclHandle comm, NcclResult* error) {
  *error = comm->error.load();
  if (*error != NcclResult::kSuccess) {
    return NcclResult::kSuccess;
  }
  if (!comm->ready && comm->meeting.is_complete(comm->ranks)) {
    comm->ready = true;
    NcclMeeting::forget(comm->id);
  }
  if (comm->splitting.has_value()) {
    advance_split(*comm);
    *error = comm->error.load();
    if (*error != NcclResult::kSuccess) {
      return NcclResult::kSuccess;
    }
  }
  std::erase_if(comm->connecting, [&](const auto& pair) { return comm->meeting.both_called(pair.first, pair.second); });
  if (!comm->ready || comm->splitting.has_value() || !comm->connecting.empty() ||
      (comm->ending && !comm->outbox.is_empty())) {
    *error = NcclResult::kInProgress;
  }
  return NcclResult::kSuccess;
}

NcclResult group_start() {
  ++group_of_thread().depth;
  return NcclResult::kSuccess;
}

// A device sends while its host does something else; the emulated one works only while its host waits for it. What is
// sent leaves here, so that a rank that waits elsewhere keeps nobody waiting.
void let_leave(const NcclOpaque& comm, StreamHandle stream) {
  constexpr std::chrono::seconds kPatience{60};
  const auto begin = std::chrono::steady_clock::now();
  while (api().stream_query(stream) == kNotReady && comm.error.load() == NcclResult::kSuccess &&
         std::chrono::steady_clock::now() - begin < kPatience) {
  }
}

// Queues the calls of each communicator together: they go on side by side.
void start(std::vector<Pending> calls) {
  while (!calls.empty()) {
    NcclHandle comm = calls.front().comm;
    const StreamHandle stream = calls.front().stream;
    std::vector<NcclCall> together;
    std::erase_if(calls, [&](const Pending& pending) {
      if (pending.comm != comm) {
        return false;
      }
      if (pending.stream != stream) {
        fail("NCCL: calls of one communicator in one group are on different streams");
      }
      together.push_back(pending.call);
      return true;
    });
    const bool sends =
        std::ranges::any_of(together, [](const NcclCall& made) { return made.kind == NcclCall::Kind::kSend; });
    const bool receives =
        std::ranges::any_of(together, [](const NcclCall& made) { return made.kind != NcclCall::Kind::kSend; });
    hold_while_recorded(stream, comm->graphs);
    auto run = std::make_shared<std::unique_ptr<NcclRun>>();
    enqueue_until_done("nccl", stream, [comm = comm->self, together = std::move(together), run] {
      if (*run == nullptr) {
        *run = std::make_unique<NcclRun>(*comm, together);
      }
      const bool done = (*run)->advance();
      if (done) {
        run->reset();
      }
      return done;
    });
    if (sends && !receives) {
      let_leave(*comm, stream);
    }
  }
}

NcclResult group_end() {
  Group& group = group_of_thread();
  if (group.depth == 0) {
    return NcclResult::kInvalidUsage;
  }
  if (--group.depth != 0) {
    return NcclResult::kSuccess;
  }
  const bool connecting =
      std::ranges::any_of(group.calls, [](const Pending& pending) { return !pending.comm->connecting.empty(); });
  start(std::exchange(group.calls, {}));
  return connecting ? NcclResult::kInProgress : NcclResult::kSuccess;
}

// Two ranks connect by the first message between them: the host waits for the other one's call.
NcclResult connect(NcclOpaque& comm, const NcclCall& made) {
  if (made.is_collective()) {
    return NcclResult::kSuccess;
  }
  const bool sends = made.kind == NcclCall::Kind::kSend;
  const auto [from, to] = sends ? std::pair(comm.rank, made.peer) : std::pair(made.peer, comm.rank);
  comm.meeting.call_message(from, to, sends);
  if (comm.meeting.both_called(from, to)) {
    return NcclResult::kSuccess;
  }
  comm.connecting.emplace_back(from, to);
  return NcclResult::kInProgress;
}

NcclResult call(NcclHandle comm, StreamHandle stream, NcclCall made) {
  if (!comm->ready || comm->ending || comm->splitting.has_value()) {
    fail("NCCL: a call on a communicator that is not ready");
  }
  if (made.peer < 0 || made.peer >= comm->ranks || (!made.is_collective() && made.peer == comm->rank)) {
    return NcclResult::kInvalidArgument;
  }
  if (made.is_collective()) {
    made.number = comm->collectives++;
  }
  Group& group = group_of_thread();
  group.calls.push_back({comm, stream, made});
  const NcclResult result = connect(*comm, made);
  if (group.depth == 0) {
    start(std::exchange(group.calls, {}));
    return result;
  }
  return NcclResult::kSuccess;
}

NcclResult all_reduce(const void* from, void* to, std::size_t count, NcclType type, NcclOp /*op*/, NcclHandle comm,
                      StreamHandle stream) {
  if (type != NcclType::kFloat32) {
    return NcclResult::kInvalidArgument;
  }
  return call(
      comm, stream,
      {.kind = NcclCall::Kind::kAllReduce, .type = type, .count = static_cast<int64_t>(count), .from = from, .to = to});
}

NcclResult all_gather(const void* from, void* to, std::size_t count, NcclType type, NcclHandle comm,
                      StreamHandle stream) {
  return call(
      comm, stream,
      {.kind = NcclCall::Kind::kAllGather, .type = type, .count = static_cast<int64_t>(count), .from = from, .to = to});
}

NcclResult broadcast(const void* from, void* to, std::size_t count, NcclType type, int root, NcclHandle comm,
                     StreamHandle stream) {
  return call(comm, stream,
              {.kind = NcclCall::Kind::kBroadcast,
               .type = type,
               .count = static_cast<int64_t>(count),
               .peer = root,
               .from = from,
               .to = to});
}

NcclResult send(const void* from, std::size_t count, NcclType type, int peer, NcclHandle comm, StreamHandle stream) {
  return call(
      comm, stream,
      {.kind = NcclCall::Kind::kSend, .type = type, .count = static_cast<int64_t>(count), .peer = peer, .from = from});
}

NcclResult recv(void* to, std::size_t count, NcclType type, int peer, NcclHandle comm, StreamHandle stream) {
  return call(
      comm, stream,
      {.kind = NcclCall::Kind::kRecv, .type = type, .count = static_cast<int64_t>(count), .peer = peer, .to = to});
}

NcclResult comm_register(NcclHandle /*comm*/, void* memory, std::size_t bytes, void** handle) {
  DeviceMemory::instance().check_range(memory, bytes, "NCCL registers");
  ++registered_count;
  *handle = memory;
  return NcclResult::kSuccess;
}

NcclResult comm_deregister(NcclHandle /*comm*/, void* handle) {
  DeviceMemory::instance().check_range(handle, 1, "NCCL deregisters");
  ++deregistered_count;
  return NcclResult::kSuccess;
}

constexpr NcclApi kApi = {
    .get_version = get_version,
    .get_unique_id = get_unique_id,
    .get_error_string = get_error_string,
    .get_last_error = get_last_error,
    .comm_init_rank_config = comm_init_rank_config,
    .comm_finalize = comm_finalize,
    .comm_destroy = comm_destroy,
    .comm_abort = end,
    .comm_get_async_error = comm_get_async_error,
    .group_start = group_start,
    .group_end = group_end,
    .all_reduce = all_reduce,
    .all_gather = all_gather,
    .broadcast = broadcast,
    .send = send,
    .recv = recv,
    .comm_split = comm_split,
    .comm_register = comm_register,
    .comm_deregister = comm_deregister,
};

constexpr NcclApi make_old_api() {
  NcclApi api = kApi;
  api.comm_split = nullptr;
  api.comm_register = nullptr;
  api.comm_deregister = nullptr;
  return api;
}

constexpr NcclApi kOldApi = make_old_api();

}  // namespace

NcclCounts nccl_counts() {
  return {.met = met_count.load(),
          .split = split_count.load(),
          .registered = registered_count.load(),
          .deregistered = deregistered_count.load()};
}

void show_nccl(NcclVersion version) {
  shown_version.store(version);
}

void show_nccl_here(NcclVersion version) {
  version_shown_here = version;
}

}  // namespace cuda::emulator

const NcclApi* find_nccl(std::string& /*why*/) {
  using namespace cuda::emulator;  // NOLINT(google-build-using-namespace)
  return version_shown_here.value_or(shown_version.load()) == NcclVersion::kNow ? &kApi : &kOldApi;
}

}  // namespace longship
