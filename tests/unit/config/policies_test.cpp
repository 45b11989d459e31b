// Which policies are said for one plugin or subscription, and which for all: a plugin's own wishes yield to the former alone.
#include <gtest/gtest.h>

#include "tests/unit/config/load.h"

namespace postern::config {
namespace {

TEST(PoliciesOfTheFile, WhatIsSaidForAllIsNobodysOwn) {
  const Loaded loaded = load_text("gateway: {listen: [127.0.0.1:8080]}\n"
                                  "dispatch: {deadline: 9s, retry: {attempts: 7}}\n"
                                  "plugins:\n"
                                  "  - {name: a, library: a.so}\n"
                                  "  - {name: b, library: b.so, deadline: 3s}\n"
                                  "subscriptions:\n"
                                  "  - {on: x, plugin: a, retry: {attempts: 2}}\n"
                                  "  - {on: x, plugin: b}\n");
  ASSERT_TRUE(loaded.faults.empty()) << loaded.faults[0].message;
  const Config& c = loaded.config;
  EXPECT_EQ(c.plugins[0].policies.deadline, milliseconds(9'000));
  EXPECT_FALSE(c.plugins[0].policies.deadline_is_own);
  EXPECT_FALSE(c.plugins[0].policies.retry_is_own);
  EXPECT_TRUE(c.plugins[1].policies.deadline_is_own);
  EXPECT_FALSE(c.plugins[1].policies.retry_is_own);
  EXPECT_TRUE(c.subscriptions[0].policies.retry_is_own);
  EXPECT_FALSE(c.subscriptions[0].policies.deadline_is_own);
  EXPECT_TRUE(c.subscriptions[1].policies.deadline_is_own) << "its plugin's";
}

}  // namespace
}  // namespace postern::config
