#include "comm/shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <utility>

namespace longship {

namespace {

std::byte* map(int descriptor, int64_t bytes) {
  void* base = mmap(nullptr, static_cast<std::size_t>(bytes), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  return base == MAP_FAILED ? nullptr : static_cast<std::byte*>(base);
}

bool is_memory_of(int descriptor, int64_t bytes) {
  struct stat status = {};
  return fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) && status.st_size == bytes;
}

}  // namespace

std::optional<SharedMemory> SharedMemory::create(int64_t bytes) {
  Key key{.process = getpid(), .bytes = bytes + kHeaderBytes};
  if (getrandom(&key.nonce, sizeof key.nonce, 0) != static_cast<ssize_t>(sizeof key.nonce)) {
    return std::nullopt;
  }
  const int descriptor = memfd_create("longship", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (descriptor < 0) {
    return std::nullopt;
  }
  // Sealed, so that no process can pull the pages away under the others.
  std::byte* base = nullptr;
  if (ftruncate(descriptor, key.bytes) == 0 && fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0) {
    base = map(descriptor, key.bytes);
  }
  if (base == nullptr) {
    close(descriptor);
    return std::nullopt;
  }
  key.descriptor = descriptor;
  std::memcpy(base, &key.nonce, sizeof key.nonce);
  return SharedMemory(base, key);
}

std::optional<SharedMemory> SharedMemory::open(const Key& key) {
  const std::string path = "/proc/" + std::to_string(key.process) + "/fd/" + std::to_string(key.descriptor);
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) {
    return std::nullopt;
  }
  std::byte* base = is_memory_of(descriptor, key.bytes) ? map(descriptor, key.bytes) : nullptr;
  close(descriptor);
  if (base == nullptr) {
    return std::nullopt;
  }
  Key mapped = key;
  mapped.descriptor = -1;
  SharedMemory memory(base, mapped);
  if (std::memcmp(base, &key.nonce, sizeof key.nonce) != 0) {
    return std::nullopt;
  }
  return memory;
}

SharedMemory::SharedMemory(SharedMemory&& other) noexcept
    : base_(std::exchange(other.base_, nullptr)), key_(std::exchange(other.key_, {})) {}

SharedMemory& SharedMemory::operator=(SharedMemory&& other) noexcept {
  std::swap(base_, other.base_);
  std::swap(key_, other.key_);
  return *this;
}

SharedMemory::~SharedMemory() {
  if (base_ != nullptr) {
    lock();
    munmap(base_, static_cast<std::size_t>(key_.bytes));
  }
}

void SharedMemory::lock() {
  if (key_.descriptor >= 0) {
    close(static_cast<int>(key_.descriptor));
    key_.descriptor = -1;
  }
}

}  // namespace longship
