#pragma once

#include "engine/engine.h"
#include "launcher/job/frame_socket.h"

namespace longship {

/// The leader's side of RemoteEngine: a front end that does what the frames of `parent` say and sends the engine's
/// events back, until a shutdown frame. Returns 0, or 5 if the parent's end of the socket closed before it.
int serve_engine(Engine& engine, FrameSocket& parent);

}  // namespace longship
