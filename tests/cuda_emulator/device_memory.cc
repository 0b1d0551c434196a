#include "tests/cuda_emulator/device_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "tests/cuda_emulator/emulator.h"
#include "tests/cuda_emulator/message.h"
#include "tests/cuda_emulator/status.h"

namespace longship::cuda::emulator {

namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kPoisonFileBytes = std::size_t{4} << 20;
constexpr std::size_t kArenaBytes = std::size_t{16} << 30;
constexpr std::size_t kAlignment = 16;  // of the ends of allocations: of the widest access
constexpr std::size_t kDefaultLimit = std::size_t{4} << 30;
constexpr std::size_t kFreedToRemember = 4096;

/// Depth of Access objects of this thread.
thread_local int access_depth = 0;

std::size_t round_up(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

std::size_t limit_from_environment() {
  const char* text = std::getenv("LONGSHIP_EMULATOR_MEMORY");
  if (text == nullptr) {
    return kDefaultLimit;
  }
  char* end = nullptr;
  const std::size_t number = std::strtoull(text, &end, 10);
  switch (*end) {
    case 'G':
      return number << 30;
    case 'M':
      return number << 20;
    case 'K':
      return number << 10;
    default:
      return number;
  }
}

/// A file in memory that has no name, so that nothing is left of it after the process.
int unnamed_file(std::size_t bytes) {
  const int file = ::memfd_create("longship-cuda-emulator", MFD_CLOEXEC);
  if (file < 0 || ::ftruncate(file, static_cast<off_t>(bytes)) != 0) {
    fail(format("cannot make a file of %zu bytes in memory", bytes));
  }
  return file;
}

void map_at(std::byte* at, std::size_t bytes, int protection, int flags, int file, std::size_t offset) {
  if (::mmap(at, bytes, protection, flags | MAP_FIXED, file, static_cast<off_t>(offset)) == MAP_FAILED) {
    fail(format("cannot map %zu bytes of device memory", bytes));
  }
}

}  // namespace

/// What an IpcHandle holds: a file of the exporting process.
struct DeviceMemory::WireHandle {
  int64_t process;
  int64_t file;
  uint64_t inode;
  uint64_t bytes;
  uint64_t page_bytes;
};

DeviceMemory& DeviceMemory::instance() {
  static auto* memory = new DeviceMemory;  // outlives other static objects, which may free device memory
  return *memory;
}

DeviceMemory::DeviceMemory()
    : limit_(limit_from_environment()), guard_file_(unnamed_file(0)), poison_file_(unnamed_file(kPoisonFileBytes)) {
  watch_faults();
  const std::vector<std::byte> poison(kPoisonFileBytes, std::byte{0xFF});
  if (::pwrite(poison_file_, poison.data(), poison.size(), 0) != static_cast<ssize_t>(poison.size())) {
    fail("cannot write a file in memory");
  }
}

int DeviceMemory::protection() const {
  return open_ > 0 ? PROT_READ | PROT_WRITE : PROT_NONE;
}

void DeviceMemory::protect_all(int protection) {
  for (const Arena& arena : arenas_) {
    if (arena.used != 0) {
      ::mprotect(arena.base, arena.used, protection);
    }
  }
}

void DeviceMemory::open() {
  if (access_depth++ > 0) {
    return;
  }
  watch_faults();
  const std::lock_guard lock(mutex_);
  if (open_++ == 0) {
    protect_all(PROT_READ | PROT_WRITE);
  }
}

void DeviceMemory::close() {
  if (--access_depth > 0) {
    return;
  }
  const std::lock_guard lock(mutex_);
  if (--open_ == 0) {
    protect_all(PROT_NONE);
  }
}

/// Address space for pages with a guard page behind them.
std::byte* DeviceMemory::place(std::size_t page_bytes) {
  const std::size_t needed = page_bytes + kPage;
  if (arenas_.empty() || arenas_.back().used + needed > arenas_.back().reserved) {
    Arena arena;
    arena.reserved = std::max(kArenaBytes, needed + kPage);
    // Pages behind the end of a file: an access is an error whatever the protection, so that one call opens all.
    void* base = ::mmap(nullptr, arena.reserved, PROT_NONE, MAP_SHARED | MAP_NORESERVE, guard_file_, 0);
    if (base == MAP_FAILED) {
      fail(format("cannot reserve %zu bytes of address space", arena.reserved));
    }
    arena.base = static_cast<std::byte*>(base);
    arena.used = kPage;
    arenas_.push_back(arena);
  }
  Arena& arena = arenas_.back();
  std::byte* pages = arena.base + arena.used;
  arena.used += needed;
  ++arena.live;
  if (open_ > 0) {
    ::mprotect(arena.base, arena.used, PROT_READ | PROT_WRITE);
  }
  return pages;
}

DeviceMemory::Arena& DeviceMemory::arena_of(const void* address) {
  return *std::find_if(arenas_.begin(), arenas_.end(), [&](const Arena& arena) {
    return address >= arena.base && address < arena.base + arena.reserved;
  });
}

void DeviceMemory::fill_with_poison(const Allocation& allocation) {
  for (std::size_t at = 0; at < allocation.page_bytes; at += kPoisonFileBytes) {
    map_at(allocation.pages + at, std::min(kPoisonFileBytes, allocation.page_bytes - at), protection(), MAP_PRIVATE,
           poison_file_, 0);
  }
}

Status DeviceMemory::allocate(void** memory, std::size_t bytes) {
  *memory = nullptr;
  if (bytes == 0) {
    return kSuccess;
  }
  const std::lock_guard lock(mutex_);
  if (bytes > limit_ - std::min(limit_, taken_)) {
    return kOutOfMemory;
  }
  Allocation allocation;
  allocation.bytes = bytes;
  allocation.page_bytes = round_up(bytes, kPage);
  allocation.pages = place(allocation.page_bytes);
  fill_with_poison(allocation);
  std::byte* begin = allocation.pages + allocation.page_bytes - round_up(bytes, kAlignment);
  allocations_[begin] = allocation;
  taken_ += bytes;
  *memory = begin;
  return kSuccess;
}

DeviceMemory::Allocation* DeviceMemory::find_live(void* memory) {
  const auto found = allocations_.find(static_cast<std::byte*>(memory));
  return found == allocations_.end() || found->second.freed ? nullptr : &found->second;
}

/// The bytes of the pages before and after an allocation must be what they were.
void DeviceMemory::check_margins(const std::byte* begin, const Allocation& allocation) {
  const std::byte* end = allocation.pages + allocation.page_bytes;
  ::mprotect(allocation.pages, allocation.page_bytes, PROT_READ | PROT_WRITE);
  const auto check = [&](const std::byte* from, const std::byte* to, const char* side) {
    if (std::any_of(from, to, [](std::byte b) { return b != std::byte{0xFF}; })) {
      fail(format("memory was written %s an allocation of %zu bytes", side, allocation.bytes));
    }
  };
  check(allocation.pages, begin, "before");
  check(begin + allocation.bytes, end, "behind");
}

void DeviceMemory::unmap(std::byte* begin, Allocation& allocation) {
  Arena& arena = arena_of(begin);
  map_at(allocation.pages, allocation.page_bytes, protection(), MAP_SHARED | MAP_NORESERVE, guard_file_,
         static_cast<std::size_t>(allocation.pages - arena.base));
  if (allocation.shared_file >= 0) {
    ::close(allocation.shared_file);
  }
  allocation.freed = true;
  if (--arena.live == 0 && &arena != &arenas_.back()) {
    ::munmap(arena.base, arena.reserved);
    std::byte* base = arena.base;
    std::byte* end = base + arena.reserved;
    std::erase_if(allocations_, [&](const auto& entry) { return entry.first >= base && entry.first < end; });
    std::erase_if(arenas_, [&](const Arena& other) { return other.base == base; });
  }
  if (allocations_.size() > 2 * kFreedToRemember) {
    std::erase_if(allocations_, [](const auto& entry) { return entry.second.freed; });
  }
}

Status DeviceMemory::release(void* memory) {
  if (memory == nullptr) {
    return kSuccess;
  }
  const std::lock_guard lock(mutex_);
  Allocation* allocation = find_live(memory);
  if (allocation == nullptr || allocation->imported) {
    fail(format("frees %p, %s", memory, describe_locked(memory).c_str()));
  }
  check_margins(static_cast<std::byte*>(memory), *allocation);
  taken_ -= allocation->bytes;
  unmap(static_cast<std::byte*>(memory), *allocation);
  return kSuccess;
}

std::size_t DeviceMemory::free_bytes() {
  const std::lock_guard lock(mutex_);
  return limit_ - std::min(limit_, taken_);
}

void DeviceMemory::share(const Allocation& allocation, int file) {
  map_at(allocation.pages, allocation.page_bytes, protection(), MAP_SHARED, file, 0);
}

Status DeviceMemory::export_handle(IpcHandle& handle, void* memory) {
  const std::lock_guard lock(mutex_);
  Allocation* allocation = find_live(memory);
  if (allocation == nullptr || allocation->imported) {
    return kInvalidValue;
  }
  if (allocation->shared_file < 0) {
    allocation->shared_file = unnamed_file(allocation->page_bytes);
    ::mprotect(allocation->pages, allocation->page_bytes, PROT_READ | PROT_WRITE);
    for (std::size_t at = 0; at < allocation->page_bytes;) {
      const ssize_t written = ::pwrite(allocation->shared_file, allocation->pages + at, allocation->page_bytes - at,
                                       static_cast<off_t>(at));
      if (written <= 0) {
        fail("cannot write a file in memory");
      }
      at += static_cast<std::size_t>(written);
    }
    share(*allocation, allocation->shared_file);
  }
  struct stat status = {};
  ::fstat(allocation->shared_file, &status);
  const WireHandle wire{::getpid(), allocation->shared_file, status.st_ino, allocation->bytes, allocation->page_bytes};
  static_assert(sizeof(wire) <= sizeof(handle.bytes));
  std::memcpy(handle.bytes.data(), &wire, sizeof(wire));
  return kSuccess;
}

Status DeviceMemory::import_handle(void** memory, const IpcHandle& handle) {
  WireHandle wire = {};
  std::memcpy(&wire, handle.bytes.data(), sizeof(wire));
  if (wire.process == ::getpid()) {
    return kInvalidContext;  // a process has the address already
  }
  const std::string path = format("/proc/%ld/fd/%ld", wire.process, wire.file);
  const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  struct stat status = {};
  if (file < 0 || ::fstat(file, &status) != 0 || status.st_ino != wire.inode || wire.bytes == 0 ||
      wire.bytes > wire.page_bytes || static_cast<uint64_t>(status.st_size) != wire.page_bytes) {
    if (file >= 0) {
      ::close(file);
    }
    return kInvalidHandle;
  }
  const std::lock_guard lock(mutex_);
  Allocation allocation;
  allocation.bytes = wire.bytes;
  allocation.page_bytes = wire.page_bytes;
  allocation.imported = true;
  allocation.pages = place(allocation.page_bytes);
  share(allocation, file);
  ::close(file);
  std::byte* begin = allocation.pages + allocation.page_bytes - round_up(allocation.bytes, kAlignment);
  allocations_[begin] = allocation;
  *memory = begin;
  return kSuccess;
}

Status DeviceMemory::close_imported(void* memory) {
  const std::lock_guard lock(mutex_);
  Allocation* allocation = find_live(memory);
  if (allocation == nullptr || !allocation->imported) {
    return kInvalidValue;
  }
  unmap(static_cast<std::byte*>(memory), *allocation);
  return kSuccess;
}

bool DeviceMemory::covers_locked(const void* address) const {
  return std::any_of(arenas_.begin(), arenas_.end(), [&](const Arena& arena) {
    return address >= arena.base && address < arena.base + arena.reserved;
  });
}

bool DeviceMemory::covers(const void* address) {
  const std::lock_guard lock(mutex_);
  return covers_locked(address);
}

void DeviceMemory::check_range(const void* memory, std::size_t bytes, const char* what) {
  const std::lock_guard lock(mutex_);
  auto* address = static_cast<std::byte*>(const_cast<void*>(memory));
  auto next = allocations_.upper_bound(address);
  if (next != allocations_.begin()) {
    const auto& [begin, allocation] = *std::prev(next);
    if (!allocation.freed && address + bytes <= begin + allocation.bytes) {
      return;
    }
  }
  fail(format("%s %zu bytes at %p, %s", what, bytes, memory, describe_locked(memory).c_str()));
}

std::string DeviceMemory::describe_locked(const void* address) {
  if (!covers_locked(address) || allocations_.empty()) {
    return "which is not device memory";
  }
  auto* byte = static_cast<std::byte*>(const_cast<void*>(address));
  const auto next = allocations_.upper_bound(byte);
  if (next == allocations_.begin()) {
    return format("%zu bytes before the first allocation", static_cast<std::size_t>(next->first - byte));
  }
  const auto& [begin, allocation] = *std::prev(next);
  const auto offset = static_cast<std::size_t>(byte - begin);
  const char* freed = allocation.freed ? ", which was freed" : "";
  if (offset < round_up(allocation.bytes, kAlignment)) {
    return format("byte %zu of an allocation of %zu bytes%s", offset, allocation.bytes, freed);
  }
  const std::size_t behind = offset - allocation.bytes;
  if (next != allocations_.end() && static_cast<std::size_t>(next->first - byte) < behind) {
    return format("%zu bytes before an allocation of %zu bytes", static_cast<std::size_t>(next->first - byte),
                  next->second.bytes);
  }
  return format("%zu bytes behind the end of an allocation of %zu bytes%s", behind, allocation.bytes, freed);
}

std::string DeviceMemory::describe(const void* address) {
  const std::lock_guard lock(mutex_);
  return describe_locked(address);
}

std::optional<std::string> DeviceMemory::explain_fault(const void* address) {
  const std::lock_guard lock(mutex_);
  if (!covers_locked(address)) {
    return std::nullopt;
  }
  return format("%s device memory at %p, %s", access_depth > 0 ? "touches" : "the host touches", address,
                describe_locked(address).c_str());
}

}  // namespace longship::cuda::emulator
