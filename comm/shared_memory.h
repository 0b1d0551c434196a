#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace longship {

/// Memory that processes of one host map together. It has no name in any folder and is gone with the last process that
/// maps it, however that ends; it counts as memory of the processes, not against the size of /dev/shm.
class SharedMemory {
 public:
  /// How another process of this host finds it while its maker lives and holds the key.
  struct Key {
    int64_t process = 0;
    int64_t descriptor = -1;
    int64_t bytes = 0;
    uint64_t nonce = 0;  ///< Also in the memory, so that nothing else is taken for it.
  };

  /// Zeros, which take up memory once they are written. Nothing if the system has none.
  static std::optional<SharedMemory> create(int64_t bytes);
  /// Nothing if this process cannot see or map it, e.g. from another container.
  static std::optional<SharedMemory> open(const Key& key);

  SharedMemory(SharedMemory&& other) noexcept;
  SharedMemory& operator=(SharedMemory&& other) noexcept;
  ~SharedMemory();

  const Key& key() const { return key_; }
  /// From now on nobody else can open it.
  void lock();

  /// Aligned to 128 bytes.
  std::byte* data() const { return base_ + kHeaderBytes; }

 private:
  static constexpr int64_t kHeaderBytes = 128;

  SharedMemory(std::byte* base, const Key& key) : base_(base), key_(key) {}

  std::byte* base_;
  Key key_;
};

}  // namespace longship
