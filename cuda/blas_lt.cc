#include <cublasLt.h>
#include <dlfcn.h>

#include <cstdlib>
#include <memory>

#include "cuda/blas_api.h"

namespace longship::cuda {

namespace {

/// Alignment in bytes that callers promise for all operands.
constexpr uint32_t kAlignment = 16;

/// The library's functions; loaded once and never unloaded.
struct Library {
  decltype(&cublasLtGetVersion) get_version;
  decltype(&cublasLtGetStatusString) get_status_string;
  decltype(&cublasLtCreate) create;
  decltype(&cublasLtDestroy) destroy;
  decltype(&cublasLtMatmulDescCreate) desc_create;
  decltype(&cublasLtMatmulDescDestroy) desc_destroy;
  decltype(&cublasLtMatmulDescSetAttribute) desc_set;
  decltype(&cublasLtMatrixLayoutCreate) layout_create;
  decltype(&cublasLtMatrixLayoutDestroy) layout_destroy;
  decltype(&cublasLtMatmulPreferenceCreate) preference_create;
  decltype(&cublasLtMatmulPreferenceDestroy) preference_destroy;
  decltype(&cublasLtMatmulPreferenceSetAttribute) preference_set;
  decltype(&cublasLtMatmulAlgoGetHeuristic) get_heuristic;
  decltype(&cublasLtMatmul) matmul;
};

Library library;

/// A product that an algorithm was chosen for. The library counts by columns, so it computes y^T = w x^T.
struct Plan {
  cublasLtMatmulDesc_t desc = nullptr;
  cublasLtMatrixLayout_t w = nullptr;
  cublasLtMatrixLayout_t x = nullptr;
  cublasLtMatrixLayout_t y = nullptr;
  cublasLtMatmulAlgo_t algorithm = {};
  std::size_t workspace_bytes = 0;

  Plan() = default;
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;
  ~Plan() {
    for (cublasLtMatrixLayout_t layout : {w, x, y}) {
      if (layout != nullptr) {
        library.layout_destroy(layout);
      }
    }
    if (desc != nullptr) {
      library.desc_destroy(desc);
    }
  }
};

cudaDataType_t type_of(BlasType type) {
  switch (type) {
    case BlasType::kF32:
      return CUDA_R_32F;
    case BlasType::kF16:
      return CUDA_R_16F;
    case BlasType::kBf16:
      return CUDA_R_16BF;
  }
  return CUDA_R_32F;
}

cublasStatus_t describe(const MatmulShape& shape, Plan& plan) {
  const cudaDataType_t type = type_of(shape.type);
  const auto outputs = static_cast<uint64_t>(shape.outputs);
  const auto inputs = static_cast<uint64_t>(shape.inputs);
  const auto tokens = static_cast<uint64_t>(shape.tokens);
  const cublasOperation_t transposed = CUBLAS_OP_T;
  cublasStatus_t status = library.desc_create(&plan.desc, CUBLAS_COMPUTE_32F, CUDA_R_32F);
  if (status == CUBLAS_STATUS_SUCCESS) {
    status = library.desc_set(plan.desc, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof(transposed));
  }
  if (status == CUBLAS_STATUS_SUCCESS) {
    status = library.layout_create(&plan.w, type, inputs, outputs, shape.w_stride);
  }
  if (status == CUBLAS_STATUS_SUCCESS) {
    status = library.layout_create(&plan.x, type, inputs, tokens, shape.x_stride);
  }
  if (status == CUBLAS_STATUS_SUCCESS) {
    status = library.layout_create(&plan.y, type_of(shape.result), outputs, tokens, shape.y_stride);
  }
  return status;
}

cublasStatus_t choose_algorithm(cublasLtHandle_t handle, Plan& plan) {
  cublasLtMatmulPreference_t preference = nullptr;
  cublasStatus_t status = library.preference_create(&preference);
  if (status != CUBLAS_STATUS_SUCCESS) {
    return status;
  }
  status = library.preference_set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &plan.workspace_bytes,
                                  sizeof(plan.workspace_bytes));
  for (const auto operand : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                             CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
    if (status == CUBLAS_STATUS_SUCCESS) {
      status = library.preference_set(preference, operand, &kAlignment, sizeof(kAlignment));
    }
  }
  cublasLtMatmulHeuristicResult_t result = {};
  int found = 0;
  if (status == CUBLAS_STATUS_SUCCESS) {
    status = library.get_heuristic(handle, plan.desc, plan.w, plan.x, plan.y, plan.y, preference, 1, &result, &found);
  }
  library.preference_destroy(preference);
  plan.algorithm = result.algo;
  return status == CUBLAS_STATUS_SUCCESS && found == 0 ? CUBLAS_STATUS_NOT_SUPPORTED : status;
}

Status make_plan(BlasHandle handle, const MatmulShape& shape, std::size_t workspace_bytes, BlasPlan* made) {
  auto plan = std::make_unique<Plan>();
  plan->workspace_bytes = workspace_bytes;
  cublasStatus_t status = describe(shape, *plan);
  if (status == CUBLAS_STATUS_SUCCESS) {
    status = choose_algorithm(reinterpret_cast<cublasLtHandle_t>(handle), *plan);
  }
  *made = status == CUBLAS_STATUS_SUCCESS ? reinterpret_cast<BlasPlan>(plan.release()) : nullptr;
  return status;
}

Status multiply(BlasHandle handle, BlasPlan made, const void* x, const void* w, void* y, void* workspace,
                StreamHandle stream) {
  const Plan& plan = *reinterpret_cast<const Plan*>(made);
  const float one = 1.0F;
  const float zero = 0.0F;
  return library.matmul(reinterpret_cast<cublasLtHandle_t>(handle), plan.desc, &one, w, plan.w, x, plan.x, &zero, y,
                        plan.y, y, plan.y, &plan.algorithm, workspace, plan.workspace_bytes,
                        reinterpret_cast<cudaStream_t>(stream));
}

template <class Function>
bool find(void* loaded, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(loaded, name));
  return function != nullptr;
}

