#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "tests/cuda_emulator/nccl_comm_state.h"

namespace longship::cuda::emulator {

/// A call of NCCL that moves data: what each rank must say alike, and this rank's memory.
struct NcclCall {
  enum class Kind : int32_t { kAllReduce, kAllGather, kBroadcast, kSend, kRecv };

  Kind kind = Kind::kSend;
  NcclType type = NcclType::kInt8;
  int64_t count = 0;
  int32_t peer = 0;     ///< Root of a broadcast.
  uint64_t number = 0;  ///< Of a collective among those of its communicator.
  const void* from = nullptr;
  void* to = nullptr;

  bool is_collective() const { return kind != Kind::kSend && kind != Kind::kRecv; }
  int64_t bytes() const;
};

/// The calls of a group on one communicator and stream, at the time that the stream has reached them. Before the data
/// of a call each rank sends what it calls to all that take part, so that two that differ are found.
class NcclRun {
 public:
  NcclRun(NcclOpaque& comm, const std::vector<NcclCall>& calls);

  /// Goes on with what can go on; true once all is done. Fails (emulator.h) where ranks call different things.
  bool advance();

 private:
  /// What goes before the data.
  struct Header {
    int32_t kind = 0;
    int32_t type = 0;
    int64_t count = 0;
    int32_t root = 0;
    uint64_t number = 0;
    int64_t bytes = 0;  ///< Of data that follow.
  };
  struct Incoming {
    Header expected;
    std::byte* to = nullptr;
    Header header = {};
    int64_t header_done = 0;
    int64_t done = 0;
  };

  static Header header_of(const NcclCall& call, int64_t bytes);
  static std::string describe(const Header& header);
  void send(const NcclCall& call, int to, int64_t bytes);
  void expect(const NcclCall& call, int from, int64_t bytes, std::byte* to);
  void begin_all_reduce(const NcclCall& call);
  void begin_all_gather(const NcclCall& call);
  void begin_broadcast(const NcclCall& call);
  void begin(const NcclCall& call);
  bool take(int peer);
  void compare(int peer, const Incoming& incoming) const;
  void finish();

  NcclOpaque& comm_;
  std::vector<NcclCall> calls_;
  std::vector<std::deque<Incoming>> incoming_;  ///< By sender.
  std::deque<std::vector<Bytes>> parts_;        ///< For each all_reduce every rank's values.
};

}  // namespace longship::cuda::emulator
