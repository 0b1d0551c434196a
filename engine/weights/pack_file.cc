#include "engine/weights/pack_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include "core/error.h"

namespace longship {

namespace fs = std::filesystem;

namespace {

// FNV-1a, 64 bits: http://www.isthe.com/chongo/tech/comp/fnv
uint64_t hash(std::string_view text) {
  uint64_t value = 0xcbf29ce484222325U;
  for (const char c : text) {
    value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  }
  return value;
}

std::string hex(uint64_t value) {
  std::string text(16, '0');
  for (std::size_t i = 0; i < 16; ++i) {
    text[15 - i] = "0123456789abcdef"[(value >> (4 * i)) & 15U];
  }
  return text;
}

[[noreturn]] void fail(const fs::path& path, const std::string& what) {
  throw Error(ErrorKind::kUsage, "the packed weights cannot be kept: " + path.native() + ": " + what,
              "Give --pack-cache-dir a folder with room, or leave --pack-cache out.");
}

std::string facts_of_file(const fs::path& path) {
  struct stat status = {};
  if (stat(path.c_str(), &status) != 0) {
    return {};
  }
  return path.native() + ' ' + std::to_string(status.st_size) + ' ' + std::to_string(status.st_mtim.tv_sec) + '.' +
         std::to_string(status.st_mtim.tv_nsec) + '\n';
}

// Closes a file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

std::byte* map(int fd, std::size_t size, int protection) {
  void* memory = mmap(nullptr, size, protection, MAP_SHARED, fd, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<std::byte*>(memory);
}

// Maps all pages at once, on some threads: a fault for each would take ten times as long. Older kernels do without.
void map_pages(std::byte* memory, std::size_t size) {
  constexpr unsigned kMostThreads = 4;
  constexpr std::size_t kGrain = std::size_t{1} << 27;
  const std::size_t most = std::clamp(std::thread::hardware_concurrency(), 1U, kMostThreads);
  const std::size_t parts = std::clamp<std::size_t>(size / kGrain, 1, most);
  const std::size_t part = (size / parts + kGrain - 1) / kGrain * kGrain;
  std::vector<std::jthread> others;
  for (std::size_t begin = part; begin < size; begin += part) {
    others.emplace_back([=] { madvise(memory + begin, std::min(part, size - begin), MADV_POPULATE_READ); });
  }
  madvise(memory, std::min(part, size), MADV_POPULATE_READ);
}

}  // namespace

std::string checkpoint_facts(const fs::path& path) {
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  if (error) {
    return {};
  }
  if (!fs::is_directory(real)) {
    return facts_of_file(real);
  }
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(real)) {
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::string facts;
  for (const fs::path& file : files) {
    facts += facts_of_file(file);
  }
  return facts;
}

fs::path PackFile::path_of(const fs::path& folder, const PackIdentity& identity) {
  return folder / (identity.name + "." + hex(hash(identity.facts)) + ".pack");
}

// Stands at the beginning of a file; what follows it is zero up to kHeaderBytes. Facts too long for it are hashed.
std::string PackFile::header(const PackIdentity& identity, int64_t bytes) {
  constexpr std::size_t kMostFacts = kHeaderBytes - 256;
  const bool fits = identity.facts.size() <= kMostFacts;
  return "longship packed weights\n" + std::to_string(bytes) + " bytes\n" + hex(hash(identity.facts)) + '\n' +
         (fits ? identity.facts : hex(hash(identity.facts + "."))) + "\nend\n";
}

std::optional<PackFile> PackFile::open(const fs::path& folder, const PackIdentity& identity, int64_t bytes) {
  const fs::path path = path_of(folder, identity);
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status = {};
  const std::size_t size = kHeaderBytes + static_cast<std::size_t>(bytes);
  if (file.get() < 0 || fstat(file.get(), &status) != 0 || static_cast<std::size_t>(status.st_size) != size) {
    return std::nullopt;
  }
  std::byte* memory = map(file.get(), size, PROT_READ);
  if (memory == nullptr) {
    return std::nullopt;
  }
  PackFile packed(path, memory, size);
  const std::string expected = header(identity, bytes);
  if (std::memcmp(memory, expected.data(), expected.size()) != 0) {
    return std::nullopt;
  }
  map_pages(memory, size);
  return packed;
}

PackFile PackFile::create(const fs::path& folder, const PackIdentity& identity, int64_t bytes) {
  std::error_code error;
  fs::create_directories(folder, error);
  const fs::path path = path_of(folder, identity);
  std::string name = path.native() + ".XXXXXX";
  const Descriptor file(mkostemp(name.data(), O_CLOEXEC));
  if (file.get() < 0) {
    fail(path, std::strerror(errno));
  }
  const std::size_t size = kHeaderBytes + static_cast<std::size_t>(bytes);
  PackFile packed(path, nullptr, size);
  packed.temporary_ = name;
  packed.stem_ = identity.name;
  // Takes the space now: a full disk would otherwise end the process with SIGBUS.
  if (const int failure = posix_fallocate(file.get(), 0, static_cast<off_t>(size)); failure != 0) {
    fail(path, std::strerror(failure));
  }
  packed.memory_ = map(file.get(), size, PROT_READ | PROT_WRITE);
  if (packed.memory_ == nullptr) {
    fail(path, std::strerror(errno));
  }
  const std::string text = header(identity, bytes);
  std::memcpy(packed.memory_, text.data(), text.size());
  return packed;
}

PackFile PackFile::open_or_create(const fs::path& folder, const PackIdentity& identity, int64_t bytes) {
  std::optional<PackFile> kept = open(folder, identity, bytes);
  return kept ? std::move(*kept) : create(folder, identity, bytes);
}

PackFile::PackFile(PackFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      stem_(std::move(other.stem_)),
      memory_(std::exchange(other.memory_, nullptr)),
      size_(other.size_) {}

PackFile::~PackFile() {
  if (memory_ != nullptr) {
    munmap(memory_, size_);
  }
  if (!temporary_.empty()) {
    unlink(temporary_.c_str());
  }
}

void PackFile::publish() {
  if (msync(memory_, size_, MS_SYNC) != 0) {
    fail(path_, std::strerror(errno));
  }
  std::error_code error;
  fs::rename(temporary_, path_, error);
  if (error) {
    fail(path_, error.message());
  }
  temporary_.clear();
  constexpr std::size_t kHashAndSuffix = 1 + 16 + 5;  // .HASH.pack
  for (const fs::directory_entry& entry : fs::directory_iterator(path_.parent_path(), error)) {
    const std::string name = entry.path().filename().native();
    if (name != path_.filename().native() && name.starts_with(stem_ + ".") && name.ends_with(".pack") &&
        name.size() == stem_.size() + kHashAndSuffix) {
      fs::remove(entry.path(), error);
    }
  }
}

}  // namespace longship
