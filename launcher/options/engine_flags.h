#pragma once

#include <optional>
#include <string>
#include <vector>

#include "comm/transport.h"
#include "launcher/options/engine_options.h"
#include "launcher/options/mesh_options.h"

namespace longship {

/// The engine's options as the user gave them: what depends on the number of ranks is still open.
struct EngineFlags {
  std::string model;  ///< Empty: the default model, where the command has one.
  MeshRequest mesh;
  std::optional<int> threads;
  EngineOptions options;  ///< All but model, tp, pp and threads.
};

/// What the flags say about the ways between ranks. Errors: kUsage.
TransportOptions transport_options(const EngineOptions& options);

/// The flags as arguments of another run of this program.
std::vector<std::string> engine_arguments(const EngineFlags& flags);

/// The options of a rank of this mesh on a host with `local_ranks` ranks. Errors: kUsage.
EngineOptions resolve_options(const EngineFlags& flags, const MeshShape& mesh, int local_ranks);

}  // namespace longship
