// Events on their way, with the test in the store's and the dispatcher's place.
#include "core/plugin/publisher.h"

#include <gmock/gmock.h>

#include <atomic>
#include <mutex>
#include <vector>

#include "core/base/clock.h"
#include "tests/support/eventually.h"
#include "tests/unit/ingest/gate.h"
#include "tests/unit/ingest/ingest_harness.h"

namespace postern::plugin {
namespace {

using ingest::testing::FakeBoard;
using ingest::testing::FakeSink;
using ingest::testing::Gate;
using postern::testing::eventually;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Events = std::vector<std::unique_ptr<ingest::PendingEvent>>;

constexpr std::chrono::seconds kPatience{30};
constexpr int64_t kLongMs = 1'000'000;

class PublisherTest : public ::testing::Test {
 protected:
  PublisherTest() { connect(); }
  ~PublisherTest() override {
    gate_.open();
    EXPECT_TRUE(publisher_.close(steady_ms() + 10'000));
  }

  void connect() {
    publisher_.connect({sink_, board_, [this](ingest::NewEvent& event) {
                          event.targets = targets_;
                          event.dedupe_until = event.received_at + 1000;
                        }},
                       alarm_, "acme");
  }
  static ingest::NewEvent event(const std::string& external_id = "") {
    ingest::NewEvent made;
    made.provider = "acme";
    made.type = "acme.thing";
    made.external_id = external_id;
    return made;
  }
  Status publish(int64_t wait_ms = 0, const std::string& external_id = "") {
    return publisher_.publish(event(external_id), wait_ms, [this](const Publisher::Outcome& outcome) {
      std::lock_guard lock(mutex_);
      told_.push_back(outcome);
    });
  }
  // The store says what became of them.
  void commit(Events events, ingest::Outcome outcome = ingest::Outcome::kStored, Status status = Status::ok()) {
    ingest::CommitObserver* observer = events.front()->observer;
    for (auto& one : events) {
      one->outcome = outcome;
      one->status = status;
      one->seq = ++seq_;
      one->event_id = "evt_" + std::to_string(seq_);
    }
    observer->on_committed(std::move(events));
  }
  std::vector<Publisher::Outcome> told(size_t count) {
    auto all = [this] {
      std::lock_guard lock(mutex_);
      return told_;
    };
    EXPECT_TRUE(eventually(kPatience, [&] { return all().size() >= count; }));
    return all();
  }

  FakeSink sink_;
  FakeBoard board_;
  Gate gate_;
  Alarm alarm_;
  ingest::Targets targets_ = std::make_shared<std::vector<ingest::Target>>(std::vector<ingest::Target>{{"acme", ingest::kOwnHandlers}});
  Publisher publisher_{200};
  std::mutex mutex_;
  std::vector<Publisher::Outcome> told_;
  int64_t seq_ = 0;
};

TEST_F(PublisherTest, TellsWhenItIsDurableAndNotBefore) {
  ASSERT_TRUE(publish());
  Events events = sink_.take();
  EXPECT_EQ(events[0]->event.targets, targets_);
  EXPECT_NE(events[0]->event.received_at, 0);
  EXPECT_EQ(publisher_.waiting(), 1u);
  EXPECT_THAT(told_, IsEmpty());
  commit(std::move(events));
  const auto outcome = told(1)[0];
  EXPECT_TRUE(outcome.status);
  EXPECT_EQ(outcome.event_id, "evt_1");
  EXPECT_FALSE(outcome.settled);
  EXPECT_EQ(outcome.error, "");
  EXPECT_TRUE(eventually(kPatience, [&] { return publisher_.waiting() == 0; }));
}

TEST_F(PublisherTest, OnlyWhatHasAnIdCanBeADuplicate) {
  ASSERT_TRUE(publish(0, "one"));
  ASSERT_TRUE(publish());
  Events events = sink_.take(2);
  EXPECT_EQ(events[0]->event.dedupe_until, events[0]->event.received_at + 1000);
  EXPECT_EQ(events[1]->event.dedupe_until, 0);
  commit(std::move(events), ingest::Outcome::kDuplicate);
  const auto outcomes = told(2);
  EXPECT_TRUE(outcomes[0].status);
  EXPECT_TRUE(outcomes[0].duplicate);
}

TEST_F(PublisherTest, WhatIsNotStoredIsTold) {
  ASSERT_TRUE(publish());
  commit(sink_.take(), ingest::Outcome::kFailed, {Code::kIo, "the disk is full"});
  EXPECT_EQ(told(1)[0].error, "the disk is full");
  sink_.set_accepting({Code::kLimit, "the backlog is full"});
  ASSERT_TRUE(publish());
  const auto outcome = told(2)[1];
  EXPECT_FALSE(outcome.status);
  EXPECT_EQ(outcome.error, "the backlog is full");
  EXPECT_EQ(sink_.size(), 0u);
}

TEST_F(PublisherTest, WaitsForTheHandler) {
  ASSERT_TRUE(publish(kLongMs));
  commit(sink_.take());
  EXPECT_TRUE(board_.awaits(1));
  EXPECT_THAT(told_, IsEmpty());
  board_.settle(1, "{\"a\":1}");
  const auto done = told(1)[0];
  EXPECT_TRUE(done.settled);
  EXPECT_EQ(done.result, "{\"a\":1}");
  EXPECT_EQ(done.event_id, "evt_1");
  ASSERT_TRUE(publish(kLongMs));
  commit(sink_.take());
  board_.settle(2, std::nullopt);
  const auto dead = told(2)[1];
  EXPECT_TRUE(dead.status);
  EXPECT_FALSE(dead.settled);
  EXPECT_THAT(dead.error, HasSubstr("the handler has failed"));
}

TEST_F(PublisherTest, NotForLongerThanItIsSaid) {
  ASSERT_TRUE(publish(1));
  commit(sink_.take());
  EXPECT_THAT(told(1)[0].error, HasSubstr("in time"));
  EXPECT_THAT(board_.forgotten(), ElementsAre(1));
  board_.settle(1, "late");
  ASSERT_TRUE(publish());
  commit(sink_.take());
  EXPECT_EQ(told(2).size(), 2u) << "once";
}

TEST_F(PublisherTest, WithoutAnOwnHandlerThereIsNothingToWaitFor) {
  targets_ = std::make_shared<std::vector<ingest::Target>>(std::vector<ingest::Target>{{"other", ingest::kOwnHandlers}, {"acme", "crm"}});
  ASSERT_TRUE(publish(kLongMs));
  commit(sink_.take());
  EXPECT_EQ(told(1)[0].error, "");
  EXPECT_FALSE(board_.awaits(1));
}

TEST_F(PublisherTest, WithoutACallbackNothingIsKept) {
  ASSERT_TRUE(publisher_.publish(event(), kLongMs, nullptr));
  EXPECT_EQ(publisher_.waiting(), 1u);
  commit(sink_.take());
  EXPECT_EQ(publisher_.waiting(), 0u);
  EXPECT_FALSE(board_.awaits(1));
}

TEST_F(PublisherTest, BoundedInNumber) {
  for (size_t i = 0; i < Publisher::kMaxWaiting; ++i) ASSERT_TRUE(publish());
  EXPECT_EQ(publish().code(), Code::kLimit);
  commit(sink_.take(Publisher::kMaxWaiting));
  EXPECT_EQ(told(Publisher::kMaxWaiting).size(), Publisher::kMaxWaiting);
  EXPECT_TRUE(eventually(kPatience, [&] { return publisher_.waiting() == 0; }));
  ASSERT_TRUE(publish());
  commit(sink_.take());
}

TEST_F(PublisherTest, BoundedInTheBytesOfResults) {
  constexpr size_t kResult = 4 << 20, kFit = Publisher::kMaxResultBytes / kResult;
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(publisher_.publish(event(), 0, [this](const Publisher::Outcome&) { gate_.pass(); }));
    commit(sink_.take());
  }
  ASSERT_TRUE(gate_.wait_for_arrivals(2));
  for (size_t i = 0; i < kFit + 1; ++i) {
    ASSERT_TRUE(publish(kLongMs));
    commit(sink_.take());
    board_.settle(seq_, std::string(kResult, 'x'));
  }
  gate_.open();
  size_t whole = 0, without = 0;
  for (const auto& outcome : told(kFit + 1)) {
    outcome.settled ? ++whole : ++without;
    EXPECT_THAT(outcome.error, outcome.settled ? HasSubstr("") : HasSubstr("does not take results"));
  }
  EXPECT_GE(whole, kFit);
  EXPECT_LE(without, 1u);
}

TEST_F(PublisherTest, CallbacksThatHangHoldUpNoOther) {
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(publisher_.publish(event(), 0, [this](const Publisher::Outcome&) { gate_.pass(); }));
    commit(sink_.take());
  }
  ASSERT_TRUE(gate_.wait_for_arrivals(2));
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(publish());
  commit(sink_.take(5));
  EXPECT_EQ(told(5).size(), 5u);
  EXPECT_FALSE(publisher_.close(steady_ms() + 50)) << "two are inside the plugin";
}

TEST_F(PublisherTest, ClosedItTellsOfAllThatIsOut) {
  ASSERT_TRUE(publish(kLongMs));
  commit(sink_.take());
  ASSERT_TRUE(publish(kLongMs));
  Events stored_late = sink_.take();
  EXPECT_FALSE(publisher_.close(steady_ms() + 50)) << "one is not durable yet";
  EXPECT_EQ(publish().code(), Code::kGone);
  EXPECT_THAT(told(1)[0].error, HasSubstr("about to end"));
  EXPECT_THAT(board_.forgotten(), ElementsAre(1));
  commit(std::move(stored_late));
  EXPECT_TRUE(told(2)[1].status);
  EXPECT_FALSE(board_.awaits(2));
  EXPECT_TRUE(publisher_.close(steady_ms() + 10'000));
}

TEST_F(PublisherTest, HoldsThePluginUntilItIsTold) {
  auto plugin = std::make_shared<int>(1);
  std::weak_ptr<int> held = plugin;
  ASSERT_TRUE(publisher_.publish(event(), 0, [](const Publisher::Outcome&) {}, std::move(plugin)));
  EXPECT_FALSE(held.expired());
  commit(sink_.take());
  EXPECT_TRUE(eventually(kPatience, [&] { return held.expired(); }));
}

TEST(UnconnectedPublisher, TakesNothing) {
  Publisher publisher;
  EXPECT_EQ(publisher.publish({}, 0, nullptr).code(), Code::kUnavailable);
  EXPECT_TRUE(publisher.close(0));
}

}  // namespace
}  // namespace postern::plugin
