#include "comm/cuda/ipc_message.h"

#include "comm/cuda/ipc_wait.h"
#include "cuda/launch.h"

namespace longship {

namespace {

constexpr int kThreads = 256;
// A block's part is a multiple of what its threads copy at once.
constexpr int64_t kLeastPart = int64_t{kThreads} * 16;

struct Part {
  int64_t begin = 0;
  int64_t bytes = 0;
};

// The same on both sides.
constexpr int64_t part_bytes(int64_t bytes) {
  const int64_t even = (bytes + IpcMessage::kBlocks - 1) / IpcMessage::kBlocks;
  return (even + kLeastPart - 1) / kLeastPart * kLeastPart;
}

__device__ Part part_of_block(const IpcMessage& message) {
  const int64_t most = part_bytes(message.bytes);
  const int64_t begin = static_cast<int64_t>(blockIdx.x) * most;
  const int64_t rest = message.bytes - begin;
  return {begin, rest < most ? rest : most};
}

__device__ void copy_part(std::byte* to, const std::byte* from, int64_t bytes) {
  constexpr int kUnroll = 4;
  const bool whole = (reinterpret_cast<uintptr_t>(to) | reinterpret_cast<uintptr_t>(from)) % sizeof(uint4) == 0;
  const int64_t words = whole ? bytes / static_cast<int64_t>(sizeof(uint4)) : 0;
  const auto* read = reinterpret_cast<const uint4*>(from);
  auto* written = reinterpret_cast<uint4*>(to);
  const auto thread = static_cast<int64_t>(threadIdx.x);
  for (int64_t first = thread; first < words; first += kUnroll * kThreads) {
    uint4 values[kUnroll];
#pragma unroll
    for (int i = 0; i < kUnroll; ++i) {
      if (first + i * kThreads < words) {
        values[i] = read[first + i * kThreads];
      }
    }
#pragma unroll
    for (int i = 0; i < kUnroll; ++i) {
      if (first + i * kThreads < words) {
        written[first + i * kThreads] = values[i];
      }
    }
  }
  for (int64_t i = words * static_cast<int64_t>(sizeof(uint4)) + thread; i < bytes; i += kThreads) {
    to[i] = from[i];
  }
}

// Says that this block is done, and the first one that those are which have no part. Who has given up says nothing.
__device__ void tell(uint32_t* flags, const IpcMessage& message) {
  __syncthreads();
  const auto thread = static_cast<int>(threadIdx.x);
  if (cuda::load_acquire_system(message.patience.broken) != 0) {
    return;
  }
  if (thread == 0) {
    __threadfence_system();
    cuda::store_release_system(flags + blockIdx.x * IpcMessage::kFlagStride, message.number);
  }
  const int idle = static_cast<int>(gridDim.x) + thread;
  if (blockIdx.x == 0 && idle < IpcMessage::kBlocks) {
    cuda::store_release_system(flags + idle * IpcMessage::kFlagStride, message.number);
  }
}

__global__ void __launch_bounds__(kThreads)
    send_message(IpcMessage message, const std::byte* x, IpcOffer offer, IpcOffer* to) {
  const auto thread = static_cast<int>(threadIdx.x);
  if (thread < IpcMessage::kBlocks) {
    wait_for(message.fetched + thread * IpcMessage::kFlagStride, message.number - IpcMessage::kSlots, message.patience,
             IpcFailure::kSend, message.peer);
  }
  __syncthreads();
  const Part part = part_of_block(message);
  copy_part(message.slot + part.begin, x + part.begin, part.bytes);
  if (to != nullptr && blockIdx.x == 0 && thread == 0) {
    *to = offer;
  }
  tell(message.filled, message);
}

__global__ void await_message(IpcMessage message) {
  wait_for(message.filled, message.number, message.patience, IpcFailure::kRecv, message.peer);
}

__global__ void __launch_bounds__(kThreads) recv_message(IpcMessage message, std::byte* x) {
  if (threadIdx.x == 0) {
    wait_for(message.filled + blockIdx.x * IpcMessage::kFlagStride, message.number, message.patience, IpcFailure::kRecv,
             message.peer);
  }
  __syncthreads();
  const Part part = part_of_block(message);
  if (cuda::load_acquire_system(message.patience.broken) == 0) {
    copy_part(x + part.begin, message.slot + part.begin, part.bytes);
  }
  tell(message.fetched, message);
}

cuda::LaunchShape shape_of(const IpcMessage& message, cuda::StreamHandle stream) {
  const int64_t part = part_bytes(message.bytes);
  return {.grid = {static_cast<unsigned>((message.bytes + part - 1) / part)}, .block = {kThreads}, .stream = stream};
}

}  // namespace

void ipc_send(const IpcMessage& message, const std::byte* x, const IpcOffer& offer, IpcOffer* to,
              cuda::StreamHandle stream) {
  cuda::launch(send_message, "ipc_send", shape_of(message, stream), message, x, offer, to);
}

void ipc_await(const IpcMessage& message, cuda::StreamHandle stream) {
  cuda::launch(await_message, "ipc_await", {.grid = {1}, .block = {1}, .stream = stream}, message);
}

void ipc_recv(const IpcMessage& message, std::byte* x, cuda::StreamHandle stream) {
  cuda::launch(recv_message, "ipc_recv", shape_of(message, stream), message, x);
}

}  // namespace longship
