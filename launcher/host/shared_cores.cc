#include "launcher/host/shared_cores.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <vector>

#include "core/stream.h"
#include "core/tensor.h"
#include "launcher/host/host_cores.h"
#include "launcher/host/host_name.h"

namespace longship {

namespace {

constexpr int kCoresPerWord = 16;  // an f32 holds such a number exactly
constexpr int kWords = CPU_SETSIZE / kCoresPerWord;

cpu_set_t own_cores() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  sched_getaffinity(0, sizeof(cores), &cores);
  return cores;
}

void write_words(const cpu_set_t& cores, float* words) {
  for (int word = 0; word < kWords; ++word) {
    int bits = 0;
    for (int bit = 0; bit < kCoresPerWord; ++bit) {
      bits |= CPU_ISSET(word * kCoresPerWord + bit, &cores) ? 1 << bit : 0;
    }
    words[word] = static_cast<float>(bits);
  }
}

cpu_set_t read_words(const float* words) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    const int bits = static_cast<int>(words[core / kCoresPerWord]);
    if ((bits >> core % kCoresPerWord & 1) != 0) CPU_SET(core, &cores);
  }
  return cores;
}

std::vector<cpu_set_t> cores_of_host(Transport& transport) {
  const std::unique_ptr<Communicator> host = transport.split(host_number(), transport.rank());
  Tensor mine = Tensor::allocate(DType::kF32, {kWords});
  write_words(own_cores(), mine.data<float>());
  Tensor all = Tensor::allocate(DType::kF32, {int64_t{kWords} * host->size()});
  const std::vector<int64_t> counts(static_cast<std::size_t>(host->size()), kWords);
  Stream stream;
  host->all_gather(mine, counts, all, stream);
  std::vector<cpu_set_t> cores;
  for (int rank = 0; rank < host->size(); ++rank) {
    cores.push_back(read_words(all.data<float>() + std::ptrdiff_t{kWords} * rank));
  }
  return cores;
}

}  // namespace

double share_of_cores(const cpu_set_t& mine, std::span<const cpu_set_t> of_host) {
  double share = 0;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    const auto users = std::count_if(of_host.begin(), of_host.end(),
                                     [core](const cpu_set_t& cores) { return CPU_ISSET(core, &cores); });
    if (CPU_ISSET(core, &mine) && users > 0) share += 1.0 / static_cast<double>(users);
  }
  return share;
}

int threads_of_rank(Transport& transport) {
  constexpr double kRounding = 1e-6;
  const std::vector<cpu_set_t> of_host = cores_of_host(transport);
  double share = share_of_cores(own_cores(), of_host);
  if (const std::optional<double> quota = cgroup_cpu_quota()) {
    share = std::min(share, std::ceil(*quota) / static_cast<double>(of_host.size()));
  }
  return std::max(1, static_cast<int>(share + kRounding));
}

}  // namespace longship
