#include "parallel/mesh.h"

#include "core/error.h"

namespace longship {

Mesh::Mesh(int dp, int pp, int cp, int tp) : dp_(dp), pp_(pp), cp_(cp), tp_(tp) {
  LONGSHIP_CHECK(dp >= 1 && pp >= 1 && cp >= 1 && tp >= 1, "mesh extents are at least 1");
}

int Mesh::extent(Axis axis) const {
  switch (axis) {
    case Axis::kDp:
      return dp_;
    case Axis::kPp:
      return pp_;
    case Axis::kCp:
      return cp_;
    case Axis::kTp:
      return tp_;
  }
  return 1;
}

Coord Mesh::coord(int rank) const {
  Coord coord;
  coord.tp = rank % tp_;
  rank /= tp_;
  coord.cp = rank % cp_;
  rank /= cp_;
  coord.pp = pp_ - 1 - rank % pp_;
  coord.dp = rank / pp_;
  return coord;
}

int Mesh::rank(const Coord& coord) const {
  return ((coord.dp * pp_ + (pp_ - 1 - coord.pp)) * cp_ + coord.cp) * tp_ + coord.tp;
}

std::string Mesh::name(int rank) const {
  const Coord at = coord(rank);
  return "rank " + std::to_string(rank) + " (pp " + std::to_string(at.pp) + ", tp " + std::to_string(at.tp) + ")";
}

}  // namespace longship
