#include <cstdlib>

#include "cuda/api.h"
#include "cuda/launch.h"
#include "tests/cuda_emulator/async_units.h"
#include "tests/cuda_emulator/block.h"
#include "tests/cuda_emulator/copies.h"
#include "tests/cuda_emulator/device_memory.h"
#include "tests/cuda_emulator/emulator.h"
#include "tests/cuda_emulator/message.h"
#include "tests/cuda_emulator/pinned_memory.h"
#include "tests/cuda_emulator/status.h"
#include "tests/cuda_emulator/stream.h"

namespace longship::cuda {

namespace emulator {

namespace {

constexpr std::size_t kMaxSharedBytes = 227 * 1024;
constexpr unsigned kMaxThreads = 1024;

thread_local int device_of_thread = 0;

struct ExecutableGraph {
  std::shared_ptr<const Graph> graph;
  std::vector<GraphHold> holds;
};

Scheduler& scheduler() {
  return Scheduler::instance();
}
DeviceMemory& memory() {
  return DeviceMemory::instance();
}
Stream* stream_of(StreamHandle handle) {
  return reinterpret_cast<Stream*>(handle);
}
Event* event_of(EventHandle handle) {
  return reinterpret_cast<Event*>(handle);
}

int devices() {
  const char* text = std::getenv("LONGSHIP_EMULATOR_DEVICES");
  return text == nullptr ? 1 : std::atoi(text);
}

// The first number of the compute capability.
int major() {
  const char* text = std::getenv("LONGSHIP_EMULATOR_MAJOR");
  return text == nullptr ? 9 : std::atoi(text);
}

const char* error_string(Status status) {
  switch (status) {
    case kSuccess:
      return "no error";
    case kInvalidValue:
      return "invalid argument";
    case kOutOfMemory:
      return "out of memory";
    case kInvalidDevice:
      return "invalid device ordinal";
    case kInvalidContext:
      return "invalid device context";
    case kInvalidHandle:
      return "invalid resource handle";
    case kNotReady:
      return "device not ready";
    case kCaptureUnsupported:
      return "operation not permitted when stream is capturing";
    case kCaptureUnjoined:
      return "capturing stream has unjoined work";
    case kCaptureIsolation:
      return "dependency created on uncaptured work in another stream";
    default:
      return "unrecognized error code";
  }
}

Status set_device(int device) {
  if (device < 0 || device >= devices()) {
    return kInvalidDevice;
  }
  device_of_thread = device;
  return kSuccess;
}

Status device_properties(DeviceProperties* properties, int device) {
  if (device < 0 || device >= devices()) {
    return kInvalidDevice;
  }
  *properties = {};
  constexpr std::string_view kName = "emulated device";
  kName.copy(properties->name.data(), properties->name.size() - 1);
  properties->major = major();
  properties->minor = 0;
  properties->multiprocessors = 4;
  properties->memory_bytes = memory().total_bytes();
  properties->l2_bytes = std::size_t{1} << 20;
  properties->block_shared_bytes = std::size_t{227} << 10;
  return kSuccess;
}

Status allocate(void** address, std::size_t bytes) {
  return scheduler().capturing() ? kCaptureUnsupported : memory().allocate(address, bytes);
}

/// As cudaFree, which waits for the device.
Status release(void* address) {
  if (scheduler().capturing()) {
    return kCaptureUnsupported;
  }
  scheduler().synchronize_thread();
  return memory().release(address);
}

Status end_capture(StreamHandle stream, GraphHandle* handle) {
  std::shared_ptr<const Graph> graph;
  std::vector<GraphHold> holds;
  const Status status = scheduler().end_capture(stream_of(stream), graph, holds);
  *handle = graph ? reinterpret_cast<GraphHandle>(new ExecutableGraph{graph, std::move(holds)}) : nullptr;
  return status;
}

Status launch_graph(GraphExecHandle exec, StreamHandle stream) {
  const auto run = std::make_shared<std::unique_ptr<GraphRun>>();
  return scheduler().enqueue_until_done(stream_of(stream),
                                        [run, graph = reinterpret_cast<ExecutableGraph*>(exec)->graph] {
                                          if (*run == nullptr) {
                                            *run = std::make_unique<GraphRun>(graph, Random(scheduler().draw()));
                                          }
                                          return (*run)->advance();
                                        });
}

Status launch_by_address(const void*, Dim3, Dim3, void**, std::size_t, bool, StreamHandle) {
  fail("kernels are launched by cuda/launch.h alone");
}

void add_memory(Api& api) {
  api.memory_info = [](std::size_t* free_bytes, std::size_t* total_bytes) {
    *free_bytes = memory().free_bytes();
    *total_bytes = memory().total_bytes();
    return kSuccess;
  };
  api.malloc = allocate;
  api.free = release;
  api.malloc_host = [](void** address, std::size_t bytes) {
    *address = PinnedMemory::instance().allocate(bytes);
    return *address == nullptr ? kOutOfMemory : kSuccess;
  };
  api.free_host = [](void* address) {
    scheduler().synchronize_thread();
    PinnedMemory::instance().release(address);
    return kSuccess;
  };
  api.memcpy_async = [](void* to, const void* from, std::size_t bytes, CopyKind kind, StreamHandle stream) {
    return copy_async(to, from, bytes, kind, stream_of(stream));
  };
  api.memset_async = [](void* address, int byte, std::size_t bytes, StreamHandle stream) {
    return fill_async(address, byte, bytes, stream_of(stream));
  };
  // Who shares memory, if only with threads of its process, has ranks that may wait for its work.
  api.ipc_get_handle = [](IpcHandle* handle, void* address) {
    const Status status = memory().export_handle(*handle, address);
    if (status == kSuccess) {
      run_without_host();
    }
    return status;
  };
  api.ipc_open_handle = [](void** address, const IpcHandle* handle) {
    const Status status = memory().import_handle(address, *handle);
    if (status == kSuccess) {
      run_without_host();
    }
    return status;
  };
  api.ipc_close_handle = [](void* address) {
    scheduler().synchronize_thread();
    return memory().close_imported(address);
  };
}

void add_streams_and_events(Api& api) {
  api.stream_create = [](StreamHandle* stream) {
    *stream = reinterpret_cast<StreamHandle>(scheduler().make_stream());
    return kSuccess;
  };
  api.stream_destroy = [](StreamHandle stream) { return scheduler().destroy(stream_of(stream)); };
  api.stream_synchronize = [](StreamHandle stream) { return scheduler().synchronize(stream_of(stream)); };
  api.stream_query = [](StreamHandle stream) { return scheduler().query(stream_of(stream)); };
  api.stream_wait_event = [](StreamHandle stream, EventHandle event) {
    return scheduler().wait(stream_of(stream), event_of(event));
  };
  api.event_create = [](EventHandle* event) {
    *event = reinterpret_cast<EventHandle>(scheduler().make_event());
    return kSuccess;
  };
  api.event_destroy = [](EventHandle event) { return scheduler().destroy(event_of(event)); };
  api.event_record = [](EventHandle event, StreamHandle stream) {
    return scheduler().record(event_of(event), stream_of(stream));
  };
  api.event_synchronize = [](EventHandle event) { return scheduler().synchronize(event_of(event)); };
  api.event_query = [](EventHandle event) { return scheduler().query(event_of(event)); };
  api.event_elapsed_ms = [](float* milliseconds, EventHandle begin, EventHandle end) {
    return scheduler().elapsed_ms(milliseconds, event_of(begin), event_of(end));
  };
}

void add_graphs(Api& api) {
  api.stream_begin_capture = [](StreamHandle stream) { return scheduler().begin_capture(stream_of(stream)); };
  api.stream_end_capture = end_capture;
  api.graph_instantiate = [](GraphExecHandle* exec, GraphHandle graph) {
    *exec = reinterpret_cast<GraphExecHandle>(new ExecutableGraph(*reinterpret_cast<ExecutableGraph*>(graph)));
    return kSuccess;
  };
  api.graph_launch = launch_graph;
  api.graph_destroy = [](GraphHandle graph) {
    delete reinterpret_cast<ExecutableGraph*>(graph);
    return kSuccess;
  };
  api.graph_exec_destroy = [](GraphExecHandle exec) {
    delete reinterpret_cast<ExecutableGraph*>(exec);
    return kSuccess;
  };
}

Api make_api() {
  Api api = {};
  api.name = "cuda-emulated";
  api.error_string = error_string;
  api.device_count = [](int* count) {
    *count = devices();
    return kSuccess;
  };
  api.set_device = set_device;
  api.device_properties = device_properties;
  api.set_max_shared_bytes = [](const void*, int bytes) {
    return bytes < 0 || static_cast<std::size_t>(bytes) > kMaxSharedBytes ? kInvalidValue : kSuccess;
  };
  api.launch_kernel = launch_by_address;
  api.encode_tensor_map = [](TensorMap* map, const void* memory, const TensorMapShape& shape) {
    return encode(*map, memory, shape) ? kSuccess : kInvalidValue;
  };
  api.last_error = [] { return kSuccess; };
  add_memory(api);
  add_streams_and_events(api);
  add_graphs(api);
  return api;
}

}  // namespace

Status enqueue(const char*, StreamHandle stream, std::function<void()> work) {
  return scheduler().enqueue(stream_of(stream), std::move(work));
}

Status enqueue_until_done(const char*, StreamHandle stream, std::function<bool()> work) {
  return scheduler().enqueue_until_done(stream_of(stream), std::move(work));
}

void hold_while_recorded(StreamHandle stream, const std::shared_ptr<std::atomic<int>>& count) {
  scheduler().hold_while_recorded(stream_of(stream), count);
}

void run_without_host() {
  scheduler().run_without_host();
}

void reseed(uint64_t seed) {
  scheduler().reseed(seed);
}

void enqueue_kernel(const char* name, const LaunchShape& shape, std::function<void()> body) {
  const Dim3& block = shape.block;
  if (block.x * block.y * block.z == 0 || block.x * block.y * block.z > kMaxThreads || shape.grid.y > 65535 ||
      shape.grid.z > 65535 || shape.shared_bytes > kMaxSharedBytes) {
    check(kInvalidValue, name);
  }
  const auto launch = std::make_shared<const Launch>(
      Launch{name, shape.grid, block, shape.shared_bytes, shape.overlaps, std::move(body)});
  check(scheduler().enqueue(stream_of(shape.stream), [launch] { run_grid(*launch, scheduler().draw()); }), name);
}

void check_pointer(const char* name, const void* pointer) {
  if (pointer != nullptr && !PinnedMemory::instance().covers(pointer, 1)) {
    memory().check_range(pointer, 0, format("kernel %s is given", name).c_str());
  }
}

}  // namespace emulator

const Api& api() {
  static const Api api = emulator::make_api();
  return api;
}

}  // namespace longship::cuda
