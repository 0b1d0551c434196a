#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "launcher/job/child_process.h"

namespace longship {

/// The mpirun in PATH. Errors: kRank if there is none.
std::filesystem::path mpirun_program();

/// The arguments of an mpirun that starts `ranks` times `program` with `arguments`.
std::vector<std::string> mpirun_arguments(int ranks, const std::filesystem::path& program,
                                          const std::vector<std::string>& arguments);

/// What to set for an mpirun that this program starts, beside `more`: quiet, without pinning, where ranks may be more
/// than cores. What the user has set stands.
std::vector<ChildProcess::Variable> mpirun_environment(const std::vector<ChildProcess::Variable>& more);

/// Variables by which an mpirun finds the hosts of a batch system's job: without them its ranks start on this host,
/// where the process is that they belong to.
const std::vector<std::string>& variables_of_other_hosts();

/// Becomes an mpirun of this program with these arguments. Returns only by an error: kRank.
[[noreturn]] void become_mpirun(int ranks, const std::vector<std::string>& arguments);

}  // namespace longship
