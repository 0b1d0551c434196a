#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/targets.h"

namespace longship::fuzz {

void require(bool holds, const char* what) {
  if (!holds) {
    std::fprintf(stderr, "does not hold: %s\n", what);
    std::abort();
  }
}

}  // namespace longship::fuzz
