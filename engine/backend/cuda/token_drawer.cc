#include "engine/backend/cuda/token_drawer.h"

#include <algorithm>

#include "cuda/memory.h"
#include "cuda/watch.h"
#include "engine/backend/cuda/cuda_stream.h"
#include "engine/backend/cuda/kernels/draw.h"

namespace longship::cuda {

class TokenDrawer::Drawn : public DrawnTokens {
 public:
  Drawn(Slot& slot, const int32_t* tokens, std::size_t count) : slot_(slot), tokens_(tokens), count_(count) {}
  ~Drawn() override { slot_.in_use = false; }

  std::span<const int32_t> read() override {
    wait(slot_.event);
    return {static_cast<const int32_t*>(slot_.memory.get()), count_};
  }

  void feed(Tensor& tokens, Stream& stream) override {
    LONGSHIP_CHECK(tokens.elements() >= static_cast<int64_t>(count_), "there is room for the tokens");
    launch_feed(tokens_, static_cast<int>(count_), tokens.data<int32_t>(), handle_of(stream));
  }

 private:
  Slot& slot_;
  const int32_t* tokens_;  // of the device
  std::size_t count_;
};

TokenDrawer::~TokenDrawer() {
  for (const Slot& slot : slots_) {
    if (slot.event != nullptr) {
      api().event_synchronize(slot.event);
      api().event_destroy(slot.event);
    }
  }
}

TokenDrawer::Slot& TokenDrawer::take_slot(std::size_t count, StreamHandle stream) {
  const auto slot = std::find_if(slots_.begin(), slots_.end(), [](const Slot& one) { return !one.in_use; });
  LONGSHIP_CHECK(slot != slots_.end(), "few drawn tokens are kept");
  if (slot->event == nullptr) {
    check(api().event_create(&slot->event), "create an event");
  }
  if (slot->count < count) {
    wait(stream);  // which may still write to the memory
    slot->count = 2 * count;
    slot->memory = allocate_pinned(slot->count * sizeof(int32_t));
  }
  return *slot;
}

std::unique_ptr<DrawnTokens> TokenDrawer::draw(const Tensor& logits, std::span<const TokenDraw> draws, Staging& staging,
                                               StreamHandle stream) {
  const auto count = draws.size();
  const auto vocab = static_cast<int>(logits.dim(1));
  const int blocks = (vocab + kSumTokens - 1) / kSumTokens;
  const int segments = draw_segments(vocab);
  const std::size_t firsts_at =
      (count * sizeof(TokenDraw) + sizeof(uint64_t) - 1) / sizeof(uint64_t) * sizeof(uint64_t);
  const std::size_t sums_at = firsts_at + count * static_cast<std::size_t>(segments) * sizeof(uint64_t);
  const std::size_t tokens_at = sums_at + count * static_cast<std::size_t>(blocks) * sizeof(DrawSum);
  const std::size_t bytes = tokens_at + count * sizeof(int32_t);
  if (bytes > bytes_) {
    wait(stream);  // which may still use the memory
    bytes_ = 2 * bytes;
    memory_ = allocate_device(bytes_);
  }
  auto* memory = static_cast<std::byte*>(memory_.get());
  staging.copy(draws.data(), memory, count * sizeof(TokenDraw), stream);
  const DrawArguments arguments{.logits = logits.data<float>(),
                                .vocab = vocab,
                                .draws = reinterpret_cast<const TokenDraw*>(memory),
                                .count = static_cast<int>(count),
                                .blocks = blocks,
                                .sums = reinterpret_cast<DrawSum*>(memory + sums_at),
                                .segments = segments,
                                .firsts = reinterpret_cast<uint64_t*>(memory + firsts_at),
                                .tokens = reinterpret_cast<int32_t*>(memory + tokens_at)};
  launch_draw(arguments, needs_sums(draws), stream);
  Slot& slot = take_slot(count, stream);
  check(
      api().memcpy_async(slot.memory.get(), arguments.tokens, count * sizeof(int32_t), CopyKind::kDeviceToHost, stream),
      "copy from the device");
  check(api().event_record(slot.event, stream), "record an event");
  slot.in_use = true;
  return std::make_unique<Drawn>(slot, arguments.tokens, count);
}

}  // namespace longship::cuda
