#pragma once

namespace longship {

/// What a machine can reach, as measured: the two ceilings of the roofline model (Williams et al., 2009).
struct Roofline {
  double read_bytes_per_s = 0;  ///< Memory read straight on.
  double ops_per_s = 0;         ///< A multiply-add counts two.
};

}  // namespace longship
