// A device chooses the tokens that the host's sampler chooses.
#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "comm/cuda/device_group.h"
#include "comm/transport.h"
#include "engine/backend/cuda/cuda_kernels.h"
#include "engine/sample/row_sampler.h"

namespace longship {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::unique_ptr<Kernels> make_device() {
  return make_cuda_kernels({.name = "cuda"}, 0);
}

/// Rows of logits and how tokens are chosen from them.
struct Rows {
  int64_t vocab;
  std::vector<float> logits{};  // [rows, V]
  std::vector<SampledRow> rows{};

  std::span<const float> row(std::size_t i) const {
    return std::span(logits).subspan(i * static_cast<std::size_t>(vocab), static_cast<std::size_t>(vocab));
  }
};

SampledRow random_row(std::mt19937_64& random) {
  const auto pick = [&](auto... values) {
    const double all[] = {static_cast<double>(values)...};
    return all[random() % std::size(all)];
  };
  return {.temperature = pick(0, 0.2, 0.7, 1, 1, 1.6, 40, 1e-30),
          .top_k = static_cast<int64_t>(pick(0, 0, 0, 1, 7, 40, 255, 256)),
          .top_p = pick(1, 1, 0, 0.05, 0.5, 0.9, 0.999),
          .min_p = pick(0, 0, 0, 0.001, 0.05, 1),
          .seed = random(),
          .choice = static_cast<uint32_t>(random() % 3),
          .index = random() % 100};
}

// With ties, zeros of both signs, and what no model gives.
Rows random_rows(int64_t vocab, int count, uint64_t seed) {
  std::mt19937_64 random(seed);
  Rows rows{vocab};
  for (int row = 0; row < count; ++row) {
    rows.rows.push_back(random_row(random));
    std::normal_distribution<float> normal(0, random() % 3 == 0 ? 0.1F : 4.0F);
    const bool ties = random() % 2 == 0;
    const uint64_t forbidden = random() % 4 == 0 ? 2 : 500;
    for (int64_t i = 0; i < vocab; ++i) {
      float logit = normal(random);
      logit = ties ? std::round(logit * 4) / 4 : logit;
      logit = random() % forbidden == 0 ? -kInfinity : logit;
      logit = random() % 700 == 0 ? std::numeric_limits<float>::quiet_NaN() : logit;
      rows.logits.push_back(logit);
    }
  }
  return rows;
}

// The columns `share` of all rows, on the device.
Tensor logits_of(Kernels& kernels, const Rows& rows, const Range& share, Stream& stream) {
  std::vector<float> part;
  for (std::size_t i = 0; i < rows.rows.size(); ++i) {
    const auto row = rows.row(i).subspan(static_cast<std::size_t>(share.begin), static_cast<std::size_t>(share.size()));
    part.insert(part.end(), row.begin(), row.end());
  }
  Tensor logits = kernels.allocate(DType::kF32, {std::ssize(rows.rows), share.size()});
  kernels.write(part.data(), logits, stream);
  return logits;
}

std::vector<TokenDraw> draws_of(const Rows& rows) {
  std::vector<TokenDraw> draws;
  for (const SampledRow& row : rows.rows) {
    draws.push_back(token_draw(row, std::ssize(draws)));
  }
  return draws;
}

std::vector<int32_t> draw(Kernels& kernels, const Rows& rows) {
  const auto stream = kernels.make_stream();
  const Tensor logits = logits_of(kernels, rows, {0, rows.vocab}, *stream);
  const auto drawn = kernels.draw_tokens(logits, draws_of(rows), *stream);
  const std::span<const int32_t> tokens = drawn->read();
  return {tokens.begin(), tokens.end()};
}

int32_t expected(const SampledRow& row, std::span<const float> logits) {
  const std::optional<RowChoice> choice = choose(row, summarise(row, logits, logits, 0));
  if (!choice) {
    return kNotAmongFirst;
  }
  return choice->token < 0 ? kNoToken : choice->token;
}

void expect_same(const Rows& rows) {
  const auto kernels = make_device();
  const std::vector<int32_t> tokens = draw(*kernels, rows);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const SampledRow& row = rows.rows[i];
    EXPECT_EQ(tokens[i], expected(row, rows.row(i)))
        << "row " << i << " of " << rows.vocab << ": temperature " << row.temperature << ", top-k " << row.top_k
        << ", top-p " << row.top_p << ", min-p " << row.min_p;
  }
}

