#include "engine/kv/kept_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <utility>

namespace longship {

namespace {

constexpr std::size_t kPageBytes = 4096;

// Makes the file so long, of zeros. A file above the process's limit would end it with a signal.
bool clear(int file, std::size_t size) {
  rlimit limit{};
  return getrlimit(RLIMIT_FSIZE, &limit) == 0 && size <= limit.rlim_cur && ftruncate(file, 0) == 0 &&
         ftruncate(file, static_cast<off_t>(size)) == 0;
}

// Address 0 of the file at a multiple of a huge page, which only then can be mapped as one.
void* map_aligned(int file, std::size_t size) {
  constexpr std::size_t kHugePageBytes = std::size_t{1} << 21U;
  void* reserved = mmap(nullptr, size + kHugePageBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) {
    return MAP_FAILED;
  }
  auto* begin = static_cast<std::byte*>(reserved);
  const std::size_t before = -reinterpret_cast<uintptr_t>(begin) % kHugePageBytes;
  void* memory = mmap(begin + before, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0);
  if (memory == MAP_FAILED) {
    munmap(reserved, size + kHugePageBytes);
    return MAP_FAILED;
  }
  if (before != 0) munmap(begin, before);
  const std::size_t used = before + (size + kPageBytes - 1) / kPageBytes * kPageBytes;
  munmap(begin + used, size + kHugePageBytes - used);
  return memory;
}

std::size_t size_of(int file) {
  struct stat status = {};
  return fstat(file, &status) == 0 ? static_cast<std::size_t>(status.st_size) : 0;
}

}  // namespace

std::optional<KeptFile> KeptFile::open(const std::filesystem::path& file, std::string_view identity, int64_t bytes) {
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
  if (descriptor < 0) {
    return std::nullopt;
  }
  const std::size_t size = kHeaderBytes + static_cast<std::size_t>(bytes);
  const bool fits = size_of(descriptor) == size || clear(descriptor, size);
  void* memory = fits ? map_aligned(descriptor, size) : MAP_FAILED;
  const std::string name = "longship kept memory\n" + std::string(identity) + "\nend\n";
  if (memory == MAP_FAILED || name.size() > kHeaderBytes) {
    close(descriptor);
    return std::nullopt;
  }
  madvise(memory, size, MADV_HUGEPAGE);  // where the system has them for files
  KeptFile kept(static_cast<std::byte*>(memory), size, std::memcmp(memory, name.data(), name.size()) == 0);
  const bool usable = kept.known_ || clear(descriptor, size);
  close(descriptor);
  if (!usable) {
    return std::nullopt;
  }
  std::memcpy(memory, name.data(), name.size());
  return kept;
}

KeptFile::KeptFile(KeptFile&& other) noexcept
    : memory_(std::exchange(other.memory_, nullptr)), size_(other.size_), known_(other.known_) {}

KeptFile& KeptFile::operator=(KeptFile&& other) noexcept {
  std::swap(memory_, other.memory_);
  std::swap(size_, other.size_);
  std::swap(known_, other.known_);
  return *this;
}

KeptFile::~KeptFile() {
  if (memory_ != nullptr) {
    munmap(memory_, size_);
  }
}

}  // namespace longship
