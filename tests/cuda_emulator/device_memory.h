#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cuda/api.h"

namespace longship::cuda::emulator {

/// The memory of the emulated device: one for the process. Every allocation ends at a guard page and is filled with
/// 0xFF; addresses are not used again. Only threads that hold an Access may touch it. Thread-safe.
class DeviceMemory {
 public:
  static DeviceMemory& instance();

  /// Opens the memory for this host thread, as long as work of the device runs.
  class Access {
   public:
    Access() { instance().open(); }
    ~Access() { instance().close(); }
    Access(const Access&) = delete;
    Access& operator=(const Access&) = delete;
  };

  Status allocate(void** memory, std::size_t bytes);
  Status release(void* memory);
  std::size_t total_bytes() const { return limit_; }
  std::size_t free_bytes();

  Status export_handle(IpcHandle& handle, void* memory);
  Status import_handle(void** memory, const IpcHandle& handle);
  Status close_imported(void* memory);

  /// Whether an address lies in the device's address space, be it allocated or not.
  bool covers(const void* address);
  /// Fails unless all bytes lie in one allocation.
  void check_range(const void* memory, std::size_t bytes, const char* what);
  /// "byte 12 of an allocation of 40 bytes" and the like.
  std::string describe(const void* address);
  /// What an access that faulted did wrong; nothing if the address is none of ours.
  std::optional<std::string> explain_fault(const void* address);

 private:
  struct Arena {
    std::byte* base = nullptr;
    std::size_t reserved = 0;
    std::size_t used = 0;
    int live = 0;
  };
  struct Allocation {
    std::size_t bytes = 0;
    std::byte* pages = nullptr;
    std::size_t page_bytes = 0;
    bool freed = false;
    bool imported = false;
    int shared_file = -1;  ///< Once exported.
  };
  struct WireHandle;

  DeviceMemory();

  void open();
  void close();
  void protect_all(int protection);
  int protection() const;
  std::byte* place(std::size_t page_bytes);
  Arena& arena_of(const void* address);
  void fill_with_poison(const Allocation& allocation);
  void check_margins(const std::byte* begin, const Allocation& allocation);
  void unmap(std::byte* begin, Allocation& allocation);
  void share(const Allocation& allocation, int file);
  std::string describe_locked(const void* address);
  bool covers_locked(const void* address) const;
  Allocation* find_live(void* memory);

  std::mutex mutex_;
  std::size_t limit_;
  std::size_t taken_ = 0;
  int open_ = 0;  ///< Threads that hold an Access.
  int guard_file_;
  int poison_file_;
  std::vector<Arena> arenas_;
  std::map<std::byte*, Allocation> allocations_;
};

/// Lets faults of this thread be explained before they end the process.
void watch_faults();

}  // namespace longship::cuda::emulator