class DrawTokens : public ::testing::TestWithParam<int64_t> {};

TEST_P(DrawTokens, ChoosesWhatTheHostChooses) {
  expect_same(random_rows(GetParam(), 60, 7));
}

// Around the sizes of blocks of a sum, of lanes, and of the first candidates.
INSTANTIATE_TEST_SUITE_P(Vocabularies, DrawTokens, ::testing::Values(1, 2, 17, 256, 257, 1023, 1024, 1025, 3000));

TEST(DrawTokens, MoreBlocksOfASumThanThreads) {
  Rows rows = random_rows(300 * 1024 + 5, 2, 3);
  for (SampledRow& row : rows.rows) {
    row.temperature = 0.3;
    row.top_k = 0;
    row.min_p = 0;
  }
  expect_same(rows);
}

TEST(DrawTokens, SaysWhereTheFirstCandidatesDoNotSuffice) {
  Rows rows{2000, std::vector<float>(std::size_t{40} * 2000)};
  for (uint64_t i = 0; i < 40; ++i) {
    rows.rows.push_back({.temperature = 1, .seed = 5, .index = i});
  }
  const auto kernels = make_device();
  const std::vector<int32_t> tokens = draw(*kernels, rows);
  const auto few = std::count(tokens.begin(), tokens.end(), kNotAmongFirst);
  EXPECT_GT(few, 25);
  EXPECT_LT(few, 40);
  expect_same(rows);
}

// Kept and fed on while others are drawn, without waiting for them.
TEST(DrawTokens, AreKeptAndFedOn) {
  const auto kernels = make_device();
  const auto stream = kernels->make_stream();
  Tensor logits = kernels->allocate(DType::kF32, {3, 8});
  Tensor tokens = kernels->allocate(DType::kI32, {4});
  const std::vector<int32_t> before = {9, 9, 9, 9};
  kernels->write(before.data(), tokens, *stream);
  std::vector<std::unique_ptr<DrawnTokens>> kept;
  const auto draw_largest_at = [&](std::size_t a, std::size_t b) {
    std::vector<float> values(24, 0.0F);
    values[a] = values[16 + b] = 1;
    std::fill_n(values.begin() + 8, 8, -kInfinity);  // nothing to choose
    kernels->write(values.data(), logits, *stream);
    kept.push_back(kernels->draw_tokens(logits, std::vector<TokenDraw>{{.row = 0}, {.row = 1}, {.row = 2}}, *stream));
  };
  draw_largest_at(5, 3);
  kept.front()->feed(tokens, *stream);
  draw_largest_at(1, 7);
  draw_largest_at(2, 4);
  const auto values = [](std::span<const int32_t> read) { return std::vector<int32_t>(read.begin(), read.end()); };
  EXPECT_EQ(values(kept[0]->read()), (std::vector<int32_t>{5, kNoToken, 3}));
  EXPECT_EQ(values(kept[2]->read()), (std::vector<int32_t>{2, kNoToken, 4}));
  EXPECT_EQ(values(kept[1]->read()), (std::vector<int32_t>{1, kNoToken, 7}));
  std::vector<int32_t> fed(4);
  kernels->read(tokens, fed.data(), *stream);
  EXPECT_EQ(fed, (std::vector<int32_t>{5, 0, 3, 9}));
}

