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

// Keys, values and queries of a sequence, and the store that holds the keys and values.
struct SequenceData {
  SequenceData(const Case& c, int64_t tokens, unsigned seed) : SequenceData(c, tokens, RandomData(seed)) {}
  SequenceData(const Case& c, int64_t tokens, RandomData data)
      : queries(data.tensor({tokens, c.heads * c.head_dim}, 2.0F)),
        keys(data.tensor({tokens, c.kv_heads * c.head_dim})),
        values(data.tensor({tokens, c.kv_heads * c.head_dim})) {}

  Tensor queries;
  Tensor keys;
  Tensor values;
};

class AttentionInvarianceTest : public BackendTest {
 protected:
  void SetUp() override {
    BackendTest::SetUp();
    if (!IsSkipped()) {
      kernels().reserve(3 * tokens(), 1);
    }
  }

  // Emulated devices take a few of them.
  static std::vector<Case> every_case() {
    if (GetParam().slow) {
      return {{DType::kF16, 6, 2, 64, 0},
              {DType::kF32, 5, 1, 12, 70},
              {DType::kBF16, 4, 2, 160, 0},
              {DType::kQ8_0, 3, 3, 32, 100},
              {DType::kF32, 1, 1, 300, 0}};
    }
    return {{DType::kF16, 9, 3, 64, 0},    {DType::kF32, 4, 4, 12, 0},  {DType::kF16, 5, 1, 20, 70},
            {DType::kF32, 6, 2, 128, 64},  {DType::kBF16, 7, 1, 40, 0}, {DType::kQ8_0, 6, 2, 96, 0},
            {DType::kQ8_0, 8, 1, 64, 100}, {DType::kF16, 6, 2, 32, 400}};
  }

  // Nine chunks of keys, or three: several segments, of which the last is not full, where threads or blocks share one
  // token.
  static int64_t tokens() { return GetParam().slow ? 150 : 530; }

  // Pages of zeros, or of values that are not numbers.
  KvLayer store(const Case& c, int64_t pages, int byte = 0) {
    KvLayer kv;
    for (const bool keys : {true, false}) {
      Tensor host = Tensor::allocate(
          c.kv_type, {pages, c.kv_heads, keys ? c.head_dim : kPageTokens, keys ? kPageTokens : c.head_dim});
      std::memset(host.data<void>(), byte, static_cast<std::size_t>(host.bytes()));
      (keys ? kv.keys : kv.values) = to_device(host);
    }
    return kv;
  }

  static std::vector<int32_t> pages_from(int32_t first) {
    std::vector<int32_t> pages;
    for (int32_t page = 0; page * kPageTokens < tokens(); ++page) {
      pages.push_back(first + page);
    }
    return pages;
  }

