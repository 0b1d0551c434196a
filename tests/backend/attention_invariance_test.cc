// Attention gives a token the same bits whether it comes alone, in a chunk of its prompt, or in a batch of sequences.
#include "core/range.h"
#include "variants.h"

namespace longship {
namespace {

struct Case {
  DType kv_type;
  int64_t heads;
  int64_t kv_heads;
  int64_t head_dim;
  int64_t window;
};

// Nine chunks of keys: several segments, of which the last is not full, where threads share one token.
constexpr int64_t kTokens = 530;

// Keys, values and queries of a sequence, and the store that holds the keys and values.
struct SequenceData {
  SequenceData(const Case& c, unsigned seed) : SequenceData(c, RandomData(seed)) {}
  SequenceData(const Case& c, RandomData data)
      : queries(data.tensor({kTokens, c.heads * c.head_dim}, 2.0F)),
        keys(data.tensor({kTokens, c.kv_heads * c.head_dim})),
        values(data.tensor({kTokens, c.kv_heads * c.head_dim})) {}

  Tensor queries;
  Tensor keys;
  Tensor values;
};

class AttentionInvarianceTest : public BackendTest {
 protected:
  void SetUp() override {
    BackendTest::SetUp();
    if (!IsSkipped()) {
      kernels().reserve(3 * kTokens, 1);
    }
  }

  static std::vector<Case> every_case() {
    return {{DType::kF16, 9, 3, 64, 0},    {DType::kF32, 4, 4, 12, 0},  {DType::kF16, 5, 1, 20, 70},
            {DType::kF32, 6, 2, 128, 64},  {DType::kBF16, 7, 1, 40, 0}, {DType::kQ8_0, 6, 2, 96, 0},
            {DType::kQ8_0, 8, 1, 64, 100}, {DType::kF16, 6, 2, 32, 400}};
  }

  static KvLayer store(const Case& c, int64_t pages) {
    return {Tensor::allocate(c.kv_type, {pages, c.kv_heads, c.head_dim, kPageTokens}),
            Tensor::allocate(c.kv_type, {pages, c.kv_heads, kPageTokens, c.head_dim})};
  }

  static std::vector<int32_t> pages_from(int32_t first) {
    std::vector<int32_t> pages;
    for (int32_t page = 0; page * kPageTokens < kTokens; ++page) {
      pages.push_back(first + page);
    }
    return pages;
  }

  // One step: the named tokens of each sequence, whose pages follow each other in the store.
  std::vector<Tensor> step(const Case& c, std::span<const SequenceData> sequences, std::span<const Range> tokens,
                           KvLayer& kv) {
    Batch batch;
    int64_t rows = 0;
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      const auto first_page = static_cast<int32_t>(i * pages_from(0).size());
      batch.slices.push_back({rows, tokens[i].size(), tokens[i].begin, pages_from(first_page)});
      rows += tokens[i].size();
    }
    batch.positions = Tensor::allocate(DType::kI32, {rows});
    const Tensor q = gather(sequences, tokens, rows, &SequenceData::queries);
    const Tensor k = gather(sequences, tokens, rows, &SequenceData::keys);
    const Tensor v = gather(sequences, tokens, rows, &SequenceData::values);
    kernels().kv_write({k, 0, c.kv_heads, c.head_dim}, {v, 0, c.kv_heads, c.head_dim}, batch, kv, stream_);
    AttentionSpec spec{.scale = 0.25F, .window = c.window, .kv_head = {}};
    for (int64_t head = 0; head < c.heads; ++head) {
      spec.kv_head.push_back(static_cast<int32_t>(head * c.kv_heads / c.heads));
    }
    Tensor out = Tensor::allocate(DType::kF32, {rows, c.heads * c.head_dim});
    kernels().attention({q, 0, c.heads, c.head_dim}, kv, batch, spec, out, stream_);
    std::vector<Tensor> outs;
    for (const BatchSlice& slice : batch.slices) {
      outs.push_back(out.slice(slice.first_row, slice.first_row + slice.rows));
    }
    return outs;
  }

