#include "launcher/doctor.h"

#include <dlfcn.h>
#include <sys/statvfs.h>

#include <cstdlib>

#include "comm/transport.h"
#include "engine/backend/cuda_plugin.h"
#include "launcher/host/host_cores.h"
#include "launcher/host/host_memory.h"
#include "launcher/job/child_process.h"
#include "launcher/job/rank_environment.h"

namespace longship {

namespace {

std::string mebibytes(int64_t bytes) {
  return std::to_string(bytes >> 20U) + " MiB";
}

HostFact cpu() {
  const std::string cores = std::to_string(allowed_cores()) + " cores";
  try {
    return {"cpu", true, cores + ", kernels " + std::string(make_kernels({})->name())};
  } catch (const Error& error) {
    return {"cpu", false, cores + ", " + error.cause()};
  }
}

HostFact shared_memory() {
  struct statvfs files = {};
  if (statvfs("/dev/shm", &files) != 0) {
    return {"/dev/shm", false, "there is none: ranks of this host exchange data by MPI"};
  }
  const auto free_bytes = static_cast<int64_t>(files.f_bavail) * static_cast<int64_t>(files.f_frsize);
  return {"/dev/shm", true, mebibytes(free_bytes) + " free"};
}

HostFact starter(const std::string& name) {
  const std::filesystem::path program = find_program(name);
  return {name, !program.empty(), program.empty() ? "not in PATH" : program.native()};
}

HostFact launcher() {
  if (!launched_as_rank()) {
    return {"launcher", true, "none: longship starts its ranks itself"};
  }
  return {"launcher", true,
          "rank " + std::to_string(environment_rank()) + " of " + std::to_string(environment_ranks()) +
              " that a launcher started"};
}

std::vector<HostFact> plugin(bool emulated) {
  const std::string topic = emulated ? "cuda-emulated" : "cuda";
  std::string why;
  try {
    const CudaPlugin* found = find_cuda_plugin(emulated, why);
    if (found == nullptr) {
      const std::string cause = emulated ? "" : " (it is built where nvcc is found)";
      return {{topic, false, "no plug-in: " + why + cause}};
    }
    const int devices = found->device_count(why);
    if (devices == 0) {
      return {{topic, false, "the plug-in is there, but no device can be used: " + why}};
    }
    std::vector<HostFact> facts = {{topic, true, std::to_string(devices) + (devices == 1 ? " device" : " devices")}};
    const std::string lines = found->facts();
    for (std::size_t begin = 0, end = 0; (end = lines.find('\n', begin)) != std::string::npos; begin = end + 1) {
      facts.push_back({topic, true, lines.substr(begin, end - begin)});
    }
    return facts;
  } catch (const Error& error) {
    return {{topic, false, error.cause()}};
  }
}

// The library that `variable` names, as the plug-in would; else as the loader finds it, or where CUDA is usually
// installed.
void* open_library(const char* variable, const std::string& name) {
  if (const char* given = std::getenv(variable); given != nullptr && *given != '\0') {
    return dlopen(given, RTLD_LAZY | RTLD_LOCAL);
  }
  std::vector<std::string> places = {""};
  for (const char* home : {"CUDA_HOME", "CUDA_PATH"}) {
    if (const char* folder = std::getenv(home); folder != nullptr && *folder != '\0') {
      places.push_back(std::string(folder) + "/lib64/");
      places.push_back(std::string(folder) + "/lib/");
    }
  }
  places.insert(places.end(), {"/usr/local/cuda/lib64/", "/usr/local/cuda/lib/"});
  for (const std::string& place : places) {
    if (void* library = dlopen((place + name).c_str(), RTLD_LAZY | RTLD_LOCAL)) {
      return library;
    }
  }
  return nullptr;
}

// What was looked for.
std::string sought(const char* variable, const std::string& name) {
  const char* given = std::getenv(variable);
  return given != nullptr && *given != '\0' ? std::string(given) + " (" + variable + ")" : name;
}

HostFact nccl() {
  constexpr const char* kVariable = "LONGSHIP_NCCL_LIBRARY";
  const std::string name = "libnccl.so.2";
  void* library = open_library(kVariable, name);
  const auto ask = reinterpret_cast<int (*)(int*)>(library == nullptr ? nullptr : dlsym(library, "ncclGetVersion"));
  int version = 0;
  if (ask == nullptr || ask(&version) != 0) {
    return {"nccl", false, sought(kVariable, name) + " is not found"};
  }
  constexpr int kMajor = 10000;
  constexpr int kMinor = 100;
  return {"nccl", true,
          "NCCL " + std::to_string(version / kMajor) + "." + std::to_string(version % kMajor / kMinor) + "." +
              std::to_string(version % kMinor)};
}

HostFact cublaslt() {
  constexpr const char* kVariable = "LONGSHIP_CUBLASLT";
  const std::string name = "libcublasLt.so.13";
  void* library = open_library(kVariable, name);
  const auto ask =
      reinterpret_cast<std::size_t (*)()>(library == nullptr ? nullptr : dlsym(library, "cublasLtGetVersion"));
  if (ask == nullptr) {
    return {"cublaslt", false, sought(kVariable, name) + " is not found"};
  }
  return {"cublaslt", true, "cuBLASLt " + std::to_string(ask())};
}

}  // namespace

std::vector<HostFact> examine_host() {
  std::vector<HostFact> facts = {cpu(),
                                 {"memory", true, mebibytes(available_memory_bytes()) + " available"},
                                 shared_memory(),
                                 {"mpi", true, mpi_library_version()},
                                 starter("mpirun"),
                                 starter("srun"),
                                 launcher()};
  for (const bool emulated : {false, true}) {
    for (HostFact& fact : plugin(emulated)) {
      facts.push_back(std::move(fact));
    }
  }
  facts.push_back(nccl());
  facts.push_back(cublaslt());
  return facts;
}

}  // namespace longship