TEST(DrawTokens, InfinitiesAndEqualLogits) {
  const std::vector<std::vector<float>> kinds = {{1, kInfinity, kInfinity, 0},
                                                 {-kInfinity, -kInfinity, 3, -kInfinity},
                                                 {0.0F, -0.0F, 0.0F, -0.0F},
                                                 {-2, -2, -2, -2}};
  for (const std::vector<float>& logits : kinds) {
    Rows rows{4};
    for (const double temperature : {0.0, 1.0, 1e-300, 1e300}) {
      for (uint64_t index = 0; index < 4; ++index) {
        rows.rows.push_back({.temperature = temperature, .seed = 3, .index = index});
        rows.logits.insert(rows.logits.end(), logits.begin(), logits.end());
      }
    }
    expect_same(rows);
  }
}

// One step of a rank that has a share of the vocabulary. What the leader's choices are.
std::vector<int32_t> sample(RowSampler& sampler, Kernels& kernels, const Rows& rows, const Range& share,
                            Communicator& group) {
  StepPlan plan;
  for (const SampledRow& row : rows.rows) {
    plan.slices.push_back({.rows = 1, .logit_rows = 1, .sampled = {row}});
  }
  const auto stream = kernels.make_stream();
  const Tensor logits = logits_of(kernels, rows, share, *stream);
  std::vector<int32_t> tokens;
  for (const RowChoice& choice : sampler.sample(plan, logits, group, kernels, *stream).choices) {
    tokens.push_back(choice.token);
  }
  return tokens;
}

// The same of one rank that has all of it.
std::vector<int32_t> sample(RowSampler& sampler, Kernels& kernels, const Rows& rows) {
  const auto transport = make_self_transport();
  const auto group = transport->split(0, 0);
  return sample(sampler, kernels, rows, {0, rows.vocab}, *group);
}

// Rows of every kind in one step: those that the host must see, and those that it sees after all.
TEST(RowSamplerOnADevice, GivesTheTokensOfTheWholeRows) {
  Rows rows = random_rows(1500, 48, 11);
  for (std::size_t i = 0; i < rows.rows.size(); i += 4) {
    rows.rows[i].banned = {3, 4};
    rows.rows[i + 1].logprobs = 5;
    rows.rows[i + 2].temperature = 40;  // flat
    rows.rows[i + 2].top_k = 0;
  }
  const auto kernels = make_device();
  RowSampler sampler({{0, rows.vocab}}, 0, 48);
  sampler.allocate();
  const std::vector<int32_t> tokens = sample(sampler, *kernels, rows);
  ASSERT_EQ(tokens.size(), rows.rows.size());
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    EXPECT_EQ(tokens[i], choose(rows.rows[i], rows.row(i)).token) << "row " << i;
  }
}

// It could not: the sampler has no memory for them.
TEST(RowSamplerOnADevice, LooksAtNoLogits) {
  Rows rows = random_rows(1500, 30, 12);
  for (SampledRow& row : rows.rows) {
    row.temperature = std::min(row.temperature, 0.7);
    row.top_k = 40;
  }
  const auto kernels = make_device();
  RowSampler sampler({{0, rows.vocab}}, 0, 30);
  const std::vector<int32_t> tokens = sample(sampler, *kernels, rows);
  ASSERT_EQ(tokens.size(), rows.rows.size());
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    EXPECT_EQ(tokens[i], choose(rows.rows[i], rows.row(i)).token) << "row " << i;
  }
}

/// How a vocabulary is cut.
struct Cut {
  const char* wire;
  std::vector<Range> shares;

  int64_t vocab() const { return shares.back().end; }
  const Range& share(int rank) const { return shares[static_cast<std::size_t>(rank)]; }
};

constexpr std::chrono::seconds kDeadline{60};

// Calls body(group, kernels, rank) on as many ranks as there are shares.
template <class Body>
void run_ranks(const Cut& cut, const Body& body) {
  run_thread_ranks(static_cast<int>(cut.shares.size()), [&](Transport& transport) {
    const auto kernels = make_device();
    const auto group = make_device_group(device_wire_of(cut.wire), transport.split(0, transport.rank()), kDeadline);
    body(*group.group, *kernels, transport.rank());
  });
}

