#include "engine/backend/cuda/token_drawer.h"

#include <algorithm>

#include "cuda/memory.h"
#include "cuda/watch.h"
#include "engine/backend/cuda/cuda_stream.h"
#include "engine/backend/cuda/kernels/draw.h"

namespace longship::cuda {

namespace {

// As many times what is needed is allocated, so that it seldom is.
constexpr std::size_t kSpare = 2;

int blocks_of(int64_t tokens) {
  return static_cast<int>((tokens + kSumTokens - 1) / kSumTokens);
}

int64_t longest_of(std::span<const Range> shares) {
  return std::ranges::max(shares, {}, [](const Range& share) { return share.size(); }).size();
}

}  // namespace

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

// Places of arrays in one piece of memory, each at a whole number of 8 bytes.
class TokenDrawer::Parts {
 public:
  template <class T>
  std::size_t add(std::size_t count) {
    constexpr std::size_t kWord = sizeof(uint64_t);
    static_assert(alignof(T) <= kWord);
    const std::size_t at = bytes_;
    bytes_ += (count * sizeof(T) + kWord - 1) / kWord * kWord;
    return at;
  }
  std::size_t bytes() const { return bytes_; }

 private:
  std::size_t bytes_ = 0;
};

// Where what is of a draw from whole rows.
struct TokenDrawer::RowParts {
  RowParts(std::size_t count, int vocab)
      : draws(parts.add<TokenDraw>(count)),
        firsts(parts.add<uint64_t>(count * static_cast<std::size_t>(draw_segments(vocab)))),
        sums(parts.add<DrawSum>(count * static_cast<std::size_t>(blocks_of(vocab)))),
        tokens(parts.add<int32_t>(count)) {}

  Parts parts;
  std::size_t draws;
  std::size_t firsts;
  std::size_t sums;
  std::size_t tokens;
};

// The same where ranks have parts of a row each.
struct TokenDrawer::ShardParts {
  ShardParts(const ShardArguments& mine, std::size_t ranks)
      : draws(parts.add<TokenDraw>(static_cast<std::size_t>(mine.count))),
        firsts(parts.add<uint64_t>(static_cast<std::size_t>(mine.count * mine.segments))),
        message(parts.add<uint64_t>(static_cast<std::size_t>(mine.message_words()))),
        messages(parts.add<uint64_t>(static_cast<std::size_t>(mine.message_words()) * ranks)),
        tokens(parts.add<int32_t>(static_cast<std::size_t>(mine.count))) {}

