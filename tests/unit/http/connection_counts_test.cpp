#include "core/http/connection_counts.h"

#include <gtest/gtest.h>

#include <vector>

namespace postern::http {
namespace {

using net::client_key;

TEST(ConnectionCounts, LimitsEachClientByItself) {
  ConnectionCounts counts;
  std::vector<ConnectionCounts::Slot> slots;
  for (int i = 0; i < 3; ++i) {
    auto slot = counts.take(client_key("192.0.2.1"), 3);
    ASSERT_TRUE(slot);
    slots.push_back(std::move(*slot));
  }
  EXPECT_FALSE(counts.take(client_key("192.0.2.1"), 3));
  EXPECT_FALSE(counts.take(client_key("::ffff:192.0.2.1"), 3));
  EXPECT_TRUE(counts.take(client_key("192.0.2.2"), 3));
  EXPECT_TRUE(counts.take(client_key("192.0.2.1"), 4)) << "the limit may have been raised";
  EXPECT_FALSE(counts.take(client_key("192.0.2.1"), 2)) << "or lowered";
  slots.pop_back();
  EXPECT_TRUE(counts.take(client_key("192.0.2.1"), 3));
}

// Attack: one connection of each of ever more addresses must leave nothing behind.
TEST(ConnectionCounts, RemembersOnlyWhoIsConnected) {
  ConnectionCounts counts;
  {
    std::vector<ConnectionCounts::Slot> slots;
    for (int n = 0; n < 500; ++n) {
      slots.push_back(std::move(*counts.take(client_key("2001:db8:0:" + std::to_string(n) + "::1"), 1)));
    }
    EXPECT_EQ(counts.clients(), 500u);
  }
  EXPECT_EQ(counts.clients(), 0u);
  EXPECT_FALSE(counts.take(client_key("192.0.2.1"), 0));
  EXPECT_EQ(counts.clients(), 0u);
}

TEST(ConnectionCounts, AreGivenBackOnceHoweverTheSlotMoves) {
  ConnectionCounts counts;
  {
    ConnectionCounts::Slot kept;
    {
      auto slot = counts.take(client_key("192.0.2.1"), 1);
      ASSERT_TRUE(slot);
      ConnectionCounts::Slot moved(std::move(*slot));
      kept = std::move(moved);
    }
    EXPECT_FALSE(counts.take(client_key("192.0.2.1"), 1)) << "still open";
  }
  EXPECT_EQ(counts.clients(), 0u);
}

}  // namespace
}  // namespace postern::http
