// Deliveries that a handler detaches: completed from other threads, before it returns, too late, or never.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "scripted.h"

namespace {

using postern::Delivery;
using postern::Outcome;
using postern::testing::Settled;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class PendingDelivery : public postern::testing::ScriptedTest {};

TEST_F(PendingDelivery, PendingIsCompletedFromAnotherThread) {
  std::promise<postern::Pending> given;
  start_with([&given](Delivery& d) { given.set_value(d.detach()); });
  Settled settled = deliver();
  ASSERT_EQ(settled.outcome, POSTERN_PENDING);
  std::jthread other([pending = given.get_future().get()]() mutable {
    EXPECT_EQ(pending.body(), "{}");
    pending.put("c", "k", "1", POSTERN_RECORD_ABSENT);
    EXPECT_TRUE(pending.complete(Outcome::done()));
    EXPECT_FALSE(pending.complete(Outcome::done()));
    EXPECT_THROW(pending.id(), postern::Error);
  });
  EXPECT_TRUE(host->await(settled.delivery).done());
  EXPECT_EQ(host->record("c", "k")->json, "1");
  other.join();
  EXPECT_THAT(host->misuses(), IsEmpty());
}

TEST_F(PendingDelivery, PendingMayBeCompletedBeforeTheHandlerReturns) {
  start_with([](Delivery& d) {
    postern::Pending pending = d.detach();
    std::thread([&] { EXPECT_TRUE(pending.complete(Outcome::retry("busy", std::chrono::seconds(1)))); }).join();
  });
  Settled settled = deliver();
  EXPECT_EQ(settled.outcome, POSTERN_RETRY);
  EXPECT_EQ(settled.why, "busy");
  EXPECT_EQ(settled.retry_after_ms, 1000u);
}

TEST_F(PendingDelivery, APendingMayBePutOff) {
  start_with([](Delivery& d) {
    postern::Pending pending = d.detach();
    EXPECT_TRUE(pending.complete(Outcome::postpone("resting", std::chrono::seconds(1))));
  });
  Settled settled = deliver();
  EXPECT_EQ(settled.outcome, POSTERN_POSTPONE);
  EXPECT_EQ(settled.why, "resting");
  EXPECT_EQ(settled.retry_after_ms, 1000u);
}

TEST_F(PendingDelivery, APendingThatIsDroppedIsRetried) {
  start_with([](Delivery& d) { postern::Pending pending = d.detach(); });
  Settled settled = deliver();
  EXPECT_EQ(settled.outcome, POSTERN_RETRY);
  EXPECT_THAT(settled.why, HasSubstr("dropped"));
}

TEST_F(PendingDelivery, AnExceptionAfterDetachIsLoggedAndThePendingDecides) {
  std::optional<postern::Pending> kept;
  start_with([&kept](Delivery& d) {
    kept = d.detach();
    EXPECT_THROW(static_cast<void>(d.detach()), postern::Error);
    throw std::runtime_error("afterwards");
  });
  Settled settled = deliver();
  ASSERT_EQ(settled.outcome, POSTERN_PENDING);
  EXPECT_THAT(host->log().at(0).text, HasSubstr("afterwards"));
  kept->complete(Outcome::dead("decided"));
  EXPECT_EQ(host->await(settled.delivery).why, "decided");
}

TEST_F(PendingDelivery, WhatComesTooLateIsGone) {
  std::vector<postern::Pending> kept;
  start_with([&kept](Delivery& d) { kept.push_back(d.detach()); });
  Settled expired = deliver();
  Settled deactivated = deliver();
  host->expire(expired.delivery);
  EXPECT_THROW(kept[0].emit("x", "1"), postern::Gone);
  EXPECT_FALSE(kept[0].complete(Outcome::done()));
  EXPECT_EQ(host->await(expired.delivery).outcome, POSTERN_E_GONE);
  host->stop();
  EXPECT_TRUE(script_.destroyed);
  EXPECT_EQ(kept[1].body(), "{}");  // views live until it is completed
  EXPECT_FALSE(kept[1].complete(Outcome::done()));
  EXPECT_THAT(host->emitted(), IsEmpty());
  EXPECT_THAT(host->misuses(), IsEmpty());
  EXPECT_EQ(host->await(deactivated.delivery, std::chrono::milliseconds(0)).outcome, POSTERN_E_GONE);
}

TEST_F(PendingDelivery, AConflictAfterPendingRunsTheHandlerAgain) {
  std::optional<postern::Pending> kept;
  start_with([&kept](Delivery& d) {
    postern::Record record = d.get("c", "k");
    d.put("c", "k", std::to_string((record ? std::stoi(record.json) : 0) + 1), record.version);
    if (kept) return;
    kept = d.detach();
  });
  Settled settled = deliver();
  host->set_record("c", "k", "5");
  EXPECT_TRUE(kept->complete(Outcome::done()));
  Settled end = host->await(settled.delivery);
  EXPECT_TRUE(end.done());
  EXPECT_EQ(end.reruns, 1u);
  EXPECT_EQ(host->record("c", "k")->json, "6");
}

}  // namespace
