#pragma once

namespace longship::cuda::emulator {

/// What the emulated NCCL of this process has been asked for.
struct NcclCounts {
  int met = 0;           ///< Communicators whose ranks met at an id, as each rank counts them ...
  int split = 0;         ///< ... and calls that split one, on each rank.
  int registered = 0;    ///< Pieces of memory, so far ...
  int deregistered = 0;  ///< ... and of them those that are not any more.
};
NcclCounts nccl_counts();

/// As which version it shows itself from the next find_nccl() on.
enum class NcclVersion {
  kNow,
  kOld,  ///< Before 2.18: splits nothing, registers nothing.
};
void show_nccl(NcclVersion version);
/// The same, to the calling thread alone: ranks of a job may find different libraries.
void show_nccl_here(NcclVersion version);

}  // namespace longship::cuda::emulator