  // One step: the named tokens of each sequence, whose pages follow each other in the store.
  std::vector<Tensor> step(const Case& c, std::span<const SequenceData> sequences, std::span<const Range> ranges,
                           KvLayer& kv) {
    Batch batch;
    int64_t rows = 0;
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      const auto first_page = static_cast<int32_t>(i * pages_from(0).size());
      batch.slices.push_back({rows, ranges[i].size(), ranges[i].begin, pages_from(first_page)});
      rows += ranges[i].size();
    }
    batch.positions = kernels().allocate(DType::kI32, {rows});
    const Tensor q = to_device(gather(sequences, ranges, rows, &SequenceData::queries));
    const Tensor k = to_device(gather(sequences, ranges, rows, &SequenceData::keys));
    const Tensor v = to_device(gather(sequences, ranges, rows, &SequenceData::values));
    kernels().begin_step(batch, stream());
    kernels().kv_write({k, 0, c.kv_heads, c.head_dim}, {v, 0, c.kv_heads, c.head_dim}, batch, kv, stream());
    AttentionSpec spec{.scale = 0.25F, .window = c.window, .kv_head = {}};
    for (int64_t head = 0; head < c.heads; ++head) {
      spec.kv_head.push_back(static_cast<int32_t>(head * c.kv_heads / c.heads));
    }
    Tensor on_device = device_tensor({rows, c.heads * c.head_dim});
    kernels().attention({q, 0, c.heads, c.head_dim}, kv, batch, spec, on_device, stream());
    const Tensor out = to_host(on_device);
    std::vector<Tensor> outs;
    for (const BatchSlice& slice : batch.slices) {
      outs.push_back(out.slice(slice.first_row, slice.first_row + slice.rows));
    }
    return outs;
  }

  static Tensor gather(std::span<const SequenceData> sequences, std::span<const Range> ranges, int64_t rows,
                       Tensor SequenceData::*member) {
    const int64_t width = (sequences[0].*member).dim(1);
    Tensor all = Tensor::allocate(DType::kF32, {rows, width});
    float* to = all.data<float>();
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      to = std::copy_n((sequences[i].*member).data<float>() + ranges[i].begin * width, ranges[i].size() * width, to);
    }
    return all;
  }

  // The whole sequence in one step.
  Tensor whole(const Case& c, const SequenceData& sequence) {
    KvLayer kv = store(c, std::ssize(pages_from(0)));
    const Range all{0, tokens()};
    return step(c, {&sequence, 1}, {&all, 1}, kv).front();
  }
};

INSTANTIATE_TEST_SUITE_P(Backends, AttentionInvarianceTest, testing::ValuesIn(variants_with_threads()), variant_name);

TEST_P(AttentionInvarianceTest, ChunksOfThePrompt) {
  for (const Case& c : every_case()) {
    const SequenceData sequence(c, tokens(), 5);
    const Tensor expected = whole(c, sequence);
    for (const int64_t chunk : {1, 3, 64, 100}) {
      KvLayer kv = store(c, std::ssize(pages_from(0)));
      for (int64_t begin = 0; begin < tokens(); begin += chunk) {
        const Range range{begin, std::min(tokens(), begin + chunk)};
        const Tensor out = step(c, {&sequence, 1}, {&range, 1}, kv).front();
        expect_same_bits(out, expected.slice(range.begin, range.end), "chunk " + std::to_string(chunk));
      }
    }
  }
}

TEST_P(AttentionInvarianceTest, BatchesOfSequences) {
  for (const Case& c : every_case()) {
    const std::vector<SequenceData> sequences = {SequenceData(c, tokens(), 1), SequenceData(c, tokens(), 2),
                                                 SequenceData(c, tokens(), 3)};
    KvLayer kv = store(c, 3 * std::ssize(pages_from(0)));
    std::vector<Range> ranges = {{0, tokens() - 30}, {0, 1}, {0, 70}};
    std::vector<Tensor> expected;
    for (const SequenceData& sequence : sequences) {
      expected.push_back(whole(c, sequence));
    }
    for (int round = 0; round < 3; ++round) {
      const std::vector<Tensor> outs = step(c, sequences, ranges, kv);
      for (std::size_t i = 0; i < outs.size(); ++i) {
        expect_same_bits(outs[i], expected[i].slice(ranges[i].begin, ranges[i].end), "sequence " + std::to_string(i));
        ranges[i] = {ranges[i].end, ranges[i].end + static_cast<int64_t>(i) + 1};
      }
    }
  }
}

// Pages are used again: what an earlier sequence left behind the present one's last key must not matter.
TEST_P(AttentionInvarianceTest, WhatPagesHeldBefore) {
  for (const Case& c : every_case()) {
    const SequenceData sequence(c, tokens(), 8);
    const Tensor expected = whole(c, sequence);
    KvLayer kv = store(c, std::ssize(pages_from(0)), 0xFF);
    for (const Range range : {Range{0, 130}, Range{130, 131}}) {
      const Tensor out = step(c, {&sequence, 1}, {&range, 1}, kv).front();
      expect_same_bits(out, expected.slice(range.begin, range.end), "not a number behind the last key");
    }
  }
}

}  // namespace
}  // namespace longship
