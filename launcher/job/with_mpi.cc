#include "launcher/job/with_mpi.h"

#include <memory>
#include <new>
#include <optional>

#include "launcher/job/end_within.h"

namespace longship {

int with_mpi(const TransportOptions& options, const std::function<int(Transport&)>& body) {
  std::optional<EndWithin> end_within;  // outlives the transport, whose end waits for the other ranks
  const std::unique_ptr<Transport> transport = make_mpi_transport(options);
  try {
    return body(*transport);
  } catch (const Error& error) {
    end_within.emplace(transport->rank(), error);
    throw;
  } catch (const std::bad_alloc&) {
    const Error error(ErrorKind::kDoesNotFit, "memory ran out", "Use more ranks (-tp, -pp).");
    end_within.emplace(transport->rank(), error);
    throw error;
  }
}

}  // namespace longship
