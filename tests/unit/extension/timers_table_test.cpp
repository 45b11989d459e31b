// postern.timers/1 as a plugin sees it: durable timers as effects of a delivery, those in memory on real threads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <postern/ext/timers.h>

#include <atomic>
#include <future>
#include <stdexcept>

#include "core/base/clock.h"
#include "core/dispatch/delivery.h"
#include "core/extension/handles.h"
#include "core/extension/table.h"
#include "core/plugin/host.h"
#include "tests/support/eventually.h"
#include "tests/unit/dispatch/fake_store.h"

namespace postern::extension {
namespace {

using testing::eventually;
using testing::milliseconds;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr milliseconds kSoon(30'000);

postern_str str(std::string_view text) { return {text.data(), text.size()}; }

const postern_ext_timers& table() {
  return *static_cast<const postern_ext_timers*>(host_api().get_extension(nullptr, str(POSTERN_EXT_TIMERS)));
}

class DurableTimers : public ::testing::Test {
 protected:
  DurableTimers() {
    host_.name = "p";
    host_.phase = postern_host::Phase::kInit;
    EXPECT_EQ(table().declare(&host_, str("p.due")), POSTERN_OK);
    host_.phase = postern_host::Phase::kActive;
    subscriber_->plugin = "p";
    auto event = std::make_shared<store::StoredEvent>();
    event->order_key = "key";
    delivery_ = std::make_shared<dispatch::Delivery>(1, 1, event, subscriber_, store_, [](const auto&, const auto&) {});
  }

  static postern_timer_desc desc() {
    postern_timer_desc d{};
    d.struct_size = sizeof d;
    d.name = str("a");
    d.type = str("p.due");
    d.body = str("bytes");
    d.delay_ms = 5000;
    return d;
  }
  postern_delivery* handle() { return reinterpret_cast<postern_delivery*>(delivery_.get()); }
  postern_status set(const postern_timer_desc& d) { return table().set(&host_, handle(), &d); }
  std::vector<store::TimerWrite> written() {
    delivery_->on_return({});
    store::Settlement settlement;
    delivery_->take_effects(settlement);
    return settlement.timers;
  }
  // What is said of a timer that is not taken.
  std::string fault_of(const postern_timer_desc& d, postern_status expected = POSTERN_E_INVALID) {
    plugin::take_error();
    EXPECT_EQ(set(d), expected);
    return plugin::take_error();
  }

  dispatch::testing::FakeStore store_;
  std::shared_ptr<dispatch::Subscriber> subscriber_ = std::make_shared<dispatch::Subscriber>();
  postern_host host_;
  std::shared_ptr<dispatch::Delivery> delivery_;
};

TEST_F(DurableTimers, AreEffectsOfTheDelivery) {
  ASSERT_EQ(set(desc()), POSTERN_OK);
  postern_timer_desc keyed = desc();
  keyed.order_key = str("own");
  ASSERT_EQ(set(keyed), POSTERN_OK);
  postern_timer_desc unordered = keyed;
  unordered.flags = POSTERN_TIMER_UNORDERED;
  ASSERT_EQ(set(unordered), POSTERN_OK);
  ASSERT_EQ(table().remove(handle(), str("b")), POSTERN_OK);
  std::vector<store::TimerWrite> timers = written();
  ASSERT_THAT(timers, SizeIs(4));
  EXPECT_EQ(timers[0].name, "a");
  EXPECT_EQ(timers[0].type, "p.due");
  EXPECT_EQ(timers[0].body, "bytes");
  EXPECT_EQ(timers[0].delay_ms, 5000);
  EXPECT_EQ(timers[0].order_key, "key") << "the delivery's";
  EXPECT_FALSE(timers[0].remove);
  EXPECT_EQ(timers[1].order_key, "own");
  EXPECT_EQ(timers[2].order_key, "");
  EXPECT_EQ(timers[3].name, "b");
  EXPECT_TRUE(timers[3].remove);
}

TEST_F(DurableTimers, BadOnesAreToldApart) {
  postern_timer_desc d = desc();
  d.delay_ms = -1;
  EXPECT_THAT(fault_of(d), HasSubstr("not negative, as -1 ms"));
  d.delay_ms = INT64_MAX;
  EXPECT_THAT(fault_of(d), HasSubstr("at most ten years"));
  d = desc();
  d.name = {nullptr, 0};
  EXPECT_THAT(fault_of(d), HasSubstr("1 to 1024 bytes"));
  d.name = str(std::string_view("a\0b", 3));
  EXPECT_THAT(fault_of(d), HasSubstr("NUL"));
  std::string long_name(1025, 'x');
  d.name = str(long_name);
  EXPECT_THAT(fault_of(d), HasSubstr("1 to 1024 bytes"));
  d = desc();
  d.type = str("p.unheard_of");
  EXPECT_THAT(fault_of(d), HasSubstr("'p.unheard_of' of a timer was not declared in init"));
  d = desc();
  std::string body(64 * 1024 + 1, 'x');
  d.body = str(body);
  EXPECT_THAT(fault_of(d), HasSubstr("65536 bytes, not 65537"));
  d.body.len = 64 * 1024;
  EXPECT_EQ(set(d), POSTERN_OK);
  d = desc();
  d.order_key = str(long_name);
  EXPECT_THAT(fault_of(d), HasSubstr("order key"));
  d = desc();
  d.flags = 2;
  EXPECT_THAT(fault_of(d), HasSubstr("unknown flags"));
  EXPECT_EQ(table().remove(handle(), {nullptr, 0}), POSTERN_E_INVALID);
  EXPECT_THAT(written(), SizeIs(1));
  EXPECT_THAT(fault_of(desc(), POSTERN_E_GONE), HasSubstr("ended"));
}

TEST_F(DurableTimers, OfAnotherPluginsDeliveryAreRefused) {
  subscriber_->plugin = "other";
  EXPECT_THAT(fault_of(desc()), HasSubstr("another plugin's"));
}

TEST_F(DurableTimers, TypesAreDeclaredInInit) {
  EXPECT_EQ(table().declare(&host_, str("late")), POSTERN_E_STATE);
  host_.phase = postern_host::Phase::kInit;
  EXPECT_EQ(table().declare(&host_, str("p.due")), POSTERN_OK) << "again is no harm";
  EXPECT_THAT(host_.registrations.timer_types, SizeIs(1));
  for (std::string_view odd : {"", "p.*", "two\nlines", "\xff"}) EXPECT_EQ(table().declare(&host_, str(odd)), POSTERN_E_INVALID) << odd;
  EXPECT_THAT(host_.registrations.refusal, HasSubstr("one line of UTF-8"));
  for (int i = 1; i < 100; ++i) EXPECT_EQ(table().declare(&host_, str("t" + std::to_string(i))), POSTERN_OK);
  EXPECT_EQ(table().declare(&host_, str("one more")), POSTERN_E_LIMIT);
}

// ---- in memory

struct Ran {
  std::atomic<int> times{0};
  postern_instance* self = nullptr;
  std::function<postern_status()> then = [] { return POSTERN_OK; };
};
postern_status run(postern_instance* self, void* user) {
  auto& ran = *static_cast<Ran*>(user);
  ran.self = self;
  ++ran.times;
  return ran.then();
}

class TimersInMemory : public ::testing::Test {
 protected:
  TimersInMemory() {
    host_.name = "p";
    host_.self = reinterpret_cast<postern_instance*>(this);
    host_.timers.connect(alarm_);
  }
  ~TimersInMemory() override { EXPECT_TRUE(end()); }
  bool end() {
    host_.timers.close();
    return host_.timers.threads()->stop(30'000);
  }
  uint64_t start(int64_t delay_ms, Ran& ran) {
    uint64_t timer = 0;
    EXPECT_EQ(table().start(&host_, delay_ms, run, &ran, &timer), POSTERN_OK);
    return timer;
  }

  plugin::Alarm alarm_;
  Ran ran_, other_;  // outlive the calls
  postern_host host_;
};

TEST_F(TimersInMemory, RunOnceOnAThreadOfTheirOwn) {
  int64_t before = steady_ms();
  std::promise<std::thread::id> thread;
  ran_.then = [&] {
    thread.set_value(std::this_thread::get_id());
    return POSTERN_OK;
  };
  start(100, ran_);
  EXPECT_NE(thread.get_future().get(), std::this_thread::get_id());
  EXPECT_GE(steady_ms() - before, 100);
  EXPECT_EQ(ran_.self, host_.self);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(ran_.times, 1);
  EXPECT_EQ(host_.timers.waiting(), 0u);
}

TEST_F(TimersInMemory, InTheOrderOfTheirTimes) {
  std::atomic<int> turn{0}, first{0}, second{0};
  ran_.then = [&] { return second = ++turn, POSTERN_OK; };
  other_.then = [&] { return first = ++turn, POSTERN_OK; };
  start(200, ran_);
  start(20, other_);
  ASSERT_TRUE(eventually(kSoon, [&] { return first != 0 && second != 0; }));
  EXPECT_EQ(first, 1);
  EXPECT_EQ(second, 2);
}

TEST_F(TimersInMemory, ACallbackMayStartTheNext) {
  ran_.then = [&] {
    if (ran_.times < 3) start(1, ran_);
    return POSTERN_OK;
  };
  start(1, ran_);
  ASSERT_TRUE(eventually(kSoon, [&] { return ran_.times == 3; }));
}

TEST_F(TimersInMemory, AreCancelled) {
  uint64_t cancelled = start(50, ran_);
  uint64_t kept = start(60, other_);
  EXPECT_EQ(table().cancel(&host_, cancelled), POSTERN_OK);
  EXPECT_EQ(table().cancel(&host_, cancelled), POSTERN_E_NOT_FOUND);
  EXPECT_EQ(table().cancel(&host_, 999), POSTERN_E_NOT_FOUND);
  ASSERT_TRUE(eventually(kSoon, [&] { return other_.times == 1; }));
  EXPECT_EQ(table().cancel(&host_, kept), POSTERN_E_NOT_FOUND);
  EXPECT_EQ(ran_.times, 0);
}

TEST_F(TimersInMemory, AnExceptionOrAFailureIsNoHarm) {
  ran_.then = []() -> postern_status { throw std::runtime_error("no plugin may"); };
  other_.then = [] { return POSTERN_E_INTERNAL; };
  start(0, ran_);
  start(0, other_);
  ASSERT_TRUE(eventually(kSoon, [&] { return ran_.times == 1 && other_.times == 1 && host_.timers.threads()->status().busy == 0; }));
  ran_.then = other_.then = [] { return POSTERN_OK; };
  start(0, ran_);
  ASSERT_TRUE(eventually(kSoon, [&] { return ran_.times == 2; }));
}

TEST_F(TimersInMemory, AfterDeactivationNothingRuns) {
  start(100, ran_);
  host_.timers.close();
  EXPECT_EQ(host_.timers.waiting(), 0u);
  EXPECT_EQ(table().start(&host_, 0, run, &ran_, nullptr), POSTERN_E_GONE);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_EQ(ran_.times, 0);
}

TEST_F(TimersInMemory, OneThatHangsDelaysNoOther) {
  std::promise<void> go_on;
  std::shared_future<void> waits = go_on.get_future().share();
  ran_.then = [waits] {
    waits.wait();
    return POSTERN_OK;
  };
  start(0, ran_);
  ASSERT_TRUE(eventually(kSoon, [&] { return ran_.times == 1; }));
  start(0, other_);
  EXPECT_TRUE(eventually(kSoon, [&] { return other_.times == 1; }));
  EXPECT_EQ(host_.timers.threads()->status().busy, 1u);
  host_.timers.close();
  EXPECT_FALSE(host_.timers.threads()->stop(20)) << "the plugin must not be destroyed now";
  go_on.set_value();
}

TEST_F(TimersInMemory, AreBounded) {
  for (size_t i = 0; i < plugin::MemoryTimers::kMaxWaiting; ++i) {
    ASSERT_EQ(table().start(&host_, 3'600'000, run, &ran_, nullptr), POSTERN_OK);
  }
  EXPECT_EQ(table().start(&host_, 0, run, &ran_, nullptr), POSTERN_E_LIMIT);
  EXPECT_THAT(plugin::take_error(), HasSubstr("10000 timers in memory"));
}

TEST_F(TimersInMemory, BadOnes) {
  EXPECT_EQ(table().start(&host_, -1, run, &ran_, nullptr), POSTERN_E_INVALID);
  EXPECT_EQ(table().start(&host_, INT64_MAX, run, &ran_, nullptr), POSTERN_E_INVALID);
  EXPECT_EQ(table().start(&host_, 0, nullptr, &ran_, nullptr), POSTERN_E_INVALID);
  postern_host early;
  EXPECT_EQ(table().start(&early, 0, run, &ran_, nullptr), POSTERN_E_STATE);
  EXPECT_THAT(plugin::take_error(), HasSubstr("active"));
}

}  // namespace
}  // namespace postern::extension
