#pragma once

#include "comm/communicator.h"
#include "core/stream.h"
#include "engine/backend/ops.h"
#include "engine/model/workspace.h"
#include "parallel/mesh.h"

namespace longship {

/// What a rank executes a step with: its place, its groups, its device. Lives as long as the rank.
struct RankContext {
  Mesh mesh;
  Coord me;
  Communicator& tp;  ///< Ranks of the same stage.
  Communicator& pp;  ///< Ranks of the same shard, ordered by stage.
  Ops& ops;
  const Workspace& workspace;
  Stream& stream;
};

}  // namespace longship