class DrawFromShares : public ::testing::TestWithParam<Cut> {};

TEST_P(DrawFromShares, AllRanksChooseWhatTheHostChooses) {
  const Cut& cut = GetParam();
  Rows rows = random_rows(cut.vocab(), 40, 21);
  Rows few = random_rows(cut.vocab(), 3, 22);
  for (SampledRow& row : few.rows) {
    row.temperature = 0;  // shorter messages
  }
  run_ranks(cut, [&](Communicator& group, Kernels& kernels, int rank) {
    const auto gather = [&](const Tensor& mine, Tensor& all, Stream& stream) {
      group.all_gather(mine, std::vector<int64_t>(cut.shares.size(), mine.elements()), all, stream);
    };
    const auto stream = kernels.make_stream();
    for (const Rows& step : {rows, few, rows}) {
      const Tensor logits = logits_of(kernels, step, cut.share(rank), *stream);
      const auto drawn =
          kernels.draw_tokens(logits, {.shares = cut.shares, .rank = rank, .gather = gather}, draws_of(step), *stream);
      const std::span<const int32_t> tokens = drawn->read();
      for (std::size_t i = 0; i < tokens.size(); ++i) {
        EXPECT_EQ(tokens[i], expected(step.rows[i], step.row(i)))
            << "row " << i << " on rank " << rank << ": temperature " << step.rows[i].temperature;
      }
    }
  });
}

// Parts of unequal numbers of blocks, an empty one, a part of less than the first candidates.
INSTANTIATE_TEST_SUITE_P(Cuts, DrawFromShares,
                         ::testing::Values(Cut{"ipc", {{0, 1024}, {1024, 3000}}},
                                           Cut{"nccl", {{0, 2048}, {2048, 2048}, {2048, 2100}}}));

// Sums cannot be put together from such parts: rows that need them go to the host.
TEST(RowSamplerOnDevices, GivesTheTokensOfTheWholeRows) {
  for (const Cut& cut : {Cut{"ipc", {{0, 700}, {700, 1500}}}, Cut{"nccl", {{0, 1024}, {1024, 1500}}},
                         Cut{"host", {{0, 1024}, {1024, 1500}}}}) {
    Rows rows = random_rows(cut.vocab(), 24, 13);
    for (std::size_t i = 0; i < rows.rows.size(); i += 4) {
      rows.rows[i].banned = {3, 1004};
      rows.rows[i + 1].logprobs = 5;
      rows.rows[i + 2].temperature = 40;  // flat
      rows.rows[i + 2].top_k = 0;
    }
    run_ranks(cut, [&](Communicator& group, Kernels& kernels, int rank) {
      RowSampler sampler(cut.shares, rank, 24);
      sampler.allocate();
      const std::vector<int32_t> tokens = sample(sampler, kernels, rows, cut.share(rank), group);
      ASSERT_EQ(tokens.size(), rank == 0 ? rows.rows.size() : 0) << cut.wire;
      for (std::size_t i = 0; i < tokens.size(); ++i) {
        EXPECT_EQ(tokens[i], choose(rows.rows[i], rows.row(i)).token) << cut.wire << ", row " << i;
      }
    });
  }
}

// They could not: the samplers have no memory for them.
TEST(RowSamplerOnDevices, LookAtNoLogits) {
  const Cut cut{"ipc", {{0, 700}, {700, 1500}}};
  Rows rows = random_rows(cut.vocab(), 12, 12);
  for (SampledRow& row : rows.rows) {
    row.top_k = 40;
  }
  run_ranks(cut, [&](Communicator& group, Kernels& kernels, int rank) {
    RowSampler sampler(cut.shares, rank, 12);
    const std::vector<int32_t> tokens = sample(sampler, kernels, rows, cut.share(rank), group);
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      EXPECT_EQ(tokens[i], choose(rows.rows[i], rows.row(i)).token) << "row " << i;
    }
  });
}

}  // namespace
}  // namespace longship
