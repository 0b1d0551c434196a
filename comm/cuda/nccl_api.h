#pragma once

#include <climits>
#include <cstddef>
#include <string>

#include "cuda/api.h"

namespace longship {

/// Opaque handle of a communicator of NCCL.
using NcclHandle = struct NcclOpaque*;

/// ncclResult_t.
enum class NcclResult : int {
  kSuccess = 0,
  kUnhandledCudaError = 1,
  kSystemError = 2,
  kInternalError = 3,
  kInvalidArgument = 4,
  kInvalidUsage = 5,
  kRemoteError = 6,
  kInProgress = 7,
};

/// ncclDataType_t, as far as it is used.
enum class NcclType : int { kInt8 = 0, kFloat32 = 7 };

/// ncclRedOp_t, as far as it is used.
enum class NcclOp : int { kSum = 0 };

/// ncclUniqueId: where the ranks of a new group meet. Plain bytes, to be sent to every rank.
struct NcclUniqueId {
  char bytes[128] = {};
};

/// ncclConfig_t of NCCL 2.28; other versions take what they know of it, by `size` and `version`.
struct NcclConfig {
  static constexpr int kUndefined = INT_MIN;

  std::size_t size = sizeof(NcclConfig);
  unsigned magic = 0xcafebeef;
  unsigned version = 22809;
  int blocking = kUndefined;
  int cluster_size = kUndefined;
  int least_blocks = kUndefined;
  int most_blocks = kUndefined;
  const char* net_name = nullptr;
  int split_share = kUndefined;
  int traffic_class = kUndefined;
  const char* comm_name = nullptr;
  int collnet = kUndefined;
  int block_policy = kUndefined;
  int shrink_share = kUndefined;
  int nvls_blocks = kUndefined;
  int channels_per_peer = kUndefined;
  int nvlink_centric = kUndefined;
};

/// The functions of NCCL that are called here, so that another implementation can stand in. Names, arguments and
/// asynchrony are those of NCCL (its user guide, "NCCL API"). All but the last three are set.
struct NcclApi {
  NcclResult (*get_version)(int* version);
  NcclResult (*get_unique_id)(NcclUniqueId* id);
  const char* (*get_error_string)(NcclResult result);
  const char* (*get_last_error)(NcclHandle comm);

  NcclResult (*comm_init_rank_config)(NcclHandle* comm, int ranks, NcclUniqueId id, int rank, NcclConfig* config);
  NcclResult (*comm_finalize)(NcclHandle comm);
  NcclResult (*comm_destroy)(NcclHandle comm);
  NcclResult (*comm_abort)(NcclHandle comm);
  NcclResult (*comm_get_async_error)(NcclHandle comm, NcclResult* error);

  NcclResult (*group_start)();
  NcclResult (*group_end)();
  NcclResult (*all_reduce)(const void* from, void* to, std::size_t count, NcclType type, NcclOp op, NcclHandle comm,
                           cuda::StreamHandle stream);
  NcclResult (*all_gather)(const void* from, void* to, std::size_t count, NcclType type, NcclHandle comm,
                           cuda::StreamHandle stream);
  NcclResult (*broadcast)(const void* from, void* to, std::size_t count, NcclType type, int root, NcclHandle comm,
                          cuda::StreamHandle stream);
  NcclResult (*send)(const void* from, std::size_t count, NcclType type, int peer, NcclHandle comm,
                     cuda::StreamHandle stream);
  NcclResult (*recv)(void* to, std::size_t count, NcclType type, int peer, NcclHandle comm, cuda::StreamHandle stream);

  /// NCCL from 2.18 on. All ranks of `comm` call it; those of one color meet in a new communicator, in the order of
  /// their keys. `new_comm` is set, and may be used, once `comm` is no longer in progress; null for kNoColor.
  static constexpr int kNoColor = -1;
  NcclResult (*comm_split)(NcclHandle comm, int color, int key, NcclHandle* new_comm, NcclConfig* config);
  /// NCCL from 2.19 on: makes memory of this rank known, so that NCCL can skip its own buffers.
  NcclResult (*comm_register)(NcclHandle comm, void* memory, std::size_t bytes, void** handle);
  NcclResult (*comm_deregister)(NcclHandle comm, void* handle);
};

/// NCCL as this library was linked to find it; null, and why, where there is none. The library of NVIDIA is looked for
/// at LONGSHIP_NCCL_LIBRARY, where the loader looks, and where toolkits put it. Any thread.
const NcclApi* find_nccl(std::string& why);

}  // namespace longship
