#pragma once

#include <string>
#include <vector>

namespace longship {

/// One thing that this host can do or lacks.
struct HostFact {
  std::string topic;  ///< "cpu", "cuda", ...
  bool usable = false;
  std::string text;  ///< What there is, or why there is nothing.
};

/// What longship can use on this host: cores and kernels, memory, MPI, launcher, plug-ins, devices and the libraries of
/// devices. Looks only, changes nothing, starts no rank.
std::vector<HostFact> examine_host();

}  // namespace longship
