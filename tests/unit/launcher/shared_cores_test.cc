#include "launcher/host/shared_cores.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <vector>

namespace longship {
namespace {

cpu_set_t cores(int first, int count) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int core = first; core < first + count; ++core) CPU_SET(core, &set);
  return set;
}

TEST(SharedCores, RanksThatAreNotBoundDivideTheCores) {
  const std::vector<cpu_set_t> host = {cores(0, 8), cores(0, 8)};
  EXPECT_DOUBLE_EQ(share_of_cores(host[0], host), 4);
}

TEST(SharedCores, RanksThatAreBoundHaveTheirOwnCoresForThemselves) {
  const std::vector<cpu_set_t> host = {cores(0, 8), cores(8, 8), cores(16, 4)};
  EXPECT_DOUBLE_EQ(share_of_cores(host[0], host), 8);
  EXPECT_DOUBLE_EQ(share_of_cores(host[2], host), 4);
}

TEST(SharedCores, RanksThatAreBoundToASocketDivideIt) {
  const std::vector<cpu_set_t> host = {cores(0, 32), cores(32, 32), cores(0, 32), cores(32, 32)};
  EXPECT_DOUBLE_EQ(share_of_cores(host[3], host), 16);
  const std::vector<cpu_set_t> uneven = {cores(0, 4), cores(2, 4)};
  EXPECT_DOUBLE_EQ(share_of_cores(uneven[0], uneven), 3);
}

TEST(SharedCores, ARankAlwaysComputes) {
  EXPECT_DOUBLE_EQ(share_of_cores(cores(0, 0), {}), 0);
  EXPECT_GE(threads_of_rank(*make_self_transport()), 1);
}

// All ranks of a host see the masks of all: none is bound here, so they divide what one alone would have.
TEST(SharedCores, RanksOfAHostTellEachOther) {
  const int alone = threads_of_rank(*make_self_transport());
  run_thread_ranks(3, [alone](Transport& transport) { EXPECT_EQ(threads_of_rank(transport), std::max(1, alone / 3)); });
}

}  // namespace
}  // namespace longship