  static Tensor gather(std::span<const SequenceData> sequences, std::span<const Range> tokens, int64_t rows,
                       Tensor SequenceData::*member) {
    const int64_t width = (sequences[0].*member).dim(1);
    Tensor all = Tensor::allocate(DType::kF32, {rows, width});
    float* to = all.data<float>();
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      to = std::copy_n((sequences[i].*member).data<float>() + tokens[i].begin * width, tokens[i].size() * width, to);
    }
    return all;
  }

  // The whole sequence in one step.
  Tensor whole(const Case& c, const SequenceData& sequence) {
    KvLayer kv = store(c, std::ssize(pages_from(0)));
    const Range all{0, kTokens};
    return step(c, {&sequence, 1}, {&all, 1}, kv).front();
  }
};

// Threads share the keys of a token that comes alone.
std::vector<Variant> with_threads() {
  std::vector<Variant> all = every_variant();
  for (Variant variant : cpu_variants()) {
    variant.name += "Threads";
    variant.options.threads = 3;
    all.push_back(variant);
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Backends, AttentionInvarianceTest, testing::ValuesIn(with_threads()), variant_name);

TEST_P(AttentionInvarianceTest, ChunksOfThePrompt) {
  for (const Case& c : every_case()) {
    const SequenceData sequence(c, 5);
    const Tensor expected = whole(c, sequence);
    for (const int64_t chunk : {1, 3, 64, 100}) {
      KvLayer kv = store(c, std::ssize(pages_from(0)));
      for (int64_t begin = 0; begin < kTokens; begin += chunk) {
        const Range tokens{begin, std::min(kTokens, begin + chunk)};
        const Tensor out = step(c, {&sequence, 1}, {&tokens, 1}, kv).front();
        expect_same_bits(out, expected.slice(tokens.begin, tokens.end), "chunk " + std::to_string(chunk));
      }
    }
  }
}

TEST_P(AttentionInvarianceTest, BatchesOfSequences) {
  for (const Case& c : every_case()) {
    const std::vector<SequenceData> sequences = {SequenceData(c, 1), SequenceData(c, 2), SequenceData(c, 3)};
    KvLayer kv = store(c, 3 * std::ssize(pages_from(0)));
    std::vector<Range> tokens = {{0, 500}, {0, 1}, {0, 70}};
    std::vector<Tensor> expected;
    for (const SequenceData& sequence : sequences) {
      expected.push_back(whole(c, sequence));
    }
    for (int round = 0; round < 3; ++round) {
      const std::vector<Tensor> outs = step(c, sequences, tokens, kv);
      for (std::size_t i = 0; i < outs.size(); ++i) {
        expect_same_bits(outs[i], expected[i].slice(tokens[i].begin, tokens[i].end), "sequence " + std::to_string(i));
        tokens[i] = {tokens[i].end, tokens[i].end + static_cast<int64_t>(i) + 1};
      }
    }
  }
}

// Pages are used again: what an earlier sequence left behind the present one's last key must not matter.
TEST_P(AttentionInvarianceTest, WhatPagesHeldBefore) {
  for (const Case& c : every_case()) {
    const SequenceData sequence(c, 8);
    const Tensor expected = whole(c, sequence);
    KvLayer kv = store(c, std::ssize(pages_from(0)));
    std::memset(kv.keys.data<void>(), 0xFF, static_cast<std::size_t>(kv.keys.bytes()));
    std::memset(kv.values.data<void>(), 0xFF, static_cast<std::size_t>(kv.values.bytes()));
    for (const Range tokens : {Range{0, 150}, Range{150, 151}}) {
      const Tensor out = step(c, {&sequence, 1}, {&tokens, 1}, kv).front();
      expect_same_bits(out, expected.slice(tokens.begin, tokens.end), "not a number behind the last key");
    }
  }
}

}  // namespace
}  // namespace longship
