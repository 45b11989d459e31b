// What the store counts for metrics.
#include <gmock/gmock.h>

#include "tests/unit/store/store_support.h"

namespace postern::store {
namespace {

using testing::new_event;
using testing::pending;

class MeterTest : public testing::StoreTest {
 protected:
  void SetUp() override { open(); }
};

TEST_F(MeterTest, CountsBatchesWithTheirEvents) {
  constexpr uint64_t kEvents = 100;
  testing::Committed committed;
  testing::HeldCommitter held(*store_);
  for (uint64_t i = 1; i <= kEvents; ++i) store_->submit(pending(new_event(i), committed));
  held.release();
  ASSERT_TRUE(committed.events.wait_for(kEvents));
  const Meter& meter = store_->meter();
  EXPECT_GE(meter.batch_events.sum(), static_cast<double>(kEvents));
  EXPECT_GT(meter.batch_events.count(), 0u);
  EXPECT_LT(meter.batch_events.count(), kEvents) << "many in one";
  EXPECT_GE(meter.commit_seconds.count(), meter.batch_events.count());
  EXPECT_GT(meter.commit_seconds.sum(), 0);
  EXPECT_EQ(meter.failed_batches.value(), 0u);
}

TEST_F(MeterTest, ASettlementAloneIsABatchWithoutEvents) {
  int64_t delivery = put_delivery(1);
  uint64_t with_events = store_->meter().batch_events.count(), all = store_->meter().commit_seconds.count();
  settle(testing::settlement(delivery, Settlement::Kind::kDone));
  EXPECT_EQ(store_->meter().batch_events.count(), with_events);
  EXPECT_EQ(store_->meter().commit_seconds.count(), all + 1);
}

TEST_F(MeterTest, TellsItsSize) {
  uint64_t before = store_->size_bytes();
  EXPECT_GT(before, 0u);
  ingest::NewEvent large = new_event(1);
  large.body = std::string(1'000'000, 'x');
  put(std::move(large));
  EXPECT_GE(store_->size_bytes(), before + 1'000'000);
}

}  // namespace
}  // namespace postern::store
