#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "core/rng.h"
#include "tests/unit/sample/chi_square.h"

namespace longship {
namespace {

// The philox4x32-10 lines of tests/kat_vectors in Random123 (github.com/DEShawResearch/random123).
TEST(Philox, GivesThePublishedKnownAnswers) {
  constexpr uint32_t kOnes = 0xFFFFFFFF;
  EXPECT_EQ(Philox::block({0, 0, 0, 0}, {0, 0}), (Philox::Block{0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8}));
  EXPECT_EQ(Philox::block({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (Philox::Block{0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD}));
  EXPECT_EQ(Philox::block({0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344}, {0xA4093822, 0x299F31D0}),
            (Philox::Block{0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1}));
}

TEST(Philox, UniformIsTheFirst53BitsOfTheBlock) {
  EXPECT_EQ(Philox::uniform(0, 0, 0), static_cast<double>(0x6627E8D5E169C58D >> 11) * 0x1p-53);
}

TEST(Philox, EveryBitOfSeedChoiceAndIndexCounts) {
  std::set<double> values = {Philox::uniform(0, 0, 0)};
  for (int bit = 0; bit < 64; ++bit) {
    values.insert(Philox::uniform(uint64_t{1} << bit, 0, 0));
    values.insert(Philox::uniform(0, 0, uint64_t{1} << bit));
  }
  for (int bit = 0; bit < 32; ++bit) {
    values.insert(Philox::uniform(0, uint32_t{1} << bit, 0));
  }
  EXPECT_EQ(values.size(), 1U + 64 + 64 + 32);
}

TEST(Philox, UniformIsUniformOverIndexesAndOverSeeds) {
  constexpr int kDraws = 100'000;
  constexpr int kClasses = 64;
  for (const bool by_seed : {false, true}) {
    std::vector<double> counts(kClasses);
    for (uint64_t i = 0; i < kDraws; ++i) {
      const double value = by_seed ? Philox::uniform(i, 0, 3) : Philox::uniform(3, 0, i);
      ASSERT_TRUE(value >= 0 && value < 1);
      ++counts[static_cast<std::size_t>(value * kClasses)];
    }
    const double sigmas = chi_square_sigmas(counts, std::vector<double>(kClasses, double{kDraws} / kClasses));
    EXPECT_LT(std::abs(sigmas), 3.5);
  }
}

}  // namespace
}  // namespace longship
