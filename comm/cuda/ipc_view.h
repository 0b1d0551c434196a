#pragma once

#include <cstddef>
#include <cstdint>

#include "comm/cuda/tree_program.h"

namespace longship {

/// How long a kernel waits for another rank. A wait in vain ends the others of its rank at once: the host ends the job.
struct IpcPatience {
  uint64_t deadline_ns = 0;
  uint32_t* broken = nullptr;   ///< Of this rank's device: whether a wait was in vain.
  uint32_t* failure = nullptr;  ///< Pinned; see IpcFailure.
};

/// One rank's view of the memory by which the ranks of a group on one host meet, as kernels take it. Every rank has a
/// region in the memory of its device, into which all others write: of each block of each rank a flag and two slots.
///
/// Block b of a kernel meets block b of the same kernel on the other ranks in numbered rounds: it writes into its slots
/// at the others, sets its flag there to the number of the round, waits for their flags and reads its own slots. The
/// two slots take turns: who has seen everybody's flag of round n knows that all have read what round n - 1 brought,
/// and may write into the slot of round n + 1.
struct IpcView {
  static constexpr int kMostRanks = TreeProgram::kMostRanks;
  static constexpr int kBlocks = 16;
  static constexpr int kSlotFloats = 16384;
  static constexpr int kFlagStride = 8;  ///< Words from flag to flag, so that two are not in one sector.

  static constexpr std::size_t kFlagWords = std::size_t{kMostRanks} * kBlocks * kFlagStride;
  /// Words behind the flags that only the owner uses: the latest round of each block, and whether a wait was in vain.
  static constexpr std::size_t kOwnWords = kBlocks + 16;
  static constexpr std::size_t kBrokenWord = kFlagWords + kBlocks;  ///< Where the latter is.
  static constexpr std::size_t kHeaderBytes = (kFlagWords + kOwnWords) * sizeof(uint32_t);
  static constexpr std::size_t region_bytes(int ranks) {
    return kHeaderBytes + static_cast<std::size_t>(ranks) * kBlocks * 2 * kSlotFloats * sizeof(float);
  }

  int32_t rank = 0;
  int32_t ranks = 0;
  IpcPatience patience;
  std::byte* regions[kMostRanks] = {};
};

/// What a kernel reports of a wait in vain: the operation and the rank that did not come. Zero is none.
struct IpcFailure {
  enum Operation : uint8_t { kTreeReduce = 1, kAllReduce = 2, kAllGather = 3, kSend = 4, kRecv = 5 };

  /// A code is the operation times 256 plus the peer.
  static constexpr Operation operation(uint32_t code) { return static_cast<Operation>(code >> 8); }
  static constexpr int peer(uint32_t code) { return static_cast<int>(code & 0xFF); }
};

}  // namespace longship
