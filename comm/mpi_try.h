#pragma once

namespace longship {

/// Throws kRank with MPI's own text when a call did not succeed. `call` is its source text.
void check_mpi(int code, const char* call);

}  // namespace longship

#define MPI_TRY(call) ::longship::check_mpi((call), #call)
