// Timers in memory whose callbacks hang.
#include "core/plugin/memory_timers.h"

#include <gtest/gtest.h>

#include <atomic>

#include "tests/support/eventually.h"
#include "tests/unit/ingest/gate.h"

namespace postern::plugin {
namespace {

using postern::testing::eventually;

constexpr std::chrono::seconds kPatience{30};

class MemoryTimersTest : public ::testing::Test {
 protected:
  MemoryTimersTest() { timers_.connect(alarm_); }
  ~MemoryTimersTest() override {
    gate_.open();
    timers_.close();
    EXPECT_TRUE(timers_.threads()->stop(10'000));
  }

  ingest::testing::Gate gate_;
  Alarm alarm_;
  MemoryTimers timers_{200};
};

// Nothing else is due that would make anybody look after the threads.
TEST_F(MemoryTimersTest, OnesThatWaitBehindCallbacksThatHangRunInTheEnd) {
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(timers_.start(0, [this] { gate_.pass(); }).is_ok());
  ASSERT_TRUE(gate_.wait_for_arrivals(2));
  std::atomic<int> ran{0};
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(timers_.start(0, [&] { ++ran; }).is_ok());
  EXPECT_TRUE(eventually(kPatience, [&] { return ran == 5; }));
  EXPECT_EQ(timers_.threads()->status().stuck, 2u) << "those that waited for so long are not overdue when they begin";
}

}  // namespace
}  // namespace postern::plugin
