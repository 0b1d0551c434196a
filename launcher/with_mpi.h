#pragma once

#include <functional>
#include <string>

#include "comm/transport.h"

namespace longship {

/// Calls `body` with the transport of this rank, which a launcher started; `wire` as in --comm. After an error the
/// ranks have little time to end together. Errors: those of `body`, and kDoesNotFit where memory ran out.
int with_mpi(const std::string& wire, const std::function<int(Transport&)>& body);

}  // namespace longship
