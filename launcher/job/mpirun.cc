#include "launcher/job/mpirun.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "core/error.h"

namespace longship {

std::filesystem::path mpirun_program() {
  std::filesystem::path program = find_program("mpirun");
  if (program.empty()) {
    throw Error(ErrorKind::kRank, "there is no mpirun in PATH to start the ranks with",
                "Install Open MPI (Debian: apt-get install openmpi-bin), or use -tp 1 -pp 1.");
  }
  return program;
}

std::vector<std::string> mpirun_arguments(int ranks, const std::filesystem::path& program,
                                          const std::vector<std::string>& arguments) {
  std::vector<std::string> result = {"-n", std::to_string(ranks), program.native()};
  result.insert(result.end(), arguments.begin(), arguments.end());
  return result;
}

std::vector<ChildProcess::Variable> mpirun_environment(const std::vector<ChildProcess::Variable>& more) {
  std::vector<ChildProcess::Variable> usual = {
      {"OMPI_MCA_rmaps_base_oversubscribe", "1"},     {"OMPI_MCA_mpi_yield_when_idle", "1"},
      {"OMPI_MCA_hwloc_base_binding_policy", "none"}, {"OMPI_MCA_pml", "ob1"},
      {"OMPI_MCA_odls_base_sigkill_timeout", "0"},    {"OMPI_MCA_orte_default_hostfile", "none"},
  };
  usual.insert(usual.end(), more.begin(), more.end());
  if (geteuid() == 0) {
    usual.emplace_back("OMPI_ALLOW_RUN_AS_ROOT", "1");
    usual.emplace_back("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
  }
  std::erase_if(usual, [](const auto& variable) { return std::getenv(variable.first.c_str()) != nullptr; });
  return usual;
}

const std::vector<std::string>& variables_of_other_hosts() {
  static const std::vector<std::string> names = {"SLURM_JOBID", "SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID",
                                                 "PE_HOSTFILE"};
  return names;
}

void become_mpirun(int ranks, const std::vector<std::string>& arguments) {
  std::vector<std::string> words = mpirun_arguments(ranks, std::filesystem::read_symlink("/proc/self/exe"), arguments);
  const std::string program = mpirun_program().native();
  words.insert(words.begin(), program);
  for (const auto& [name, value] : mpirun_environment({})) {
    setenv(name.c_str(), value.c_str(), 0);
  }
  setenv("OMPI_MCA_orte_execute_quiet", "1", 0);  // the ranks say themselves why they fail
  for (const std::string& name : variables_of_other_hosts()) {
    unsetenv(name.c_str());
  }
  std::vector<char*> pointers;
  for (std::string& word : words) {
    pointers.push_back(word.data());
  }
  pointers.push_back(nullptr);
  execv(program.c_str(), pointers.data());
  throw Error(ErrorKind::kRank, program + " does not start: " + std::strerror(errno));
}

}  // namespace longship
