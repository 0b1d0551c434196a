#pragma once

#include <string>

namespace longship {

/// The axes along which ranks divide the work: data, pipeline, context and tensor parallel.
enum class Axis { kDp, kPp, kCp, kTp };

/// Place of a rank in the mesh. `pp` counts stages from the embedding (0) to the head (pp - 1).
struct Coord {
  int dp = 0;
  int pp = 0;
  int cp = 0;
  int tp = 0;

  friend bool operator==(const Coord&, const Coord&) = default;
};

/// Ranks 0 .. size() - 1 arranged as dp x pp x cp x tp. Rank order: tp fastest, then cp, then pp reversed,
/// then dp, so that rank 0, the leader, sits on the last stage and samples without a return path.
class Mesh {
 public:
  /// Extents are at least 1.
  Mesh(int dp, int pp, int cp, int tp);

  int size() const { return dp_ * pp_ * cp_ * tp_; }
  int extent(Axis axis) const;
  Coord coord(int rank) const;
  int rank(const Coord& coord) const;
  /// "rank 3 (pp 0, tp 1)": how messages name a rank.
  std::string name(int rank) const;

 private:
  int dp_;
  int pp_;
  int cp_;
  int tp_;
};

}  // namespace longship