bool find_all(void* loaded) {
  return find(loaded, "cublasLtGetVersion", library.get_version) &&
         find(loaded, "cublasLtGetStatusString", library.get_status_string) &&
         find(loaded, "cublasLtCreate", library.create) && find(loaded, "cublasLtDestroy", library.destroy) &&
         find(loaded, "cublasLtMatmulDescCreate", library.desc_create) &&
         find(loaded, "cublasLtMatmulDescDestroy", library.desc_destroy) &&
         find(loaded, "cublasLtMatmulDescSetAttribute", library.desc_set) &&
         find(loaded, "cublasLtMatrixLayoutCreate", library.layout_create) &&
         find(loaded, "cublasLtMatrixLayoutDestroy", library.layout_destroy) &&
         find(loaded, "cublasLtMatmulPreferenceCreate", library.preference_create) &&
         find(loaded, "cublasLtMatmulPreferenceDestroy", library.preference_destroy) &&
         find(loaded, "cublasLtMatmulPreferenceSetAttribute", library.preference_set) &&
         find(loaded, "cublasLtMatmulAlgoGetHeuristic", library.get_heuristic) &&
         find(loaded, "cublasLtMatmul", library.matmul);
}

/// Opens the library: 0.15 s and 200 MB, hence only when a product is wanted.
void* open_library(std::string& why) {
  std::string tried;
  const char* chosen = std::getenv("LONGSHIP_CUBLASLT");
  if (chosen != nullptr && *chosen == '\0') {
    chosen = nullptr;
  }
  for (const char* path : {chosen, "libcublasLt.so.13", "/usr/local/cuda/lib64/libcublasLt.so.13"}) {
    if (path == nullptr) {
      continue;
    }
    if (void* loaded = ::dlopen(path, RTLD_NOW | RTLD_LOCAL)) {
      return loaded;
    }
    tried += std::string(tried.empty() ? "" : "; ") + ::dlerror();
    if (path == chosen) {
      break;
    }
  }
  why = "cuBLASLt cannot be loaded: " + tried;
  return nullptr;
}

/// Called once.
std::string_view version_name() {
  static std::string name;
  const std::size_t version = library.get_version();
  name = "cublasLt " + std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
  return name;
}

struct Loaded {
  std::string why;
  BlasApi api = {};
  bool usable = false;
};

Loaded load() {
  Loaded loaded;
  void* opened = open_library(loaded.why);
  if (opened == nullptr) {
    return loaded;
  }
  if (!find_all(opened)) {
    loaded.why = "libcublasLt.so.13 lacks a function that is needed";
    return loaded;
  }
  loaded.usable = true;
  loaded.api.name = version_name();
  loaded.api.error_string = [](Status status) {
    return library.get_status_string(static_cast<cublasStatus_t>(status));
  };
  loaded.api.create = [](BlasHandle* handle) -> Status {
    return library.create(reinterpret_cast<cublasLtHandle_t*>(handle));
  };
  loaded.api.destroy = [](BlasHandle handle) -> Status {
    return library.destroy(reinterpret_cast<cublasLtHandle_t>(handle));
  };
  loaded.api.plan = make_plan;
  loaded.api.destroy_plan = [](BlasPlan plan) -> Status {
    delete reinterpret_cast<Plan*>(plan);
    return CUBLAS_STATUS_SUCCESS;
  };
  loaded.api.matmul = multiply;
  return loaded;
}

}  // namespace

const BlasApi* blas_api(std::string& why) {
  static const Loaded loaded = load();
  why = loaded.why;
  return loaded.usable ? &loaded.api : nullptr;
}

}  // namespace longship::cuda
