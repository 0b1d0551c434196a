#include "comm/cuda/device_group.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "comm/cuda/device_alone.h"
#include "comm/cuda/host_staged.h"
#include "comm/cuda/ipc_communicator.h"
#include "comm/cuda/nccl_communicator.h"

namespace longship {

namespace {

// Whether all ranks say so.
bool all_agree(Communicator& host, bool mine) {
  const auto ranks = static_cast<std::size_t>(host.size());
  auto word = static_cast<uint8_t>(mine);
  std::vector<uint8_t> words(ranks);
  Tensor all = Tensor::wrap(DType::kU8, {static_cast<int64_t>(ranks)}, words.data());
  Stream stream;
  host.all_gather(Tensor::wrap(DType::kU8, {1}, &word), std::vector<int64_t>(ranks, 1), all, stream);
  return std::ranges::find(words, uint8_t{0}) == words.end();
}

// Null on every rank, and `staged` as it was, if NCCL fails on one: it is not there, or two ranks share a device.
std::unique_ptr<Communicator> try_nccl(std::unique_ptr<Communicator>& staged, std::chrono::milliseconds deadline,
                                       std::string& why) {
  const NcclApi* api = find_nccl(why);
  if (!all_agree(staged->host(), api != nullptr)) {
    why = why.empty() ? "another rank of the group has no NCCL" : why;
    return nullptr;
  }
  std::unique_ptr<NcclComms> comms;
  try {
    comms = std::make_unique<NcclComms>(*api, staged->host(), deadline);
  } catch (const Error& error) {
    why = error.cause();
  }
  if (!all_agree(staged->host(), comms != nullptr)) {
    why = why.empty() ? "NCCL failed on another rank of the group" : why;
    return nullptr;
  }
  return make_nccl_communicator(std::move(comms), std::move(staged));
}

Error not_possible(const char* wire, const std::string& why) {
  return Error(ErrorKind::kRank, std::string("ranks cannot use --comm ") + wire + ": " + why, "Use --comm auto.");
}

}  // namespace

DeviceWire device_wire_of(std::string_view name) {
  if (name == "auto") return DeviceWire::kAuto;
  if (name == "ipc") return DeviceWire::kIpc;
  if (name == "nccl") return DeviceWire::kNccl;
  if (name == "host") return DeviceWire::kHost;
  throw Error(ErrorKind::kUsage, "there is no way between devices named \"" + std::string(name) + "\"",
              "Use --comm auto, ipc, nccl or host.");
}

NamedCommunicator make_device_group(DeviceWire wire, std::unique_ptr<Communicator> host,
                                    std::chrono::milliseconds deadline) {
  if (host->size() == 1) {
    return {"self", make_device_alone(std::move(host))};
  }
  std::unique_ptr<Communicator> staged = make_host_staged(std::move(host));
  std::string why;
  if (wire == DeviceWire::kAuto || wire == DeviceWire::kIpc) {
    if (std::unique_ptr<Communicator> group = make_ipc_communicator(staged, deadline, why)) {
      return {"ipc", std::move(group)};
    }
    if (wire == DeviceWire::kIpc) {
      throw not_possible("ipc", why);
    }
    why.clear();
  }
  if (wire == DeviceWire::kAuto || wire == DeviceWire::kNccl) {
    if (std::unique_ptr<Communicator> group = try_nccl(staged, deadline, why)) {
      return {"nccl", std::move(group)};
    }
    if (wire == DeviceWire::kNccl) {
      throw not_possible("nccl", why);
    }
  }
  return {"host", std::move(staged)};
}

}  // namespace longship
