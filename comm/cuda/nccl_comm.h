#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "comm/cuda/nccl_api.h"

namespace longship {

/// A communicator of NCCL that never blocks: every wait is a look at its state, with a deadline. Once a call has failed
/// or a wait was in vain it is aborted, which ends the kernels that wait for other ranks, and the error is thrown:
/// kRank, naming the operation. Used by the thread that drives the rank.
class NcclComm {
 public:
  /// All ranks of the new group together; `id` was made by one of them.
  NcclComm(const NcclApi& api, const NcclUniqueId& id, int rank, int size, std::chrono::milliseconds deadline);
  /// All ranks of this one together: those of one color meet in a new one, in the order of their keys. Null for
  /// NcclApi::kNoColor. Only where the library can split.
  std::unique_ptr<NcclComm> split(int color, int key);
  ~NcclComm();
  NcclComm(const NcclComm&) = delete;
  NcclComm& operator=(const NcclComm&) = delete;

  const NcclApi& api() const { return api_; }
  NcclHandle handle() const { return handle_; }
  std::chrono::milliseconds deadline() const { return deadline_; }

  /// Calls a function of NCCL for `operation` and waits until it is under way: its end is the stream's.
  void call(std::string_view operation, const std::function<NcclResult()>& function);
  /// Throws if NCCL has met an error since the last call, of which `operation` is the oldest not known to have ended.
  void check(std::string_view operation);
  /// Gives up: aborts the communicator and throws.
  [[noreturn]] void fail(std::string_view operation, const std::string& reason);
  /// Ends what waits for other ranks. Nothing can be called any more.
  void abort();

 private:
  NcclComm(const NcclApi& api, NcclHandle handle, std::chrono::milliseconds deadline)
      : api_(api), deadline_(deadline), handle_(handle) {}

  NcclResult wait_while_in_progress(std::string_view operation);
  std::string explain(NcclResult result) const;

  const NcclApi& api_;
  std::chrono::milliseconds deadline_;
  NcclHandle handle_ = nullptr;
  NcclHandle child_ = nullptr;  ///< Which a split that was given up may still set, until the abort is done.
  bool given_up_ = false;
};

/// An id at which the ranks of a new group meet. Errors: kRank.
NcclUniqueId new_nccl_id(const NcclApi& api);

}  // namespace longship
