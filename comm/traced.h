#pragma once

#include <memory>

#include "comm/communicator.h"
#include "core/span_log.h"

namespace longship {

/// `inner` as it is, each of its operations recorded in `log`, which outlives it. A group of one is returned as it is:
/// its operations move nothing.
std::unique_ptr<Communicator> make_traced(std::unique_ptr<Communicator> inner, SpanLog& log);

}  // namespace longship
