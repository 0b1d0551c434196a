#include "comm/gather_frames.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace longship {

namespace {

constexpr int kRoot = 0;

std::vector<int64_t> bytes_of_ranks(Communicator& group, int64_t mine) {
  constexpr auto kSize = static_cast<int64_t>(sizeof(mine));
  Stream stream;
  Tensor size = Tensor::allocate(DType::kU8, {kSize});
  std::memcpy(size.data<std::byte>(), &mine, sizeof(mine));
  Tensor sizes = Tensor::allocate(DType::kU8, {kSize * group.size()});
  group.all_gather(size, std::vector<int64_t>(static_cast<std::size_t>(group.size()), kSize), sizes, stream);
  std::vector<int64_t> counts(static_cast<std::size_t>(group.size()));
  std::memcpy(counts.data(), sizes.data<std::byte>(), counts.size() * sizeof(mine));
  return counts;
}

}  // namespace

std::vector<Bytes> gather_frames(Communicator& group, const Bytes& mine) {
  const std::vector<int64_t> counts = bytes_of_ranks(group, std::ssize(mine));
  const bool root = group.rank() == kRoot;
  Tensor part = Tensor::allocate(DType::kU8, {std::ssize(mine)});
  std::ranges::copy(mine, part.data<std::byte>());
  Tensor all;
  if (root) {
    all = Tensor::allocate(DType::kU8, {std::accumulate(counts.begin(), counts.end(), int64_t{0})});
  }
  Stream stream;
  group.gather(part, counts, kRoot, all, stream);
  std::vector<Bytes> frames;
  const std::byte* at = root ? all.data<std::byte>() : nullptr;
  for (std::size_t i = 0; root && i < counts.size(); ++i) {
    frames.emplace_back(at, at + counts[i]);
    at += counts[i];
  }
  return frames;
}

}  // namespace longship
