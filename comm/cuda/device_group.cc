#include "comm/cuda/device_group.h"

#include <algorithm>
#include <array>
#include <compare>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "comm/cuda/boot_of_host.h"
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

using MeetOverNccl = std::function<std::unique_ptr<NcclComm>(const NcclApi& api)>;

// Null on every rank, and `staged` as it was, if NCCL fails on one: it is not there, or two ranks share a device.
std::unique_ptr<Communicator> try_nccl(std::unique_ptr<Communicator>& staged, const MeetOverNccl& meet,
                                       const GroupTraffic& most, std::string& why) {
  const NcclApi* api = find_nccl(why);
  if (!all_agree(staged->host(), api != nullptr)) {
    why = why.empty() ? "another rank of the group has no NCCL" : why;
    return nullptr;
  }
  std::unique_ptr<NcclComms> comms;
  try {
    comms = std::make_unique<NcclComms>(meet(*api), staged->host(), most);
  } catch (const Error& error) {
    why = error.cause();
  }
  if (!all_agree(staged->host(), comms != nullptr)) {
    why = why.empty() ? "NCCL failed on another rank of the group" : why;
    return nullptr;
  }
  return make_nccl_communicator(std::move(comms), std::move(staged), most);
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

namespace {

bool may_be_ipc(DeviceWire wire) {
  return wire == DeviceWire::kAuto || wire == DeviceWire::kIpc;
}

bool may_be_nccl(DeviceWire wire) {
  return wire == DeviceWire::kAuto || wire == DeviceWire::kNccl;
}

// Over the memory of devices; null where that cannot be and need not.
std::unique_ptr<Communicator> ipc_group(DeviceWire wire, std::unique_ptr<Communicator>& staged,
                                        std::chrono::milliseconds deadline, const GroupTraffic& most) {
  std::string why;
  std::unique_ptr<Communicator> group = may_be_ipc(wire) ? make_ipc_communicator(staged, deadline, most, why) : nullptr;
  if (group == nullptr && wire == DeviceWire::kIpc) {
    throw not_possible("ipc", why);
  }
  return group;
}

std::unique_ptr<Communicator> nccl_group(DeviceWire wire, std::unique_ptr<Communicator>& staged,
                                         const MeetOverNccl& meet, const GroupTraffic& most) {
  std::string why;
  std::unique_ptr<Communicator> group = try_nccl(staged, meet, most, why);
  if (group == nullptr && wire == DeviceWire::kNccl) {
    throw not_possible("nccl", why);
  }
  return group;
}

/// What NCCL tells devices apart by: it refuses two ranks on one.
struct DevicePlace {
  std::array<char, 64> host = {};
  int32_t device = 0;

  friend auto operator<=>(const DevicePlace&, const DevicePlace&) = default;
};

DevicePlace place_of(int device) {
  DevicePlace place{.host = boot_of_host(), .device = device};
  if (const char* name = std::getenv("NCCL_HOSTID"); name != nullptr) {
    place.host = {};
    std::string_view(name).copy(place.host.data(), place.host.size() - 1);
  }
  return place;
}

class Groups final : public DeviceGroups {
 public:
  Groups(DeviceWire wire, Communicator& world, int device, std::chrono::milliseconds deadline)
      : wire_(wire), world_(world), device_(device), deadline_(deadline) {}

  std::unique_ptr<Communicator> make(std::unique_ptr<Communicator> host_group, const GroupTraffic& most) override {
    const bool alone = host_group->size() == 1;
    std::unique_ptr<Communicator> staged;
    std::unique_ptr<Communicator> group;
    if (alone) {
      group = make_device_alone(std::move(host_group));
    } else {
      staged = make_host_staged(std::move(host_group));
      group = ipc_group(wire_, staged, deadline_, most);
    }
    const bool wants_nccl = group == nullptr && may_be_nccl(wire_);
    if (all_agree(world_, !wants_nccl)) {
      return group != nullptr ? std::move(group) : std::move(staged);
    }
    std::unique_ptr<NcclComm> all = split_off(wants_nccl ? &staged->host() : nullptr);
    if (wants_nccl) {
      const auto meet = [&](const NcclApi& api) {
        return all != nullptr ? std::move(all) : meet_over_nccl(api, staged->host(), deadline_);
      };
      group = nccl_group(wire_, staged, meet, most);
    }
    return group != nullptr ? std::move(group) : std::move(staged);
  }

 private:
  // The ranks of `group`, null where this rank needs no NCCL, out of those of the world; null on every rank where that
  // cannot be.
  std::unique_ptr<NcclComm> split_off(Communicator* group) {
    meet();
    if (all_ == nullptr) {
      return nullptr;
    }
    int32_t first = world_.rank();  // of the group
    if (group != nullptr) {
      Tensor told = Tensor::wrap(DType::kI32, {1}, &first);
      Stream stream;
      group->broadcast(told, 0, stream);
    }
    std::unique_ptr<NcclComm> part;
    bool failed = false;
    try {
      part = group != nullptr ? all_->split(first, group->rank()) : all_->split(NcclApi::kNoColor, 0);
    } catch (const Error&) {
      failed = true;  // the ranks of each group then meet by themselves
    }
    if (!all_agree(world_, !failed)) {
      all_ = nullptr;
      return nullptr;
    }
    return part;
  }

  // All ranks over NCCL, the first time that this is called; null on every rank where that cannot be.
  void meet() {
    if (std::exchange(met_, true)) {
      return;
    }
    std::string why;
    const NcclApi* api = find_nccl(why);
    const bool can_split = api != nullptr && api->comm_split != nullptr;
    const bool alone = has_device_alone();  // asked together with ranks whose NCCL is another
    if (!all_agree(world_, can_split && alone)) {
      return;
    }
    try {
      all_ = meet_over_nccl(*api, world_, deadline_);
    } catch (const Error&) {
      // The ranks of each group meet by themselves, and say what is wrong.
    }
    if (!all_agree(world_, all_ != nullptr)) {
      all_ = nullptr;
    }
  }

  bool has_device_alone() {
    const auto ranks = static_cast<std::size_t>(world_.size());
    DevicePlace mine = place_of(device_);
    std::vector<DevicePlace> places(ranks);
    Tensor all = Tensor::wrap(DType::kU8, {static_cast<int64_t>(ranks * sizeof mine)}, places.data());
    Stream stream;
    world_.all_gather(Tensor::wrap(DType::kU8, {sizeof mine}, &mine),
                      std::vector<int64_t>(ranks, static_cast<int64_t>(sizeof mine)), all, stream);
    return std::ranges::count(places, mine) == 1;
  }

  DeviceWire wire_;
  Communicator& world_;
  int device_;
  std::chrono::milliseconds deadline_;
  bool met_ = false;
  std::unique_ptr<NcclComm> all_;  ///< Of the ranks of the world.
};

}  // namespace

NamedCommunicator make_device_group(DeviceWire wire, std::unique_ptr<Communicator> host,
                                    std::chrono::milliseconds deadline, const GroupTraffic& most) {
  if (host->size() == 1) {
    return {"self", make_device_alone(std::move(host))};
  }
  std::unique_ptr<Communicator> staged = make_host_staged(std::move(host));
  std::unique_ptr<Communicator> group = ipc_group(wire, staged, deadline, most);
  if (group == nullptr && may_be_nccl(wire)) {
    const auto meet = [&](const NcclApi& api) { return meet_over_nccl(api, staged->host(), deadline); };
    group = nccl_group(wire, staged, meet, most);
  }
  group = group != nullptr ? std::move(group) : std::move(staged);
  const std::string name(group->wire());
  return {name, std::move(group)};
}

int64_t device_group_bytes(DeviceWire wire, int rank, int ranks, const GroupTraffic& most) {
  if (ranks == 1) {
    return 0;
  }
  const int64_t over_ipc = may_be_ipc(wire) ? ipc_group_bytes(rank, ranks, most) : 0;
  return std::max(over_ipc, may_be_nccl(wire) ? nccl_group_bytes(rank, ranks, most) : 0);
}

std::unique_ptr<DeviceGroups> make_device_groups(DeviceWire wire, Communicator& world, int device,
                                                 std::chrono::milliseconds deadline) {
  return std::make_unique<Groups>(wire, world, device, deadline);
}

}  // namespace longship
