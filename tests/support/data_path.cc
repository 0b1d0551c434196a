#include "tests/support/data_path.h"

namespace longship {

// The one place that is compiled for a folder of its own, so that checkouts share a compiler cache.
std::filesystem::path data_path(const std::string& name) {
  return std::filesystem::path(LONGSHIP_TEST_DATA) / name;
}

}  // namespace longship