  Parts parts;
  std::size_t draws;
  std::size_t firsts;
  std::size_t message;
  std::size_t messages;
  std::size_t tokens;
};

int64_t TokenDrawer::bytes(int64_t rows, std::span<const Range> shares) {
  const auto longest = static_cast<int>(longest_of(shares));
  const Parts parts = shares.size() == 1 ? RowParts(static_cast<std::size_t>(rows), longest).parts
                                         : ShardParts({.count = static_cast<int>(rows),
                                                       .segments = draw_segments(longest),
                                                       .most = static_cast<int>(kMostCandidates),
                                                       .blocks = blocks_of(longest)},
                                                      shares.size())
                                               .parts;
  return static_cast<int64_t>(kSpare * parts.bytes());
}

std::byte* TokenDrawer::memory_of(const Parts& parts, StreamHandle stream) {
  if (parts.bytes() > bytes_) {
    wait(stream);  // which may still use the memory
    bytes_ = 0;
    memory_ = nullptr;
    memory_ = allocate_device(kSpare * parts.bytes());
    bytes_ = kSpare * parts.bytes();
  }
  return static_cast<std::byte*>(memory_.get());
}

std::unique_ptr<DrawnTokens> TokenDrawer::deliver(const int32_t* tokens, std::size_t count, StreamHandle stream) {
  Slot& slot = take_slot(count, stream);
  check(api().memcpy_async(slot.memory.get(), tokens, count * sizeof(int32_t), CopyKind::kDeviceToHost, stream),
        "copy from the device");
  check(api().event_record(slot.event, stream), "record an event");
  slot.in_use = true;
  return std::make_unique<Drawn>(slot, tokens, count);
}

namespace {

// Candidates that a draw of these looks at, at most.
int most_candidates(std::span<const TokenDraw> draws) {
  int64_t most = 1;
  for (const TokenDraw& draw : draws) {
    if (draw.temperature > 0) {
      most = std::max<int64_t>(most, draw.top_k > 0 ? draw.top_k : kMostCandidates);
    }
  }
  return static_cast<int>(most);
}

}  // namespace

std::unique_ptr<DrawnTokens> TokenDrawer::draw(const Tensor& logits, std::span<const TokenDraw> draws, Staging& staging,
                                               Stream& stream) {
  const auto count = draws.size();
  const auto vocab = static_cast<int>(logits.dim(1));
  const int blocks = blocks_of(vocab);
  const RowParts at(count, vocab);
  std::byte* memory = memory_of(at.parts, handle_of(stream));
  staging.copy(draws.data(), memory + at.draws, count * sizeof(TokenDraw), handle_of(stream));
  const DrawArguments arguments{.logits = logits.data<float>(),
                                .vocab = vocab,
                                .draws = reinterpret_cast<const TokenDraw*>(memory + at.draws),
                                .count = static_cast<int>(count),
                                .blocks = blocks,
                                .sums = reinterpret_cast<DrawSum*>(memory + at.sums),
                                .segments = draw_segments(vocab),
                                .firsts = reinterpret_cast<uint64_t*>(memory + at.firsts),
                                .tokens = reinterpret_cast<int32_t*>(memory + at.tokens)};
  launch_draw(arguments, needs_sums(draws), handle_of(stream));
  return deliver(arguments.tokens, count, handle_of(stream));
}

std::unique_ptr<DrawnTokens> TokenDrawer::draw(const Tensor& logits, const VocabularyShard& shard,
                                               std::span<const TokenDraw> draws, Staging& staging, Stream& stream) {
  const auto count = draws.size();
  const auto ranks = shard.shares.size();
  ShardArguments mine{.logits = logits.data<float>(),
                      .vocab = static_cast<int>(logits.dim(1)),
                      .first = static_cast<int>(shard.share().begin),
                      .count = static_cast<int>(count),
                      .segments = draw_segments(static_cast<int>(logits.dim(1))),
                      .most = most_candidates(draws),
                      .blocks = needs_sums(draws) ? blocks_of(longest_of(shard.shares)) : 0};
  const auto words = static_cast<std::size_t>(mine.message_words());
  const ShardParts at(mine, ranks);
  std::byte* memory = memory_of(at.parts, handle_of(stream));
  staging.copy(draws.data(), memory + at.draws, count * sizeof(TokenDraw), handle_of(stream));
  mine.draws = reinterpret_cast<const TokenDraw*>(memory + at.draws);
  mine.firsts = reinterpret_cast<const uint64_t*>(memory + at.firsts);
  mine.candidates = reinterpret_cast<uint64_t*>(memory + at.message);
  if (mine.blocks != 0) {  // draws that need no sums write none
    check(api().memset_async(memory + at.message, 0, words * sizeof(uint64_t), handle_of(stream)), "clear sums");
  }
  launch_firsts_and_sums(
      {.logits = mine.logits,
       .vocab = mine.vocab,
       .draws = mine.draws,
       .count = mine.count,
       .blocks = mine.blocks,
       .sums = reinterpret_cast<DrawSum*>(mine.candidates + count * static_cast<std::size_t>(mine.most)),
       .segments = mine.segments,
       .firsts = reinterpret_cast<uint64_t*>(memory + at.firsts)},
      mine.blocks != 0, handle_of(stream));
  launch_shard_candidates(mine, handle_of(stream));
  constexpr std::size_t kHalves = sizeof(uint64_t) / sizeof(int32_t);
  const auto halves = static_cast<int64_t>(words * kHalves);
  Tensor all = Tensor::wrap(DType::kI32, {halves * std::ssize(shard.shares)}, memory + at.messages);
  shard.gather(Tensor::wrap(DType::kI32, {halves}, memory + at.message), all, stream);
  launch_merge({.draws = mine.draws,
                .messages = reinterpret_cast<const uint64_t*>(memory + at.messages),
                .message_words = mine.message_words(),
                .ranks = static_cast<int>(ranks),
                .count = mine.count,
                .most = mine.most,
                .blocks = mine.blocks,
                .tokens = reinterpret_cast<int32_t*>(memory + at.tokens)},
               handle_of(stream));
  return deliver(reinterpret_cast<const int32_t*>(memory + at.tokens), count, handle_of(stream));
}

}  // namespace longship::cuda
