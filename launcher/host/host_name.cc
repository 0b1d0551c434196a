#include "launcher/host/host_name.h"

#include <unistd.h>

#include <array>
#include <functional>

namespace longship {

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? std::string(name.data()) : std::string();
}

int host_number() {
  constexpr std::size_t kExact = std::size_t{1} << 24U;
  return static_cast<int>(std::hash<std::string>()(host_name()) % kExact);
}

}  // namespace longship
