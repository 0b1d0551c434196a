#include "comm/group_of_one.h"

#include <cstring>

namespace longship {

namespace {

void copy(const Tensor& from, Tensor& to) {
  LONGSHIP_CHECK(from.bytes() == to.bytes(), "a group of one copies as many bytes as it is given");
  if (from.bytes() != 0 && from.data<std::byte>() != to.data<std::byte>()) {
    std::memcpy(to.data<std::byte>(), from.data<std::byte>(), static_cast<std::size_t>(from.bytes()));
  }
}

}  // namespace

void GroupOfOne::tree_reduce(const Tensor& nodes, const ReductionTree& /*tree*/, Tensor& out, Stream& /*stream*/) {
  copy(nodes, out);
}

void GroupOfOne::all_gather(const Tensor& part, std::span<const int64_t> /*counts*/, Tensor& out, Stream& /*stream*/) {
  copy(part, out);
}

void GroupOfOne::gather(const Tensor& part, std::span<const int64_t> /*counts*/, int /*root*/, Tensor& out,
                        Stream& /*stream*/) {
  copy(part, out);
}

void GroupOfOne::reduce_scatter(const Tensor& x, std::span<const int64_t> /*counts*/, Tensor& part,
                                Stream& /*stream*/) {
  copy(x, part);
}

void GroupOfOne::send(const Tensor& /*x*/, int /*to*/, Stream& /*stream*/) {
  LONGSHIP_CHECK(false, "a group of one has nobody to send to");
}

void GroupOfOne::recv(Tensor& /*x*/, int /*from*/, Stream& /*stream*/) {
  LONGSHIP_CHECK(false, "a group of one has nobody to receive from");
}

}  // namespace longship
