#include "core/net/timer_wheel.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <vector>

namespace postern::net {
namespace {

constexpr int64_t kTick = TimerWheel::kTickMs;
constexpr int64_t kSpan = 512 * kTick;  // of the wheel: a timer beyond it shares its slot with nearer ones

// Steps the wheel as the loop does and tells at which moment the timer fired, or -1.
int64_t fired_at(int64_t start, int64_t at, int64_t step, int64_t until) {
  TimerWheel wheel;
  wheel.advance(start);
  int64_t now = start, fired = -1;
  int count = 0;
  Timer timer([&] {
    fired = now;
    ++count;
  });
  wheel.arm(timer, at);
  for (; now <= until; now += step) wheel.advance(now);
  EXPECT_LE(count, 1);
  EXPECT_EQ(wheel.empty(), count == 1);
  EXPECT_EQ(timer.armed(), count == 0);
  return fired;
}

TEST(TimerWheel, FiresNeverEarlyAndWithinOneTick) {
  for (int64_t start : {int64_t{0}, int64_t{1}, kTick - 1, kTick, int64_t{123456789}}) {
    for (int64_t wait : {int64_t{0}, int64_t{1}, kTick - 1, kTick, kTick + 1, 10 * kTick + 5, kSpan - kTick, kSpan - 1, kSpan, kSpan + 1,
                         3 * kSpan + 7, 40 * kSpan}) {
      int64_t fired = fired_at(start, start + wait, 1, start + wait + 2 * kTick);
      EXPECT_GE(fired, start + wait) << start << "+" << wait;
      EXPECT_LE(fired, start + wait + kTick) << start << "+" << wait;
    }
  }
}

TEST(TimerWheel, FiresWhatIsInThePastAtTheNextTick) {
  int64_t fired = fired_at(10 * kSpan, 5, 1, 10 * kSpan + 2 * kTick);
  EXPECT_GE(fired, 10 * kSpan);
  EXPECT_LE(fired, 10 * kSpan + kTick);
}

// Whatever the steps: timers at random, some of them moved, some cancelled.
TEST(TimerWheel, KeepsManyTimersApart) {
  std::mt19937 random(7);
  auto pick = [&](int64_t below) { return static_cast<int64_t>(random() % static_cast<uint64_t>(below)); };
  struct Armed {
    int64_t at = 0, fired = -1;
    bool cancelled = false;
    std::unique_ptr<Timer> timer;
  };
  TimerWheel wheel;
  int64_t now = 0, before = 0;
  std::vector<Armed> all(2000);
  for (Armed& one : all) {
    one.timer = std::make_unique<Timer>([&] {
      EXPECT_EQ(one.fired, -1);
      one.fired = now;
      EXPECT_LT(before, one.at + kTick) << "it was due when the wheel was looked at before";
    });
    one.at = pick(3 * kSpan);
    wheel.arm(*one.timer, one.at);
  }
  for (Armed& one : all) {
    if (pick(3) == 0) wheel.arm(*one.timer, one.at = pick(3 * kSpan));
    if (pick(5) == 0) {
      one.timer->cancel();
      one.cancelled = true;
    }
  }
  for (; now < 4 * kSpan; before = now, now += 1 + pick(5 * kTick)) wheel.advance(now);
  for (const Armed& one : all) {
    if (one.cancelled) {
      EXPECT_EQ(one.fired, -1);
    } else {
      EXPECT_GE(one.fired, one.at);
    }
  }
  EXPECT_TRUE(wheel.empty());
}

TEST(TimerWheel, MovesAnArmedTimer) {
  TimerWheel wheel;
  int fired = 0;
  Timer timer([&] { ++fired; });
  for (int64_t now = 0; now < 20 * kTick; ++now) {
    wheel.arm(timer, now + 2 * kTick);  // as each request moves the deadline on
    wheel.advance(now);
  }
  EXPECT_EQ(fired, 0);
  wheel.arm(timer, 20 * kTick);
  wheel.advance(21 * kTick);
  EXPECT_EQ(fired, 1);
}

TEST(TimerWheel, MayBeArmedAgainInItsOwnFunction) {
  TimerWheel wheel;
  int64_t now = 0;
  std::vector<int64_t> fired;
  Timer* self = nullptr;
  Timer timer([&] {
    fired.push_back(now);
    wheel.arm(*self, now + 3 * kTick);
  });
  self = &timer;
  wheel.arm(timer, 0);
  for (; now <= 20 * kTick; now += kTick) wheel.advance(now);
  ASSERT_GE(fired.size(), 4u);
  for (size_t i = 1; i < fired.size(); ++i) EXPECT_GE(fired[i] - fired[i - 1], 3 * kTick);
  EXPECT_TRUE(timer.armed());
}

TEST(TimerWheel, ArmedForNowInItsOwnFunctionDoesNotHoldTheWheel) {
  TimerWheel wheel;
  int fired = 0;
  Timer* self = nullptr;
  Timer timer([&] {
    ++fired;
    wheel.arm(*self, 0);
  });
  self = &timer;
  wheel.arm(timer, 0);
  wheel.advance(1000 * kSpan);
  EXPECT_GE(fired, 1);
  EXPECT_LE(fired, 512) << "each slot is looked at once";
}

TEST(TimerWheel, MayCancelAnotherThatIsDueToo) {
  TimerWheel wheel;
  int first = 0, second = 0;
  Timer* other = nullptr;
  Timer a([&] {
    ++first;
    other->cancel();
  });
  Timer b([&] { ++second; });
  other = &b;
  wheel.arm(a, 5);
  wheel.arm(b, 5);
  wheel.advance(kTick);
  EXPECT_EQ(first, 1);
  EXPECT_EQ(second, 0);
  EXPECT_FALSE(b.armed());
  EXPECT_TRUE(wheel.empty());
}

TEST(TimerWheel, MayCancelItselfInItsOwnFunction) {
  TimerWheel wheel;
  Timer* self = nullptr;
  int fired = 0;
  Timer timer([&] {
    self->cancel();
    ++fired;
  });
  self = &timer;
  wheel.arm(timer, 5);
  wheel.advance(kTick);
  wheel.advance(2 * kTick);
  EXPECT_EQ(fired, 1);
  EXPECT_TRUE(wheel.empty());
}

TEST(TimerWheel, MayDestroyItselfAndOthersInItsFunction) {
  TimerWheel wheel;
  std::vector<std::unique_ptr<Timer>> timers;
  int fired = 0;
  for (int i = 0; i < 10; ++i) {
    timers.push_back(std::make_unique<Timer>([&] {
      ++fired;
      timers.clear();  // this one, and nine that are due as well
    }));
    wheel.arm(*timers.back(), 5);
  }
  wheel.advance(kTick);
  EXPECT_EQ(fired, 1);
  EXPECT_TRUE(timers.empty());
  EXPECT_TRUE(wheel.empty());
}

TEST(TimerWheel, IsCancelledByItsDestructor) {
  TimerWheel wheel;
  {
    Timer timer([] { FAIL() << "fired after its end"; });
    wheel.arm(timer, 5);
    EXPECT_FALSE(wheel.empty());
  }
  EXPECT_TRUE(wheel.empty());
  wheel.advance(kSpan);
}

// The process was stopped for a day: all that became due fires at once, what is still ahead does not.
TEST(TimerWheel, OutlivesALongPause) {
  constexpr int64_t kDay = 24 * 3600 * 1000;
  TimerWheel wheel;
  wheel.advance(1000);
  int due = 0, ahead = 0;
  std::vector<std::unique_ptr<Timer>> timers;
  for (int64_t at = 0; at < kDay; at += kDay / 2000) {
    timers.push_back(std::make_unique<Timer>([&] { ++due; }));
    wheel.arm(*timers.back(), at);
  }
  size_t expected = timers.size();
  for (int i = 1; i <= 600; ++i) {
    timers.push_back(std::make_unique<Timer>([&] { ++ahead; }));
    wheel.arm(*timers.back(), kDay + 1000 + i * kTick);
  }
  wheel.advance(kDay + 1000);
  EXPECT_EQ(static_cast<size_t>(due), expected);
  EXPECT_EQ(ahead, 0);
  wheel.advance(kDay + 1000 + 602 * kTick);
  EXPECT_EQ(ahead, 600);
}

}  // namespace
}  // namespace postern::net
