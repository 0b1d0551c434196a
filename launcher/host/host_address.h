#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace longship {

/// An IPv4 or IPv6 address.
struct HostAddress {
  bool is_v6 = false;
  std::array<uint8_t, 16> bytes{};  ///< The first four for IPv4.
};

/// Where others may reach this host: the addresses of its interfaces, those of loopback last; at most 64.
std::vector<HostAddress> own_addresses();

/// A TCP socket that listens on all interfaces, and its port.
struct ListeningSocket {
  int descriptor = -1;  ///< Does not block; -1 if there can be none.
  uint16_t port = 0;
};
ListeningSocket listen_on_all_interfaces();

/// A socket that does not block and connects, or has failed to at once (-1).
int start_to_connect(const HostAddress& address, uint16_t port);

}  // namespace longship
