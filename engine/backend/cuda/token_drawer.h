#pragma once

#include <array>
#include <memory>
#include <span>

#include "cuda/staging.h"
#include "engine/backend/kernels.h"

namespace longship::cuda {

/// Chooses tokens from logits on the device. Their copies to the host begin at once. One thread at a time.
class TokenDrawer {
 public:
  TokenDrawer() = default;
  ~TokenDrawer();
  TokenDrawer(const TokenDrawer&) = delete;
  TokenDrawer& operator=(const TokenDrawer&) = delete;

  /// Of the device, at most: see Kernels::draw_bytes().
  static int64_t bytes(int64_t rows, std::span<const Range> shares);

  /// See Kernels::draw_tokens().
  std::unique_ptr<DrawnTokens> draw(const Tensor& logits, std::span<const TokenDraw> draws, Staging& staging,
                                    Stream& stream);
  std::unique_ptr<DrawnTokens> draw(const Tensor& logits, const VocabularyShard& shard,
                                    std::span<const TokenDraw> draws, Staging& staging, Stream& stream);

 private:
  class Drawn;
  // Of the host, for the tokens of one call.
  struct Slot {
    std::shared_ptr<void> memory{};
    std::size_t count = 0;  // that the memory has room for
    EventHandle event = nullptr;
    bool in_use = false;
  };

  class Parts;
  struct RowParts;
  struct ShardParts;

  std::byte* memory_of(const Parts& parts, StreamHandle stream);
  Slot& take_slot(std::size_t count, StreamHandle stream);
  // Begins to copy what was drawn to the host.
  std::unique_ptr<DrawnTokens> deliver(const int32_t* tokens, std::size_t count, StreamHandle stream);

  std::shared_ptr<void> memory_;  // what is drawn, candidates and sums on the way to tokens, tokens
  std::size_t bytes_ = 0;
  std::array<Slot, Kernels::kMostDrawn> slots_;
};

}  // namespace longship::cuda
