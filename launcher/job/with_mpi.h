#pragma once

#include <functional>

#include "comm/transport.h"

namespace longship {

/// Calls `body` with the transport of this rank, which a launcher started. After an error the ranks have little time to
/// end together. Errors: those of `body`, and kDoesNotFit where memory ran out.
int with_mpi(const TransportOptions& options, const std::function<int(Transport&)>& body);

}  // namespace longship
