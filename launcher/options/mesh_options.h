#pragma once

#include <optional>
#include <span>

namespace longship {

/// What the user said about the mesh.
struct MeshRequest {
  std::optional<int> tp;
  std::optional<int> pp;
};

struct MeshShape {
  int tp = 1;
  int pp = 1;

  int ranks() const { return tp * pp; }
  friend bool operator==(const MeshShape&, const MeshShape&) = default;
};

/// The mesh of a job whose ranks a launcher started: what is missing is N divided by the other; with both missing, tp
/// is the ranks of a host and pp the hosts. Errors: kUsage where the product is not the number of ranks.
MeshShape resolve_mesh(const MeshRequest& request, std::span<const int> ranks_per_host);

/// The mesh of a job that starts its own ranks, or needs none: what is missing is 1.
MeshShape resolve_mesh_alone(const MeshRequest& request);

}  // namespace longship
