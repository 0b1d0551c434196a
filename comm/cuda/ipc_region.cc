#include "comm/cuda/ipc_region.h"

#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <exception>
#include <new>

#include "comm/cuda/boot_of_host.h"
#include "cuda/api.h"
#include "cuda/memory.h"

namespace longship {

namespace {

/// What a rank tells the others of its memory.
struct Offer {
  std::array<char, 64> boot = {};  ///< Differs between hosts.
  uint64_t process = 0;            ///< Differs between processes.
  std::byte* memory = nullptr;
  cuda::IpcHandle handle;
};

uint64_t nonce_of_process() {
  static const uint64_t nonce = [] {
    uint64_t value = 0;
    return getrandom(&value, sizeof value, 0) == static_cast<ssize_t>(sizeof value) ? value
                                                                                    : static_cast<uint64_t>(getpid());
  }();
  return nonce;
}

// Every rank's `mine`, by rank.
template <class T>
std::vector<T> exchange(Communicator& host, const T& mine) {
  const auto ranks = static_cast<std::size_t>(host.size());
  T copy = mine;
  std::vector<T> all(ranks);
  const std::vector<int64_t> counts(ranks, sizeof(T));
  const Tensor part = Tensor::wrap(DType::kU8, {sizeof(T)}, &copy);
  Tensor out = Tensor::wrap(DType::kU8, {static_cast<int64_t>(sizeof(T) * ranks)}, all.data());
  Stream stream;
  host.all_gather(part, counts, out, stream);
  return all;
}

std::shared_ptr<void> allocate(std::size_t bytes, std::size_t zeros) {
  std::shared_ptr<void> memory = cuda::allocate_device(bytes);
  cuda::StreamHandle stream = nullptr;
  cuda::check(cuda::api().stream_create(&stream), "meeting over CUDA IPC");
  const cuda::Status set = cuda::api().memset_async(memory.get(), 0, zeros, stream);
  const cuda::Status done = cuda::api().stream_synchronize(stream);
  cuda::api().stream_destroy(stream);
  cuda::check(set != cuda::kSuccess ? set : done, "meeting over CUDA IPC");
  return memory;
}

}  // namespace

std::unique_ptr<IpcRegion> IpcRegion::make(Communicator& host, std::size_t bytes, std::size_t zeros, std::string& why) {
  std::shared_ptr<void> memory;
  try {
    memory = allocate(bytes, zeros);
  } catch (const std::bad_alloc&) {
    why = "the device has no memory left for CUDA IPC";
  }
  std::unique_ptr<IpcRegion> region(new IpcRegion(host, std::move(memory)));
  // Every rank takes part to the end, whatever it has met, so that all come to the same decision.
  const std::string failure = region->open_all();
  why = why.empty() ? failure : why;
  const std::vector<uint8_t> able = exchange(host, static_cast<uint8_t>(why.empty()));
  const auto unable = std::ranges::find(able, uint8_t{0});
  if (unable == able.end()) {
    return region;
  }
  if (why.empty()) {
    why = "rank " + std::to_string(unable - able.begin()) + " of the group cannot see the memory of all others";
  }
  return nullptr;
}

IpcRegion::IpcRegion(Communicator& host, std::shared_ptr<void> memory)
    : host_(host),
      memory_(std::move(memory)),
      seen_(static_cast<std::size_t>(host.size())),
      near_(static_cast<std::size_t>(host.size())) {}

std::string IpcRegion::open_all() {
  Offer mine{.boot = boot_of_host(),
             .process = nonce_of_process(),
             .memory = static_cast<std::byte*>(memory_.get()),
             .handle = {}};
  if (memory_ != nullptr && cuda::api().ipc_get_handle(&mine.handle, memory_.get()) != cuda::kSuccess) {
    cuda::api().last_error();
    mine.memory = nullptr;
  }
  const std::vector<Offer> offers = exchange(host_, mine);
  for (std::size_t rank = 0; rank < offers.size(); ++rank) {
    const Offer& offer = offers[rank];
    const std::string peer = "rank " + std::to_string(rank) + " of the group";
    if (offer.memory == nullptr) {
      return peer + " has no memory for CUDA IPC";
    }
    if (offer.boot != mine.boot) {
      return peer + " is on another host";
    }
    if (offer.process == mine.process) {
      seen_[rank] = offer.memory;
      near_[rank] = true;
      continue;
    }
    void* opened = nullptr;
    const cuda::Status status = cuda::api().ipc_open_handle(&opened, &offer.handle);
    if (status != cuda::kSuccess) {
      cuda::api().last_error();
      return "the memory of " + peer + " cannot be opened: " + cuda::api().error_string(status);
    }
    opened_.push_back(static_cast<std::byte*>(opened));
    seen_[rank] = opened_.back();
  }
  return {};
}

void IpcRegion::close_all() {
  for (std::byte* memory : opened_) {
    cuda::api().ipc_close_handle(memory);
  }
  opened_.clear();
}

IpcRegion::~IpcRegion() {
  close_all();
  if (std::uncaught_exceptions() != 0) {
    return;
  }
  try {
    exchange(host_, uint8_t{0});
  } catch (const std::exception&) {
    // A rank is gone, and with it its view of this memory.
  }
}

}  // namespace longship
