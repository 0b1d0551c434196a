#include <algorithm>
#include <numeric>
#include <vector>

#include "tests/comm/conformance.h"
#include "tests/comm/values.h"

namespace longship::conformance {
namespace {

int64_t total(const std::vector<int64_t>& counts) {
  return std::accumulate(counts.begin(), counts.end(), int64_t{0});
}

std::size_t index(int rank) {
  return static_cast<std::size_t>(rank);
}

// Uneven counts with zeros among them, in three sizes.
std::vector<std::vector<int64_t>> uneven_counts(int ranks) {
  std::vector<std::vector<int64_t>> all;
  for (const int64_t scale : {1, 100, 20011}) {
    std::vector<int64_t> counts;
    for (int rank = 0; rank < ranks; ++rank) {
      counts.push_back(rank % 3 == 1 ? 0 : scale * (rank + 1));
    }
    all.push_back(counts);
  }
  all.emplace_back(index(ranks), 0);
  return all;
}

// Every rank's part, one after the other.
Tensor concatenated(const std::vector<int64_t>& counts) {
  Tensor all = Tensor::allocate(DType::kF32, {total(counts)});
  float* next = all.data<float>();
  for (std::size_t rank = 0; rank < counts.size(); ++rank) {
    const Tensor part = filled({counts[rank]}, rank, wide_value);
    next = std::ranges::copy(part.values<float>(), next).out;
  }
  return all;
}

TEST_P(Conformance, AllReduceAddsOverRanks) {
  run([](Transport& transport) {
    const auto group = transport.split(0, transport.rank());
    Stream stream;
    for (const int64_t count : {0, 1, 5, 576, 4099, 70001, 300001}) {
      Tensor x = filled({count}, index(group->rank()), whole_value);
      Tensor expected = Tensor::allocate(DType::kF32, {count});
      for (int rank = 0; rank < group->size(); ++rank) {
        for (int64_t i = 0; i < count; ++i) {
          expected.data<float>()[i] += whole_value(index(rank), static_cast<uint64_t>(i));
        }
      }
      group->all_reduce(x, stream);
      EXPECT_EQ(differing_bits(x, expected), 0) << count << " values";
    }
  });
}

TEST_P(Conformance, AllGatherPutsPartsInRankOrder) {
  run([](Transport& transport) {
    const auto group = transport.split(0, transport.rank());
    Stream stream;
    for (const std::vector<int64_t>& counts : uneven_counts(group->size())) {
      const Tensor part = filled({counts[index(group->rank())]}, index(group->rank()), wide_value);
      Tensor out = filled({total(counts)}, 99, whole_value);
      group->all_gather(part, counts, out, stream);
      EXPECT_EQ(differing_bits(out, concatenated(counts)), 0) << total(counts) << " values";
    }
  });
}

TEST_P(Conformance, AllGatherTakesEveryPlainType) {
  run([](Transport& transport) {
    const auto group = transport.split(0, transport.rank());
    Stream stream;
    for (const DType dtype : {DType::kI32, DType::kF16, DType::kU8}) {
      const std::vector<int64_t> counts(index(group->size()), 3);
      Tensor part = Tensor::allocate(dtype, {3});
      std::fill_n(part.data<uint8_t>(), part.bytes(), static_cast<uint8_t>(group->rank() + 1));
      Tensor out = Tensor::allocate(dtype, {3 * group->size()});
      group->all_gather(part, counts, out, stream);
      for (int64_t i = 0; i < out.bytes(); ++i) {
        EXPECT_EQ(out.data<uint8_t>()[i], i / part.bytes() + 1) << name(dtype);
      }
    }
  });
}

TEST_P(Conformance, GatherReachesOnlyTheRoot) {
  run([](Transport& transport) {
    const auto group = transport.split(0, transport.rank());
    Stream stream;
    for (const std::vector<int64_t>& counts : uneven_counts(group->size())) {
      for (int root = 0; root < group->size(); ++root) {
        const Tensor part = filled({counts[index(group->rank())]}, index(group->rank()), wide_value);
        if (group->rank() == root) {
          Tensor out = filled({total(counts)}, 99, whole_value);
          group->gather(part, counts, root, out, stream);
          EXPECT_EQ(differing_bits(out, concatenated(counts)), 0) << "root " << root;
        } else {
          Tensor ignored;
          group->gather(part, counts, root, ignored, stream);
        }
      }
    }
  });
}

TEST_P(Conformance, ReduceScatterLeavesEachRankItsPart) {
  run([](Transport& transport) {
    const auto group = transport.split(0, transport.rank());
    Stream stream;
    for (const std::vector<int64_t>& counts : uneven_counts(group->size())) {
      const Tensor x = filled({total(counts)}, index(group->rank()), whole_value);
      const int64_t mine = counts[index(group->rank())];
      const int64_t begin = std::accumulate(counts.begin(), counts.begin() + group->rank(), int64_t{0});
      Tensor expected = Tensor::allocate(DType::kF32, {mine});
      for (int rank = 0; rank < group->size(); ++rank) {
        for (int64_t i = 0; i < mine; ++i) {
          expected.data<float>()[i] += whole_value(index(rank), static_cast<uint64_t>(begin + i));
        }
      }
      Tensor part = filled({mine}, 99, wide_value);
      group->reduce_scatter(x, counts, part, stream);
      EXPECT_EQ(differing_bits(part, expected), 0) << total(counts) << " values";
    }
  });
}

TEST_P(Conformance, BroadcastCopiesTheRoot) {
  run([](Transport& transport) {
    const auto group = transport.split(0, transport.rank());
    Stream stream;
    for (int root = 0; root < group->size(); ++root) {
      for (const int64_t count : {0, 1, 100, 50021}) {
        Tensor x = filled({count}, index(group->rank()), wide_value);
        group->broadcast(x, root, stream);
        EXPECT_EQ(differing_bits(x, filled({count}, index(root), wide_value)), 0) << "root " << root;
      }
    }
  });
}

TEST_P(Conformance, SplitGroupsByColorAndOrdersByKey) {
  run([](Transport& transport) {
    const int color = transport.rank() % 2;
    const auto group = transport.split(color, -transport.rank());
    const int members = (transport.size() + 1 - color) / 2;
    ASSERT_EQ(group->size(), members);
    EXPECT_EQ(group->rank(), members - 1 - transport.rank() / 2);

    Stream stream;
    Tensor part = Tensor::allocate(DType::kI32, {1});
    part.data<int32_t>()[0] = transport.rank();
    Tensor out = Tensor::allocate(DType::kI32, {members});
    group->all_gather(part, std::vector<int64_t>(index(members), 1), out, stream);
    for (int rank = 0; rank < members; ++rank) {
      EXPECT_EQ(out.data<int32_t>()[rank], (members - 1 - rank) * 2 + color);
    }
  });
}

TEST_P(Conformance, EqualKeysKeepTheOrderOfTheJob) {
  run([](Transport& transport) {
    const auto group = transport.split(0, 5);
    EXPECT_EQ(group->rank(), transport.rank());
    EXPECT_EQ(group->size(), transport.size());
  });
}

// As a mesh does: each rank belongs to a row and a column and uses them in turn.
// Twice, so that what the first part leaves behind would meet the second.
TEST_P(Conformance, TheFirstRanksAreAJobOfTheirOwn) {
  run([](Transport& transport) {
    for (int count = 1; count <= transport.size(); ++count) {
      const std::unique_ptr<Transport> part = transport.first(count);
      ASSERT_EQ(part != nullptr, transport.rank() < count);
      if (part == nullptr) {
        continue;
      }
      EXPECT_EQ(part->rank(), transport.rank());
      EXPECT_EQ(part->size(), count);
      int ranks = 0;
      for (const int of_host : part->ranks_per_host()) ranks += of_host;
      EXPECT_EQ(ranks, count);
      Tensor sum = Tensor::allocate(DType::kF32, {1});
      *sum.data<float>() = 1;
      Stream stream;
      part->split(0, part->rank())->all_reduce(sum, stream);
      EXPECT_EQ(*sum.data<float>(), static_cast<float>(count));
      if (part->leads()) {
        part->control().publish(Bytes(static_cast<std::size_t>(count)));
      } else {
        const auto frame = part->control().receive(std::chrono::steady_clock::now() + std::chrono::seconds(30));
        ASSERT_TRUE(frame.has_value());
        EXPECT_EQ(std::ssize(*frame), count);
      }
      part->control().agree(nullptr, "a part");
    }
    transport.control().agree(nullptr, "all parts");
  });
}

TEST_P(Conformance, GroupsOfOneJobDoNotDisturbEachOther) {
  run([](Transport& transport) {
    const int row = transport.rank() / 2;
    const int column = transport.rank() % 2;
    const auto in_row = transport.split(row, column);
    const auto in_column = transport.split(column, row);
    Stream stream;
    for (int round = 0; round < 50; ++round) {
      Tensor x = Tensor::allocate(DType::kF32, {100});
      x.values<float>()[99] = static_cast<float>(transport.rank() + round);
      Tensor y = Tensor::allocate(DType::kF32, {100});
      y.values<float>()[99] = static_cast<float>(transport.rank() + round);
      in_row->all_reduce(x, stream);
      in_column->all_reduce(y, stream);
      float row_sum = 0.0F;
      float column_sum = 0.0F;
      for (int rank = 0; rank < transport.size(); ++rank) {
        row_sum += rank / 2 == row ? static_cast<float>(rank + round) : 0.0F;
        column_sum += rank % 2 == column ? static_cast<float>(rank + round) : 0.0F;
      }
      EXPECT_EQ(x.values<float>()[99], row_sum);
      EXPECT_EQ(y.values<float>()[99], column_sum);
    }
  });
}

TEST_P(Conformance, AGroupOfOneIsTheIdentity) {
  run([](Transport& transport) {
    const auto alone = transport.split(transport.rank(), 0);
    EXPECT_EQ(alone->size(), 1);
    EXPECT_EQ(alone->rank(), 0);
    Stream stream;
    const std::vector<int64_t> counts = {7};
    const Tensor x = filled({7}, 1, wide_value);
    Tensor y = filled({7}, 1, wide_value);
    alone->all_reduce(y, stream);
    EXPECT_EQ(differing_bits(x, y), 0);
    alone->broadcast(y, 0, stream);
    EXPECT_EQ(differing_bits(x, y), 0);
    Tensor out = Tensor::allocate(DType::kF32, {7});
    alone->all_gather(x, counts, out, stream);
    EXPECT_EQ(differing_bits(x, out), 0);
    out = Tensor::allocate(DType::kF32, {7});
    alone->gather(x, counts, 0, out, stream);
    EXPECT_EQ(differing_bits(x, out), 0);
    out = Tensor::allocate(DType::kF32, {7});
    alone->reduce_scatter(x, counts, out, stream);
    EXPECT_EQ(differing_bits(x, out), 0);
    out = Tensor::allocate(DType::kF32, {7});
    alone->tree_reduce(x.reshape({1, 7}), ReductionTree(3, {0, 3}), out, stream);
    EXPECT_EQ(differing_bits(x, out), 0);
  });
}

TEST_P(Conformance, EveryRankIsOnSomeHost) {
  run([](Transport& transport) {
    const std::vector<int> hosts = transport.ranks_per_host();
    EXPECT_EQ(std::accumulate(hosts.begin(), hosts.end(), 0), transport.size());
    EXPECT_TRUE(std::ranges::all_of(hosts, [](int ranks) { return ranks > 0; }));
  });
}

}  // namespace
}  // namespace longship::conformance
