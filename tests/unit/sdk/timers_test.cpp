// Timers through the C++ wrapper and the fake host.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>

#include "scripted.h"

namespace {

using postern::milliseconds;
using postern::Timers;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class TimersOfTheSdk : public postern::testing::ScriptedTest {
 protected:
  template <typename F>
  void start_setting(F handler, postern::testing::Options options = {}) {
    auto started = start(
        [this, handler](postern::Setup& setup, std::string_view) {
          setup.timer_type("scripted.due");
          setup.on("e", handler);
          setup.on("scripted.due", [this](postern::Delivery& delivery) {
            std::string seen(delivery.external_id());
            for (std::string_view part : {delivery.body(), delivery.order_key()}) seen += " " + std::string(part);
            seen_.push_back(std::move(seen));
          });
        },
        std::move(options));
    ASSERT_TRUE(started.ok()) << started.error;
  }
  void start_with_timers() {
    auto started = start([this](postern::Setup& setup, std::string_view) { timers_ = setup.timers(); });
    ASSERT_TRUE(started.ok()) << started.error;
  }

  std::vector<std::string> seen_;
  Timers timers_;
};

TEST_F(TimersOfTheSdk, ADurableOneArrivesMemberForMember) {
  start_setting([](postern::Delivery& delivery) {
    delivery.set_timer({.name = "n", .type = "scripted.due", .body = "b", .order_key = "k", .delay = milliseconds(7)});
  });
  EXPECT_THAT(host->timer_types(), ElementsAre("scripted.due"));
  ASSERT_TRUE(deliver().done());
  ASSERT_THAT(host->timers(), SizeIs(1));
  auto timer = host->timers()[0];
  EXPECT_EQ(timer.name, "n");
  EXPECT_EQ(timer.type, "scripted.due");
  EXPECT_EQ(timer.body, "b");
  EXPECT_EQ(timer.order_key, "k");
  EXPECT_EQ(timer.delay_ms, 7);
  EXPECT_TRUE(host->fire("n").done());
  EXPECT_THAT(seen_, ElementsAre("n b k"));
  EXPECT_THAT(host->timers(), IsEmpty());
  EXPECT_FALSE(host->fire("n").handled) << "once";
  EXPECT_THAT(host->misuses(), IsEmpty());
}

TEST_F(TimersOfTheSdk, OrderKeys) {
  start_setting([](postern::Delivery& delivery) {
    delivery.set_timer({.name = "inherits", .type = "scripted.due"});
    delivery.set_timer({.name = "none", .type = "scripted.due", .unordered = true});
  });
  ASSERT_TRUE(host->deliver({.type = "e", .order_key = "theirs"}).done());
  EXPECT_EQ(host->timers()[0].order_key, "theirs");
  EXPECT_EQ(host->timers()[1].order_key, "");
}

TEST_F(TimersOfTheSdk, AreEffects) {
  start_setting([](postern::Delivery& delivery) {
    delivery.set_timer({.name = std::string("of ") + std::string(delivery.external_id()), .type = "scripted.due"});
    delivery.remove_timer("of 1");
    if (delivery.external_id() == "2" && delivery.attempt() == 1) throw postern::Retry("not yet");
  });
  ASSERT_TRUE(host->deliver({.type = "e", .external_id = "0"}).done());
  auto failed = host->deliver({.type = "e", .external_id = "2"});
  EXPECT_FALSE(failed.done());
  EXPECT_THAT(host->timers(), SizeIs(1)) << "neither set nor removed";
  EXPECT_TRUE(host->redeliver(failed.delivery).done());
  EXPECT_THAT(host->timers(), SizeIs(2));
}

TEST_F(TimersOfTheSdk, RemovedAndReplaced) {
  start_setting([](postern::Delivery& delivery) {
    delivery.set_timer({.name = "a", .type = "scripted.due", .body = "1"});
    delivery.set_timer({.name = "a", .type = "scripted.due", .body = "2"});
    delivery.set_timer({.name = "b", .type = "scripted.due"});
    delivery.remove_timer("b");
    delivery.remove_timer("never there");
  });
  ASSERT_TRUE(deliver().done());
  ASSERT_THAT(host->timers(), SizeIs(1));
  EXPECT_EQ(host->timers()[0].body, "2");
}

TEST_F(TimersOfTheSdk, FromAPendingDelivery) {
  std::shared_ptr<postern::Pending> pending;
  start_setting([&](postern::Delivery& delivery) { pending = std::make_shared<postern::Pending>(delivery.detach()); });
  auto settled = deliver();
  ASSERT_EQ(settled.outcome, POSTERN_PENDING);
  pending->set_timer({.name = "a", .type = "scripted.due"});
  EXPECT_THAT(host->timers(), IsEmpty());
  EXPECT_TRUE(pending->complete(postern::Outcome::done()));
  EXPECT_THAT(host->timers(), SizeIs(1));
}

TEST_F(TimersOfTheSdk, ABadOneIsNamed) {
  start_setting([](postern::Delivery& delivery) { delivery.set_timer({.name = "a", .type = "unheard.of", .delay = milliseconds(-5)}); });
  auto settled = deliver();
  EXPECT_FALSE(settled.done());
  EXPECT_THAT(settled.why, HasSubstr("the timer 'a' of type 'unheard.of' in -5 ms: refused"));
}

TEST_F(TimersOfTheSdk, WithoutTheExtension) {
  auto started = start([](postern::Setup& setup, std::string_view) { setup.timer_type("scripted.due"); },
                       {.without = {"postern.timers/1"}});
  EXPECT_EQ(started.status, POSTERN_E_UNSUPPORTED);
  EXPECT_THAT(started.error, HasSubstr("this gateway has no postern.timers/1"));
}

TEST_F(TimersOfTheSdk, InMemoryTheyRunWhenTheirTimeHasCome) {
  start_with_timers();
  std::vector<int> ran;
  timers_.start(milliseconds(20), [&] { ran.push_back(20); });
  timers_.start(milliseconds(10), [&] {
    ran.push_back(10);
    timers_.start(milliseconds(5), [&] { ran.push_back(15); });
  });
  EXPECT_EQ(host->pass(milliseconds(9)), 0u);
  EXPECT_EQ(host->timers_in_memory(), 2u);
  EXPECT_EQ(host->pass(milliseconds(11)), 3u);
  EXPECT_THAT(ran, ElementsAre(10, 15, 20));
}

TEST_F(TimersOfTheSdk, CancelledOnesDoNot) {
  start_with_timers();
  bool ran = false;
  uint64_t timer = timers_.start(milliseconds(10), [&] { ran = true; });
  uint64_t other = timers_.start(milliseconds(10), [] {});
  EXPECT_TRUE(timers_.cancel(timer));
  EXPECT_FALSE(timers_.cancel(timer));
  EXPECT_EQ(host->pass(milliseconds(10)), 1u);
  EXPECT_FALSE(ran);
  EXPECT_FALSE(timers_.cancel(other));
  EXPECT_FALSE(Timers().cancel(1)) << "one of no host";
}

// What a callback holds lives no longer than it has to.
TEST_F(TimersOfTheSdk, CallbacksAreFreed) {
  start_with_timers();
  auto run = std::make_shared<int>(1), cancelled = std::make_shared<int>(2), waits = std::make_shared<int>(3);
  timers_.start(milliseconds(1), [run] {});
  uint64_t timer = timers_.start(milliseconds(1), [cancelled] {});
  timers_.start(milliseconds(100), [waits] {});
  timers_.cancel(timer);
  host->pass(milliseconds(1));
  EXPECT_EQ(run.use_count(), 1);
  EXPECT_EQ(cancelled.use_count(), 1);
  EXPECT_EQ(waits.use_count(), 2);
  host->stop();
  EXPECT_EQ(waits.use_count(), 1);
}

TEST_F(TimersOfTheSdk, AnExceptionIsLogged) {
  start_with_timers();
  timers_.start(milliseconds(1), [] { throw std::runtime_error("no luck"); });
  EXPECT_EQ(host->pass(milliseconds(1)), 1u);
  ASSERT_THAT(host->log(), SizeIs(1));
  EXPECT_THAT(host->log()[0].text, HasSubstr("no luck"));
}

TEST_F(TimersOfTheSdk, AreGoneWhenThePluginIsDeactivated) {
  script_.deactivate = [this] {
    EXPECT_THROW(timers_.start(milliseconds(1), [] {}), postern::Gone);
    seen_.push_back("deactivated");
  };
  start_with_timers();
  timers_.start(milliseconds(1), [this] { seen_.push_back("ran"); });
  host->stop();
  EXPECT_THAT(seen_, ElementsAre("deactivated"));
}

TEST_F(TimersOfTheSdk, RefusedOnesAreErrors) {
  start_with_timers();
  EXPECT_THROW(timers_.start(milliseconds(-1), [] {}), postern::Error);
  EXPECT_THROW(Timers().start(milliseconds(1), [] {}), postern::Error);
  for (int i = 0; i < 10'000; ++i) timers_.start(milliseconds(1), [] {});
  EXPECT_THROW(timers_.start(milliseconds(1), [] {}), postern::Error);
}

}  // namespace
