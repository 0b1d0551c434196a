#include <cuda.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstring>

#include "cuda/api.h"

namespace longship::cuda {

namespace {

static_assert(sizeof(IpcHandle) == sizeof(cudaIpcMemHandle_t));
static_assert(kSuccess == cudaSuccess && kNotReady == cudaErrorNotReady);

cudaStream_t native(StreamHandle stream) {
  return reinterpret_cast<cudaStream_t>(stream);
}
cudaEvent_t native(EventHandle event) {
  return reinterpret_cast<cudaEvent_t>(event);
}
cudaGraph_t native(GraphHandle graph) {
  return reinterpret_cast<cudaGraph_t>(graph);
}
cudaGraphExec_t native(GraphExecHandle exec) {
  return reinterpret_cast<cudaGraphExec_t>(exec);
}

// Whether the device of the thread starts kernels before those before them have ended: from Hopper on.
bool can_overlap() {
  static const bool can = [] {
    int device = 0;
    int major = 0;
    return cudaGetDevice(&device) == cudaSuccess &&
           cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) == cudaSuccess && major >= 9;
  }();
  return can;
}

Status launch_kernel(const void* kernel, Dim3 grid, Dim3 block, void** args, std::size_t shared_bytes, bool overlaps,
                     StreamHandle stream) {
  cudaLaunchAttribute attribute = {};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(grid.x, grid.y, grid.z);
  config.blockDim = dim3(block.x, block.y, block.z);
  config.dynamicSmemBytes = shared_bytes;
  config.stream = reinterpret_cast<cudaStream_t>(stream);
  config.attrs = &attribute;
  config.numAttrs = overlaps && can_overlap() ? 1 : 0;
  return cudaLaunchKernelExC(&config, kernel, args);
}

cudaMemcpyKind native(CopyKind kind) {
  switch (kind) {
    case CopyKind::kHostToDevice:
      return cudaMemcpyHostToDevice;
    case CopyKind::kDeviceToHost:
      return cudaMemcpyDeviceToHost;
    case CopyKind::kDeviceToDevice:
      break;
  }
  return cudaMemcpyDeviceToDevice;
}

Status device_properties(DeviceProperties* properties, int device) {
  cudaDeviceProp native_properties;
  const cudaError_t status = cudaGetDeviceProperties(&native_properties, device);
  if (status == cudaSuccess) {
    *properties = {};
    const std::size_t most = std::min(sizeof(native_properties.name), properties->name.size()) - 1;
    std::copy_n(native_properties.name, most, properties->name.begin());
    properties->major = native_properties.major;
    properties->minor = native_properties.minor;
    properties->multiprocessors = native_properties.multiProcessorCount;
    properties->memory_bytes = native_properties.totalGlobalMem;
    properties->l2_bytes = static_cast<std::size_t>(std::max(0, native_properties.l2CacheSize));
    properties->block_shared_bytes = native_properties.sharedMemPerBlockOptin;
  }
  return status;
}

Status ipc_open_handle(void** memory, const IpcHandle* handle) {
  cudaIpcMemHandle_t native_handle;
  std::memcpy(&native_handle, handle, sizeof native_handle);
  return cudaIpcOpenMemHandle(memory, native_handle, cudaIpcMemLazyEnablePeerAccess);
}

static_assert(sizeof(TensorMap) == sizeof(CUtensorMap));

/// The driver's function, found through the runtime so that nothing else links the driver.
Status encode_tensor_map(TensorMap* map, const void* memory, const TensorMapShape& shape) {
  static void* const function = [] {
    void* found = nullptr;
    cudaDriverEntryPointQueryResult result = {};
    const cudaError_t status =
        cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, 12000, cudaEnableDefault, &result);
    return status == cudaSuccess && result == cudaDriverEntryPointSuccess ? found : nullptr;
  }();
  if (function == nullptr) {
    return cudaErrorNotSupported;
  }
  const cuuint64_t sizes[3] = {shape.sizes[0], shape.sizes[1], shape.sizes[2]};
  const cuuint64_t strides[2] = {shape.strides[0], shape.strides[1]};
  const cuuint32_t box[3] = {64, shape.box_rows, 1};
  const cuuint32_t steps[3] = {1, 1, 1};
  const auto encode = reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(function);
  const CUresult status =
      encode(reinterpret_cast<CUtensorMap*>(map), CU_TENSOR_MAP_DATA_TYPE_UINT16, 3, const_cast<void*>(memory), sizes,
             strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
             CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  return status == CUDA_SUCCESS ? cudaSuccess : cudaErrorInvalidValue;
}

void set_memory_functions(Api& api) {
  api.malloc = [](void** memory, std::size_t bytes) -> Status { return cudaMalloc(memory, bytes); };
  api.free = [](void* memory) -> Status { return cudaFree(memory); };
  api.malloc_host = [](void** memory, std::size_t bytes) -> Status { return cudaMallocHost(memory, bytes); };
  api.free_host = [](void* memory) -> Status { return cudaFreeHost(memory); };
  api.memory_info = [](std::size_t* free_bytes, std::size_t* total_bytes) -> Status {
    return cudaMemGetInfo(free_bytes, total_bytes);
  };
  api.memcpy_async = [](void* to, const void* from, std::size_t bytes, CopyKind kind, StreamHandle stream) -> Status {
    return cudaMemcpyAsync(to, from, bytes, native(kind), native(stream));
  };
  api.memset_async = [](void* memory, int byte, std::size_t bytes, StreamHandle stream) -> Status {
    return cudaMemsetAsync(memory, byte, bytes, native(stream));
  };
  api.ipc_get_handle = [](IpcHandle* handle, void* memory) -> Status {
    return cudaIpcGetMemHandle(reinterpret_cast<cudaIpcMemHandle_t*>(handle), memory);
  };
  api.ipc_open_handle = ipc_open_handle;
  api.ipc_close_handle = [](void* memory) -> Status { return cudaIpcCloseMemHandle(memory); };
}

void set_stream_functions(Api& api) {
  api.stream_create = [](StreamHandle* stream) -> Status {
    return cudaStreamCreateWithFlags(reinterpret_cast<cudaStream_t*>(stream), cudaStreamNonBlocking);
  };
  api.stream_destroy = [](StreamHandle stream) -> Status { return cudaStreamDestroy(native(stream)); };
  api.stream_synchronize = [](StreamHandle stream) -> Status { return cudaStreamSynchronize(native(stream)); };
  api.stream_query = [](StreamHandle stream) -> Status { return cudaStreamQuery(native(stream)); };
  api.stream_wait_event = [](StreamHandle stream, EventHandle event) -> Status {
    return cudaStreamWaitEvent(native(stream), native(event), cudaEventWaitDefault);
  };
  api.event_create = [](EventHandle* event) -> Status {
    return cudaEventCreate(reinterpret_cast<cudaEvent_t*>(event));
  };
  api.event_destroy = [](EventHandle event) -> Status { return cudaEventDestroy(native(event)); };
  api.event_record = [](EventHandle event, StreamHandle stream) -> Status {
    return cudaEventRecord(native(event), native(stream));
  };
  api.event_synchronize = [](EventHandle event) -> Status { return cudaEventSynchronize(native(event)); };
  api.event_query = [](EventHandle event) -> Status { return cudaEventQuery(native(event)); };
  api.event_elapsed_ms = [](float* milliseconds, EventHandle begin, EventHandle end) -> Status {
    return cudaEventElapsedTime(milliseconds, native(begin), native(end));
  };
}

void set_graph_functions(Api& api) {
  api.stream_begin_capture = [](StreamHandle stream) -> Status {
    // The stricter modes forbid the thread to ask how far other streams are, as NcclEdge does between two layers.
    return cudaStreamBeginCapture(native(stream), cudaStreamCaptureModeRelaxed);
  };
  api.stream_end_capture = [](StreamHandle stream, GraphHandle* graph) -> Status {
    return cudaStreamEndCapture(native(stream), reinterpret_cast<cudaGraph_t*>(graph));
  };
  api.graph_instantiate = [](GraphExecHandle* exec, GraphHandle graph) -> Status {
    return cudaGraphInstantiate(reinterpret_cast<cudaGraphExec_t*>(exec), native(graph), 0);
  };
  api.graph_launch = [](GraphExecHandle exec, StreamHandle stream) -> Status {
    return cudaGraphLaunch(native(exec), native(stream));
  };
  api.graph_destroy = [](GraphHandle graph) -> Status { return cudaGraphDestroy(native(graph)); };
  api.graph_exec_destroy = [](GraphExecHandle exec) -> Status { return cudaGraphExecDestroy(native(exec)); };
}

Api make_api() {
  Api api = {};
  api.name = "cuda";
  api.error_string = [](Status status) { return cudaGetErrorString(static_cast<cudaError_t>(status)); };
  api.device_count = [](int* count) -> Status {
    *count = 0;  // left as it is where there is no driver
    return cudaGetDeviceCount(count);
  };
  api.set_device = [](int device) -> Status { return cudaSetDevice(device); };
  api.device_properties = device_properties;
  set_memory_functions(api);
  set_stream_functions(api);
  set_graph_functions(api);
  api.set_max_shared_bytes = [](const void* kernel, int bytes) -> Status {
    return cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
  };
  api.launch_kernel = launch_kernel;
  api.encode_tensor_map = encode_tensor_map;
  api.last_error = []() -> Status { return cudaGetLastError(); };
  return api;
}

}  // namespace

const Api& api() {
  static const Api api = make_api();
  return api;
}

}  // namespace longship::cuda
