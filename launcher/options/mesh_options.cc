#include "launcher/options/mesh_options.h"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <string>

#include "core/error.h"

namespace longship {

namespace {

constexpr int kMostRanks = 1 << 16;

void check_size(const char* name, const std::optional<int>& size) {
  if (size && (*size < 1 || *size > kMostRanks)) {
    throw Error(ErrorKind::kUsage, std::string(name) + " " + std::to_string(*size) + " is not a number of ranks",
                std::string("Give ") + name + " a number from 1 to " + std::to_string(kMostRanks) + ".");
  }
}

void check_sizes(const MeshRequest& request) {
  check_size("-tp", request.tp);
  check_size("-pp", request.pp);
}

std::string count(int ranks) {
  return std::to_string(ranks) + (ranks == 1 ? " rank" : " ranks");
}

int other_extent(const char* name, int extent, int ranks) {
  if (ranks % extent != 0) {
    throw Error(ErrorKind::kUsage,
                std::string(name) + " " + std::to_string(extent) + " does not divide the " + count(ranks) +
                    " that the launcher started",
                "Start a multiple of " + std::to_string(extent) + " ranks, or choose another " + name + ".");
  }
  return ranks / extent;
}

MeshShape mesh_of_hosts(std::span<const int> ranks_per_host) {
  const auto [least, most] = std::minmax_element(ranks_per_host.begin(), ranks_per_host.end());
  if (*least != *most) {
    throw Error(ErrorKind::kUsage,
                "the hosts have unequal numbers of ranks (" + std::to_string(*least) + " to " + std::to_string(*most) +
                    "), so the mesh cannot be guessed",
                "Say both -tp and -pp.");
  }
  return {.tp = *most, .pp = static_cast<int>(ranks_per_host.size())};
}

}  // namespace

MeshShape resolve_mesh(const MeshRequest& request, std::span<const int> ranks_per_host) {
  check_sizes(request);
  const int ranks = std::accumulate(ranks_per_host.begin(), ranks_per_host.end(), 0);
  if (!request.tp && !request.pp) {
    return mesh_of_hosts(ranks_per_host);
  }
  if (!request.tp) {
    return {.tp = other_extent("-pp", *request.pp, ranks), .pp = *request.pp};
  }
  if (!request.pp) {
    return {.tp = *request.tp, .pp = other_extent("-tp", *request.tp, ranks)};
  }
  const int64_t needed = int64_t{*request.tp} * *request.pp;
  if (needed != ranks) {
    throw Error(
        ErrorKind::kUsage,
        "-tp " + std::to_string(*request.tp) + " -pp " + std::to_string(*request.pp) + " needs " +
            std::to_string(needed) + " ranks, but the launcher started " + std::to_string(ranks),
        "Start " + std::to_string(needed) + " ranks, or choose sizes whose product is " + std::to_string(ranks) + ".");
  }
  return {.tp = *request.tp, .pp = *request.pp};
}

MeshShape resolve_mesh_alone(const MeshRequest& request) {
  check_sizes(request);
  const MeshShape shape{.tp = request.tp.value_or(1), .pp = request.pp.value_or(1)};
  if (int64_t{shape.tp} * shape.pp > kMostRanks) {
    throw Error(ErrorKind::kUsage, "-tp times -pp is more than " + std::to_string(kMostRanks) + " ranks",
                "Choose smaller sizes.");
  }
  return shape;
}

}  // namespace longship
