#include <dlfcn.h>

#include <cstdlib>
#include <vector>

#include "comm/cuda/nccl_api.h"

namespace longship {

namespace {

constexpr const char* kLibrary = "libnccl.so.2";

struct Loaded {
  NcclApi api = {};
  std::string failure = {};  ///< Why there is none.
};

std::vector<std::string> places() {
  if (const char* given = std::getenv("LONGSHIP_NCCL_LIBRARY"); given != nullptr && *given != '\0') {
    return {given};
  }
  std::vector<std::string> all = {kLibrary};
  for (const char* variable : {"CUDA_HOME", "CUDA_PATH"}) {
    if (const char* folder = std::getenv(variable); folder != nullptr && *folder != '\0') {
      all.push_back(std::string(folder) + "/lib64/" + kLibrary);
      all.push_back(std::string(folder) + "/lib/" + kLibrary);
    }
  }
  for (const char* folder : {"/usr/local/cuda/lib64/", "/usr/local/cuda/lib/", "/usr/lib/x86_64-linux-gnu/"}) {
    all.push_back(std::string(folder) + kLibrary);
  }
  return all;
}

/// Handed from symbol to symbol; knows the first that is missing.
struct Symbols {
  void* library;
  std::string missing = {};

  template <class Function>
  void take(Function*& function, const char* name) {
    function = reinterpret_cast<Function*>(dlsym(library, name));
    if (function == nullptr && missing.empty()) {
      missing = name;
    }
  }
};

// Returns the first function that the library lacks though it is needed.
std::string fill(NcclApi& api, void* library) {
  Symbols symbols{library};
  symbols.take(api.get_version, "ncclGetVersion");
  symbols.take(api.get_unique_id, "ncclGetUniqueId");
  symbols.take(api.get_error_string, "ncclGetErrorString");
  symbols.take(api.get_last_error, "ncclGetLastError");
  symbols.take(api.comm_init_rank_config, "ncclCommInitRankConfig");
  symbols.take(api.comm_finalize, "ncclCommFinalize");
  symbols.take(api.comm_destroy, "ncclCommDestroy");
  symbols.take(api.comm_abort, "ncclCommAbort");
  symbols.take(api.comm_get_async_error, "ncclCommGetAsyncError");
  symbols.take(api.group_start, "ncclGroupStart");
  symbols.take(api.group_end, "ncclGroupEnd");
  symbols.take(api.all_reduce, "ncclAllReduce");
  symbols.take(api.all_gather, "ncclAllGather");
  symbols.take(api.broadcast, "ncclBroadcast");
  symbols.take(api.send, "ncclSend");
  symbols.take(api.recv, "ncclRecv");
  Symbols optional{library};
  optional.take(api.comm_split, "ncclCommSplit");
  optional.take(api.comm_register, "ncclCommRegister");
  optional.take(api.comm_deregister, "ncclCommDeregister");
  return symbols.missing;
}

Loaded load() {
  Loaded loaded;
  void* library = nullptr;
  for (const std::string& place : places()) {
    library = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library != nullptr) {
      break;
    }
    // The first place says most: what follows was only tried in case.
    if (loaded.failure.empty()) {
      const char* reason = dlerror();
      loaded.failure = "NCCL was not found: " + std::string(reason != nullptr ? reason : place);
    }
  }
  if (library == nullptr) {
    return loaded;
  }
  const std::string missing = fill(loaded.api, library);
  loaded.failure = missing.empty() ? "" : "this NCCL is too old: it has no " + missing;
  return loaded;
}

}  // namespace

const NcclApi* find_nccl(std::string& why) {
  static const Loaded loaded = load();
  why = loaded.failure;
  return loaded.failure.empty() ? &loaded.api : nullptr;
}

}  // namespace longship
