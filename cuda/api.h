#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "cuda/tensor_map.h"

namespace longship::cuda {

/// Opaque handles of the runtime, as wide as its own.
using StreamHandle = struct StreamOpaque*;
using EventHandle = struct EventOpaque*;
using GraphHandle = struct GraphOpaque*;
using GraphExecHandle = struct GraphExecOpaque*;

/// Zero is success; other values are the runtime's own, which error_string() explains.
using Status = int;

struct Dim3 {
  unsigned x = 1;
  unsigned y = 1;
  unsigned z = 1;
};

enum class CopyKind : uint8_t { kHostToDevice, kDeviceToHost, kDeviceToDevice };

/// As cudaIpcMemHandle_t.
struct IpcHandle {
  std::array<std::byte, 64> bytes = {};
};

struct DeviceProperties {
  std::array<char, 256> name = {};
  int major = 0;
  int minor = 0;
  int multiprocessors = 0;
  std::size_t memory_bytes = 0;
  std::size_t l2_bytes = 0;
  std::size_t block_shared_bytes = 0;  ///< That a block may be given.
};

/// Every function of the CUDA runtime that the device code's host side calls, so that another implementation can stand
/// in for it. Names, arguments and asynchrony are those of the runtime functions (CUDA Runtime API reference); streams
/// are non-blocking, the legacy stream is never used. All are set.
struct Api {
  std::string_view name;  ///< "cuda" or "cuda-emulated".

  const char* (*error_string)(Status);
  Status (*device_count)(int* count);
  Status (*set_device)(int device);
  Status (*device_properties)(DeviceProperties* properties, int device);
  Status (*memory_info)(std::size_t* free_bytes, std::size_t* total_bytes);

  Status (*malloc)(void** memory, std::size_t bytes);
  Status (*free)(void* memory);
  Status (*malloc_host)(void** memory, std::size_t bytes);  ///< Pinned.
  Status (*free_host)(void* memory);
  Status (*memcpy_async)(void* to, const void* from, std::size_t bytes, CopyKind kind, StreamHandle stream);
  Status (*memset_async)(void* memory, int byte, std::size_t bytes, StreamHandle stream);

  Status (*stream_create)(StreamHandle* stream);
  Status (*stream_destroy)(StreamHandle stream);
  Status (*stream_synchronize)(StreamHandle stream);
  Status (*stream_query)(StreamHandle stream);  ///< kNotReady while work is left.
  Status (*stream_wait_event)(StreamHandle stream, EventHandle event);
  Status (*event_create)(EventHandle* event);
  Status (*event_destroy)(EventHandle event);
  Status (*event_record)(EventHandle event, StreamHandle stream);
  Status (*event_synchronize)(EventHandle event);
  Status (*event_query)(EventHandle event);
  Status (*event_elapsed_ms)(float* milliseconds, EventHandle begin, EventHandle end);

  Status (*stream_begin_capture)(StreamHandle stream);
  Status (*stream_end_capture)(StreamHandle stream, GraphHandle* graph);
  Status (*graph_instantiate)(GraphExecHandle* exec, GraphHandle graph);
  Status (*graph_launch)(GraphExecHandle exec, StreamHandle stream);
  Status (*graph_destroy)(GraphHandle graph);
  Status (*graph_exec_destroy)(GraphExecHandle exec);

  Status (*ipc_get_handle)(IpcHandle* handle, void* memory);
  Status (*ipc_open_handle)(void** memory, const IpcHandle* handle);
  Status (*ipc_close_handle)(void* memory);

  /// Allows a kernel more dynamic shared memory than the 48 kB that every launch may take.
  Status (*set_max_shared_bytes)(const void* kernel, int bytes);
  /// Starts `kernel`; `args` are pointers to its arguments; `overlaps`: where the device can, while the kernel before
  /// it on the stream still runs (programmatic dependent launch, CUDA C++ Programming Guide). Emulated kernels are
  /// started by the template of launch.h.
  Status (*launch_kernel)(const void* kernel, Dim3 grid, Dim3 block, void** args, std::size_t shared_bytes,
                          bool overlaps, StreamHandle stream);
  /// Of a tensor in the device's memory, aligned to 16 bytes, of which no box that is outside of memory is copied. On
  /// devices from compute capability 9.0 on.
  Status (*encode_tensor_map)(TensorMap* map, const void* memory, const TensorMapShape& shape);
  Status (*last_error)();  ///< And resets it.
};

inline constexpr Status kSuccess = 0;
inline constexpr Status kNotReady = 600;  ///< cudaErrorNotReady

/// The one implementation that this library was linked with.
const Api& api();

/// Throws Error (kInternal) with the operation and the runtime's explanation, unless `status` is success.
void check(Status status, std::string_view operation);

}  // namespace longship::cuda
