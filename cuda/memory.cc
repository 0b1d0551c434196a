#include "cuda/memory.h"

#include <new>

#include "cuda/api.h"

namespace longship::cuda {

namespace {

std::shared_ptr<void> allocate(std::size_t bytes, Status (*take)(void**, std::size_t), Status (*give_back)(void*)) {
  void* memory = nullptr;
  if (bytes == 0) {
    return nullptr;
  }
  if (take(&memory, bytes) != kSuccess) {
    api().last_error();  // a failed allocation leaves nothing behind that the next call could report
    throw std::bad_alloc();
  }
  return {memory, [give_back](void* released) { give_back(released); }};
}

}  // namespace

std::shared_ptr<void> allocate_device(std::size_t bytes) {
  return allocate(bytes, api().malloc, api().free);
}

std::shared_ptr<void> allocate_pinned(std::size_t bytes) {
  return allocate(bytes, api().malloc_host, api().free_host);
}

}  // namespace longship::cuda
