#include "launcher/host/host_address.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

namespace longship {

namespace {

constexpr std::size_t kMostAddresses = 64;

std::optional<HostAddress> address_of(const ifaddrs& interface) {
  if (interface.ifa_addr == nullptr || (interface.ifa_flags & IFF_UP) == 0) {
    return std::nullopt;
  }
  HostAddress address;
  if (interface.ifa_addr->sa_family == AF_INET) {
    std::memcpy(address.bytes.data(), &reinterpret_cast<const sockaddr_in*>(interface.ifa_addr)->sin_addr, 4);
    return address;
  }
  if (interface.ifa_addr->sa_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(interface.ifa_addr);
    if (!IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr)) {  // means something on this host only
      address.is_v6 = true;
      std::memcpy(address.bytes.data(), &v6->sin6_addr, 16);
      return address;
    }
  }
  return std::nullopt;
}

int listening(int family) {
  const int descriptor = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) {
    return -1;
  }
  sockaddr_in6 any6{};
  any6.sin6_family = AF_INET6;
  sockaddr_in any4{};
  any4.sin_family = AF_INET;
  const int off = 0;
  const bool bound = family == AF_INET6
                         ? setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) == 0 &&
                               bind(descriptor, reinterpret_cast<const sockaddr*>(&any6), sizeof(any6)) == 0
                         : bind(descriptor, reinterpret_cast<const sockaddr*>(&any4), sizeof(any4)) == 0;
  if (!bound || listen(descriptor, SOMAXCONN) != 0) {
    close(descriptor);
    return -1;
  }
  return descriptor;
}

}  // namespace

std::vector<HostAddress> own_addresses() {
  ifaddrs* list = nullptr;
  std::vector<HostAddress> addresses;
  std::vector<HostAddress> loopback;
  if (getifaddrs(&list) != 0) {
    return addresses;
  }
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (const auto address = address_of(*entry)) {
      ((entry->ifa_flags & IFF_LOOPBACK) != 0 ? loopback : addresses).push_back(*address);
    }
  }
  freeifaddrs(list);
  addresses.insert(addresses.end(), loopback.begin(), loopback.end());
  addresses.resize(std::min(addresses.size(), kMostAddresses));
  return addresses;
}

ListeningSocket listen_on_all_interfaces() {
  ListeningSocket result{.descriptor = listening(AF_INET6), .port = 0};
  if (result.descriptor < 0) result.descriptor = listening(AF_INET);
  sockaddr_storage bound{};
  socklen_t size = sizeof(bound);
  if (result.descriptor >= 0 && getsockname(result.descriptor, reinterpret_cast<sockaddr*>(&bound), &size) == 0) {
    // The port is at the same place for both.
    result.port = ntohs(reinterpret_cast<const sockaddr_in*>(&bound)->sin_port);
  }
  return result;
}

int start_to_connect(const HostAddress& address, uint16_t port) {
  const int descriptor = socket(address.is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  std::memcpy(&v6.sin6_addr, address.bytes.data(), 16);
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  std::memcpy(&v4.sin_addr, address.bytes.data(), 4);
  const auto* target = address.is_v6 ? reinterpret_cast<const sockaddr*>(&v6) : reinterpret_cast<const sockaddr*>(&v4);
  const socklen_t size = address.is_v6 ? sizeof(v6) : sizeof(v4);
  if (descriptor >= 0 && connect(descriptor, target, size) != 0 && errno != EINPROGRESS) {
    close(descriptor);
    return -1;
  }
  return descriptor;
}

}  // namespace longship
