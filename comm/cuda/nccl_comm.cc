#include "comm/cuda/nccl_comm.h"

#include <exception>
#include <utility>

#include "core/backoff.h"
#include "core/error.h"
#include "cuda/graph_keeper.h"

namespace longship {

namespace {

constexpr const char* kMeeting = "meeting over NCCL";
constexpr const char* kRemedy =
    "Check that every rank still runs and that the devices can reach each other; NCCL_DEBUG=WARN makes NCCL say more.";

Error failure(std::string_view operation, const std::string& reason) {
  return Error(ErrorKind::kRank, std::string(operation) + ": " + reason, kRemedy);
}

}  // namespace

NcclUniqueId new_nccl_id(const NcclApi& api) {
  NcclUniqueId id;
  if (const NcclResult result = api.get_unique_id(&id); result != NcclResult::kSuccess) {
    throw failure(kMeeting, std::string("NCCL gave no id: ") + api.get_error_string(result));
  }
  return id;
}

NcclComm::NcclComm(const NcclApi& api, const NcclUniqueId& id, int rank, int size, std::chrono::milliseconds deadline)
    : api_(api), deadline_(deadline) {
  NcclConfig config;
  config.blocking = 0;
  call(kMeeting, [&] { return api_.comm_init_rank_config(&handle_, size, id, rank, &config); });
}

std::unique_ptr<NcclComm> NcclComm::split(int color, int key) {
  NcclConfig config;
  config.blocking = 0;
  child_ = nullptr;
  call(kMeeting, [&] {
    const NcclResult result = api_.comm_split(handle_, color, key, &child_, &config);
    // NCCL says success while it goes on (2.18 to 2.28): only the state of the communicator tells.
    return result == NcclResult::kSuccess ? NcclResult::kInProgress : result;
  });
  if (color == NcclApi::kNoColor) {
    return nullptr;
  }
  if (child_ == nullptr) {
    fail(kMeeting, "NCCL gave no communicator");
  }
  std::unique_ptr<NcclComm> made(new NcclComm(api_, std::exchange(child_, nullptr), deadline_));
  made->call(kMeeting, [] { return NcclResult::kInProgress; });  // until it is none
  return made;
}

// Ending in order waits for the other ranks, so a rank that ends for an error ends without.
NcclComm::~NcclComm() {
  if (handle_ == nullptr) {
    return;
  }
  if (std::uncaught_exceptions() != 0) {
    abort();
    return;
  }
  try {
    cuda::release_graphs();
    call("leaving NCCL", [&] { return api_.comm_finalize(handle_); });
    api_.comm_destroy(handle_);
  } catch (const std::exception&) {
    // call() has aborted it, which is an end too.
  }
}

void NcclComm::call(std::string_view operation, const std::function<NcclResult()>& function) {
  if (given_up_) {
    throw failure(operation, "NCCL was given up before");
  }
  NcclResult result = function();
  if (result == NcclResult::kInProgress) {
    result = wait_while_in_progress(operation);
  }
  if (result != NcclResult::kSuccess) {
    fail(operation, explain(result));
  }
}

NcclResult NcclComm::wait_while_in_progress(std::string_view operation) {
  Backoff backoff;
  for (;;) {
    NcclResult state = NcclResult::kSuccess;
    const NcclResult result = api_.comm_get_async_error(handle_, &state);
    if (result != NcclResult::kSuccess || state != NcclResult::kInProgress) {
      return result != NcclResult::kSuccess ? result : state;
    }
    if (backoff.pause() > deadline_) {
      fail(operation, "NCCL was not ready after " + std::to_string(deadline_.count()) + " ms");
    }
  }
}

void NcclComm::check(std::string_view operation) {
  if (given_up_) {
    throw failure(operation, "NCCL was given up before");
  }
  NcclResult state = NcclResult::kSuccess;
  const NcclResult result = api_.comm_get_async_error(handle_, &state);
  if (result != NcclResult::kSuccess) {
    fail(operation, explain(result));
  }
  if (state != NcclResult::kSuccess && state != NcclResult::kInProgress) {
    fail(operation, explain(state));
  }
}

void NcclComm::fail(std::string_view operation, const std::string& reason) {
  abort();
  throw failure(operation, reason);
}

std::string NcclComm::explain(NcclResult result) const {
  std::string text = std::string("NCCL failed: ") + api_.get_error_string(result);
  const char* detail = api_.get_last_error(handle_);
  if (detail != nullptr && *detail != '\0') {
    text.append(" (").append(detail).append(")");
  }
  return text;
}

void NcclComm::abort() {
  given_up_ = true;
  cuda::release_graphs();
  if (NcclHandle handle = std::exchange(handle_, nullptr); handle != nullptr) {
    api_.comm_abort(handle);
  }
}

}  // namespace longship
