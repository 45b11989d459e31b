#include "core/http/memory_budget.h"

#include <gtest/gtest.h>

#include <vector>

namespace postern::http {
namespace {

TEST(MemoryBudget, GivesOneAloneHalf) {
  MemoryBudget budget(1000);
  EXPECT_TRUE(budget.take(0, 400));
  EXPECT_FALSE(budget.take(400, 101));
  EXPECT_TRUE(budget.take(400, 100));
  EXPECT_FALSE(budget.take(500, 1));
  EXPECT_EQ(budget.used(), 500u) << "what was refused was not taken";
  budget.give(500);
  EXPECT_TRUE(budget.take(0, 500));
}

// Attack: as much as each can get, in small steps, by many. There is room for a small one all the same.
TEST(MemoryBudget, KeepsRoomForSmallOnes) {
  constexpr size_t kHogs = 1000;
  MemoryBudget budget(256 << 20);
  std::vector<uint64_t> held(kHogs, 0);
  for (bool grew = true; grew;) {
    grew = false;
    for (uint64_t& holds : held) {
      if (!budget.take(holds, 16 << 10)) continue;
      holds += 16 << 10;
      grew = true;
    }
  }
  EXPECT_TRUE(budget.take(0, 100 << 10));
}

TEST(MemoryBudget, KnowsItsEnd) {
  MemoryBudget budget(1000);
  EXPECT_FALSE(budget.take(0, 1001));
  EXPECT_FALSE(budget.take(0, UINT64_MAX / 2));
  EXPECT_EQ(budget.used(), 0u);
  EXPECT_TRUE(budget.take(0, 0));
}

}  // namespace
}  // namespace postern::http
