#include "core/dispatch/delivery.h"

#include <gtest/gtest.h>

#include "tests/unit/dispatch/fake_store.h"

namespace postern::dispatch {
namespace {

using Outcome = HandlerOutcome;

class DeliveryTest : public ::testing::Test {
 protected:
  DeliveryTest() {
    subscriber_->plugin = "acme";
    subscriber_->name = "handlers";
    make();
  }
  void make(uint32_t depth = 0) {
    auto event = std::make_shared<store::StoredEvent>();
    event->seq = 5;
    event->provider = "acme";
    event->order_key = "key";
    event->depth = depth;
    event->body = std::string("b\0dy", 4);
    delivery_ = std::make_shared<Delivery>(7, 2, event, subscriber_, store_,
                                           [this](const std::shared_ptr<Delivery>&, HandlerResult r) {
                                             ends_.push_back(r.outcome);
                                             why_ = r.why;
                                           });
  }

  testing::FakeStore store_;
  std::shared_ptr<Subscriber> subscriber_ = std::make_shared<Subscriber>();
  std::vector<Outcome> ends_;
  std::string why_;
  std::shared_ptr<Delivery> delivery_;
};

TEST_F(DeliveryTest, WhatTheHandlerSees) {
  EXPECT_EQ(delivery_->idempotency_key(), "dlv_7");
  EXPECT_EQ(delivery_->attempt(), 2u);
  EXPECT_EQ(delivery_->event().body, std::string("b\0dy", 4));
}

TEST_F(DeliveryTest, EndsByItsReturn) {
  delivery_->on_return({Outcome::kRetry, "why"});
  EXPECT_EQ(ends_, std::vector{Outcome::kRetry});
  EXPECT_EQ(why_, "why");
  EXPECT_FALSE(delivery_->expire());
  EXPECT_EQ(delivery_->complete({}).code(), Code::kGone);
  EXPECT_EQ(ends_.size(), 1u);
}

TEST_F(DeliveryTest, EndsByCompletion) {
  delivery_->on_return({Outcome::kPending, {}});
  EXPECT_TRUE(ends_.empty());
  EXPECT_TRUE(delivery_->complete({Outcome::kDead, "x"}));
  EXPECT_EQ(ends_, std::vector{Outcome::kDead});
  EXPECT_EQ(delivery_->complete({Outcome::kDone, {}}).code(), Code::kGone);
  EXPECT_EQ(ends_.size(), 1u);
}

TEST_F(DeliveryTest, CompletedBeforeTheReturn) {
  EXPECT_TRUE(delivery_->complete({Outcome::kDone, {}}));
  EXPECT_TRUE(ends_.empty()) << "the handler still has it";
  EXPECT_EQ(delivery_->emit("t", "{}").code(), Code::kGone);
  EXPECT_EQ(delivery_->complete({Outcome::kDead, {}}).code(), Code::kGone);
  delivery_->on_return({Outcome::kPending, {}});
  EXPECT_EQ(ends_, std::vector{Outcome::kDone});
}

TEST_F(DeliveryTest, CompletedBeforeTheReturnAndThenPastItsDeadline) {
  EXPECT_TRUE(delivery_->complete({Outcome::kDone, {}}));
  EXPECT_TRUE(delivery_->expire());
  delivery_->on_return({Outcome::kPending, {}});
  EXPECT_TRUE(ends_.empty());
}

TEST_F(DeliveryTest, CannotBeCompletedAsPending) {
  delivery_->on_return({Outcome::kPending, {}});
  EXPECT_EQ(delivery_->complete({Outcome::kPending, {}}).code(), Code::kInvalid);
  EXPECT_TRUE(ends_.empty());
}

TEST_F(DeliveryTest, ExpiresOnce) {
  EXPECT_TRUE(delivery_->expire());
  EXPECT_FALSE(delivery_->expire());
  delivery_->on_return({Outcome::kDone, {}});
  EXPECT_EQ(delivery_->complete({}).code(), Code::kGone);
  EXPECT_TRUE(ends_.empty()) << "whoever expired it says so";
}

TEST_F(DeliveryTest, APendingOneLivesUntilItIsCompleted) {
  std::weak_ptr<Delivery> weak = delivery_;
  Delivery* handle = delivery_.get();
  delivery_->on_return({Outcome::kPending, {}});
  delivery_.reset();
  ASSERT_FALSE(weak.expired());
  EXPECT_TRUE(handle->expire());
  ASSERT_FALSE(weak.expired()) << "the plugin's handle must outlive the deadline";
  EXPECT_EQ(handle->event().seq, 5);
  EXPECT_EQ(handle->complete({}).code(), Code::kGone);
  EXPECT_TRUE(weak.expired());
}

TEST_F(DeliveryTest, OneThatReturnsPendingPastItsDeadlineLivesUntilItIsCompleted) {
  std::weak_ptr<Delivery> weak = delivery_;
  Delivery* handle = delivery_.get();
  EXPECT_TRUE(delivery_->expire());
  delivery_->on_return({Outcome::kPending, {}});
  delivery_.reset();
  ASSERT_FALSE(weak.expired());
  EXPECT_EQ(handle->complete({}).code(), Code::kGone);
  EXPECT_TRUE(weak.expired());
}

// ---- effects

TEST_F(DeliveryTest, EffectsAreHandedOver) {
  EXPECT_TRUE(delivery_->emit("acme.sub", "{}"));
  EXPECT_TRUE(delivery_->put_record("things", "a", "1", 4));
  EXPECT_TRUE(delivery_->set_result("{\"n\":1}"));
  delivery_->on_return({});
  store::Settlement settlement;
  delivery_->take_effects(settlement);
  ASSERT_EQ(settlement.emitted.size(), 1u);
  EXPECT_EQ(settlement.emitted[0].provider, "acme");
  EXPECT_EQ(settlement.emitted[0].type, "acme.sub");
  EXPECT_EQ(settlement.emitted[0].order_key, "key");
  EXPECT_EQ(settlement.emitted[0].depth, 1u);
  EXPECT_EQ(settlement.emitted[0].dedupe_until, 0);
  ASSERT_EQ(settlement.records.size(), 1u);
  EXPECT_EQ(settlement.records[0].expected_version, 4u);
  EXPECT_EQ(settlement.result_json, "{\"n\":1}");
}

TEST_F(DeliveryTest, NoEffectsAfterTheEnd) {
  delivery_->on_return({});
  EXPECT_EQ(delivery_->emit("t", "{}").code(), Code::kGone);
  EXPECT_EQ(delivery_->put_record("c", "k", "1", 0).code(), Code::kGone);
  EXPECT_EQ(delivery_->set_result("1").code(), Code::kGone);
  EXPECT_EQ(delivery_->get_record("c", "k").status().code(), Code::kGone);
}

TEST_F(DeliveryTest, EmitsDownToADepth) {
  make(kMaxDepth - 1);
  EXPECT_TRUE(delivery_->emit("t", "{}"));
  make(kMaxDepth);
  EXPECT_EQ(delivery_->emit("t", "{}").code(), Code::kLimit);
}

TEST_F(DeliveryTest, EffectsAreBoundedInNumber) {
  for (size_t i = 0; i < kMaxEffects / 2; ++i) {
    EXPECT_TRUE(delivery_->emit("t", "{}"));
    EXPECT_TRUE(delivery_->put_record("c", std::to_string(i), "1", 0));
  }
  EXPECT_EQ(delivery_->emit("t", "{}").code(), Code::kLimit);
  EXPECT_EQ(delivery_->put_record("c", "k", "1", 0).code(), Code::kLimit);
  EXPECT_TRUE(delivery_->set_result("1")) << "the bound is on records and events";
}

TEST_F(DeliveryTest, EffectsAreBoundedInSize) {
  EXPECT_TRUE(delivery_->put_record("c", "k", std::string(kMaxEffectBytes - 2, 'x'), 0));
  EXPECT_EQ(delivery_->emit("t", "").code(), Code::kLimit);
  EXPECT_EQ(delivery_->set_result("1").code(), Code::kLimit);
  EXPECT_EQ(delivery_->put_record("", "", std::string(SIZE_MAX >> 40, 'x'), 0).code(), Code::kLimit);
}

TEST_F(DeliveryTest, AResultThatIsSetAgainReplacesTheFirst) {
  std::string large(kMaxEffectBytes / 4, 'x');
  for (int i = 0; i < 8; ++i) EXPECT_TRUE(delivery_->set_result(large)) << i;
}

TEST_F(DeliveryTest, SeesItsOwnRecords) {
  EXPECT_EQ(delivery_->get_record("c", "k").status().code(), Code::kNotFound);
  EXPECT_TRUE(delivery_->put_record("c", "k", "1", 0));
  auto found = delivery_->get_record("c", "k");
  ASSERT_TRUE(found.is_ok());
  EXPECT_EQ(found->value, "1");
  EXPECT_EQ(found->version, 1u);
  EXPECT_TRUE(delivery_->put_record("c", "k", "2", found->version));
  EXPECT_EQ(delivery_->get_record("c", "k")->value, "2");
  EXPECT_EQ(delivery_->get_record("c", "k")->version, 2u);
}

TEST_F(DeliveryTest, SeesItsOwnRemovals) {
  EXPECT_TRUE(delivery_->put_record("c", "k", "1", 0));
  EXPECT_TRUE(delivery_->remove_record("c", "k", 1));
  EXPECT_EQ(delivery_->get_record("c", "k").status().code(), Code::kNotFound);
  EXPECT_TRUE(delivery_->put_record("c", "k", "2", 0));
  EXPECT_EQ(delivery_->get_record("c", "k")->version, 1u);
}

TEST_F(DeliveryTest, DelaysAreNotNegative) {
  EXPECT_FALSE(delivery_->wanted_delay_ms());
  delivery_->retry_after(-5);
  EXPECT_EQ(delivery_->wanted_delay_ms(), 0);
}

store::TimerWrite timer_in(int64_t delay_ms) {
  store::TimerWrite timer;
  timer.name = "t";
  timer.type = "acme.t";
  timer.delay_ms = delay_ms;
  return timer;
}

// Events that set timers in a circle are no faster than one a second, or end as those do that emit themselves.
TEST_F(DeliveryTest, ShortTimersAreDeeperAndLongOnesBeginAnew) {
  make(kMaxDepth - 1);
  EXPECT_TRUE(delivery_->write_timer(timer_in(kNewBeginningMs - 1)));
  EXPECT_TRUE(delivery_->write_timer(timer_in(kNewBeginningMs)));
  delivery_->on_return({});
  store::Settlement settlement;
  delivery_->take_effects(settlement);
  ASSERT_EQ(settlement.timers.size(), 2u);
  EXPECT_EQ(settlement.timers[0].depth, kMaxDepth);
  EXPECT_EQ(settlement.timers[1].depth, 0u);

  make(kMaxDepth);
  EXPECT_EQ(delivery_->write_timer(timer_in(0)).code(), Code::kLimit);
  EXPECT_TRUE(delivery_->write_timer(timer_in(kNewBeginningMs)));
  store::TimerWrite removal;
  removal.name = "t";
  removal.remove = true;
  EXPECT_TRUE(delivery_->write_timer(removal));
}

TEST_F(DeliveryTest, TimersAreBoundedAsOtherEffectsAre) {
  store::TimerWrite large = timer_in(5000);
  large.body = std::string(kMaxEffectBytes, 'x');
  EXPECT_EQ(delivery_->write_timer(large).code(), Code::kLimit);
  for (size_t i = 0; i < kMaxEffects; ++i) ASSERT_TRUE(delivery_->write_timer(timer_in(5000)));
  EXPECT_EQ(delivery_->write_timer(timer_in(5000)).code(), Code::kLimit);
  EXPECT_EQ(delivery_->emit("t", "{}").code(), Code::kLimit);
  EXPECT_TRUE(delivery_->expire());
  EXPECT_EQ(delivery_->write_timer(timer_in(5000)).code(), Code::kGone);
}

}  // namespace
}  // namespace postern::dispatch
