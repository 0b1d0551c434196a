#include "launcher/recovery/kept_weights.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <string>
#include <utility>

namespace longship {

namespace {

constexpr uint64_t kSeal = 0x6c6f6e6773686970;
constexpr int64_t kHugePageBytes = int64_t{1} << 21;
// Since Linux 6.1; not in the headers of Debian 12's C library.
constexpr int kCollapse = 25;

std::atomic_ref<uint64_t> seal_of(const KeptFile& file) {
  return std::atomic_ref<uint64_t>(*reinterpret_cast<uint64_t*>(file.data()));
}

}  // namespace

std::unique_ptr<KeptWeights> KeptWeights::open(const std::filesystem::path& file, std::string_view facts,
                                               int64_t bytes) {
  const std::string identity = "weights " + std::to_string(std::hash<std::string_view>()(facts));
  std::optional<KeptFile> kept = KeptFile::open(file, identity, kSealBytes + bytes);
  return kept ? std::make_unique<KeptWeights>(std::move(*kept), bytes) : nullptr;
}

KeptWeights::KeptWeights(KeptFile file, int64_t bytes) : file_(std::move(file)), bytes_(bytes) {
  if (complete()) {
    // All pages at once: a fault for each would take ten times as long. Older kernels do without.
    madvise(file_.data(), static_cast<std::size_t>(kSealBytes + bytes_), MADV_POPULATE_READ);
    mover_ = std::jthread([this](const std::stop_token& stop) { use_huge_pages(stop); });
  }
}

bool KeptWeights::complete() const {
  return seal_of(file_).load(std::memory_order_acquire) == kSeal;
}

void KeptWeights::publish() {
  seal_of(file_).store(kSeal, std::memory_order_release);
  mover_ = std::jthread([this](const std::stop_token& stop) { use_huge_pages(stop); });
}

void KeptWeights::use_huge_pages(const std::stop_token& stop) const {
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), 19);
  const auto before = static_cast<int64_t>(-reinterpret_cast<uintptr_t>(data()) % kHugePageBytes);
  for (int64_t at = before; at + kHugePageBytes <= bytes_ && !stop.stop_requested(); at += kHugePageBytes) {
    // Where the system refuses, the rest would fare no better.
    if (madvise(data() + at, kHugePageBytes, kCollapse) != 0) return;
  }
}

}  // namespace longship
