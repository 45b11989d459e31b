// Threads for calls into one plugin, some of which hang.
#include "core/ingest/call_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <thread>

#include "core/base/clock.h"
#include "tests/unit/ingest/gate.h"

namespace postern::ingest {
namespace {

using testing::Gate;

constexpr int64_t kLater = 3'600'000;
constexpr size_t kMaxBytes = 1000;

class FunctionCall final : public CallPool::Call {
 public:
  FunctionCall(int64_t deadline, std::function<void()> f, size_t bytes = 0)
      : CallPool::Call(deadline, bytes), function_(std::move(f)) {}
  void run() override { function_(); }

 private:
  std::function<void()> function_;
};

class CallPoolTest : public ::testing::Test {
 protected:
  ~CallPoolTest() override {
    gate_.open();
    for (CallPool* pool : pools_) EXPECT_TRUE(pool->stop(10'000)) << "a thread is left over";
  }
  CallPool& make(uint32_t threads, size_t waiting = 100) {
    own_.push_back(std::make_unique<CallPool>(CallPool::Limits{.threads = threads, .waiting = waiting, .waiting_bytes = kMaxBytes}));
    pools_.push_back(own_.back().get());
    return *own_.back();
  }
  static bool submit(CallPool& pool, std::function<void()> function, int64_t deadline_in_ms = kLater) {
    return pool.submit(std::make_shared<FunctionCall>(steady_ms() + deadline_in_ms, std::move(function)));
  }
  // Occupies a thread until the gate is opened. Overdue from the next millisecond on.
  bool submit_overdue(CallPool& pool) {
    return submit(
        pool, [this] { gate_.pass(); }, -1);
  }
  bool submit_busy(CallPool& pool) {
    return submit(pool, [this] { gate_.pass(); });
  }
  // Until the pool says so; what it waits for has happened, all but the last step of a thread.
  template <typename Condition>
  static bool eventually(CallPool& pool, Condition condition) {
    for (int64_t until = steady_ms() + 10'000; steady_ms() < until; std::this_thread::yield()) {
      if (condition(pool.status())) return true;
    }
    return false;
  }

  Gate gate_;

 private:
  std::vector<std::unique_ptr<CallPool>> own_;
  std::vector<CallPool*> pools_;
};

TEST_F(CallPoolTest, RunsWhatItIsGiven) {
  CallPool& pool = make(2);
  gate_.open();
  std::atomic<int> ran{0};
  std::thread::id here = std::this_thread::get_id(), there = here;
  ASSERT_TRUE(submit(pool, [&] {
    there = std::this_thread::get_id();
    ++ran;
    gate_.pass();
  }));
  ASSERT_TRUE(gate_.wait_for_passed(1));
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(submit(pool, [&] {
      ++ran;
      gate_.pass();
    }));
  }
  ASSERT_TRUE(gate_.wait_for_passed(51));
  EXPECT_EQ(ran, 51);
  EXPECT_NE(there, here);
}

// Nobody has verified those that wait: many large ones must not fill the memory.
TEST_F(CallPoolTest, RefusesMoreBytesThanMayWait) {
  CallPool& pool = make(1);
  auto submit_of = [&](size_t bytes) {
    return pool.submit(std::make_shared<FunctionCall>(steady_ms() + kLater, [this] { gate_.pass(); }, bytes));
  };
  ASSERT_TRUE(submit_of(0));
  ASSERT_TRUE(gate_.wait_for_arrivals(1));
  EXPECT_TRUE(submit_of(kMaxBytes + 1)) << "one alone may be of any size";
  EXPECT_FALSE(submit_of(1));
  gate_.open();
  ASSERT_TRUE(gate_.wait_for_passed(2));
  gate_.close();
  ASSERT_TRUE(submit_of(0));
  ASSERT_TRUE(gate_.wait_for_arrivals(3));
  EXPECT_TRUE(submit_of(kMaxBytes - 1));
  EXPECT_TRUE(submit_of(1)) << "those that have run do not count any more";
  EXPECT_FALSE(submit_of(1));
}

TEST_F(CallPoolTest, HasNoThreadBeforeItsFirstCall) {
  CallPool& pool = make(8);
  EXPECT_EQ(pool.status().threads, 0u);
  EXPECT_TRUE(pool.stop(0)) << "nothing to wait for";
}

TEST_F(CallPoolTest, GrowsOnlyAsItMust) {
  CallPool& pool = make(3);
  gate_.open();
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(submit_busy(pool));
    ASSERT_TRUE(gate_.wait_for_passed(i + 1));
    ASSERT_TRUE(eventually(pool, [](const auto& s) { return s.busy == 0; }));
  }
  EXPECT_EQ(pool.status().threads, 1u) << "one after the other needs one thread";
  gate_.close();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(submit_busy(pool));
  ASSERT_TRUE(gate_.wait_for_arrivals(23));
  EXPECT_EQ(pool.status().threads, 3u);
  EXPECT_EQ(pool.status().busy, 3u);
  EXPECT_EQ(pool.status().waiting, 2u);
  EXPECT_EQ(pool.status().stuck, 0u) << "they are in time";
  gate_.open();
  EXPECT_TRUE(gate_.wait_for_passed(25));
}

TEST_F(CallPoolTest, RunsThemInTheirOrder) {
  CallPool& pool = make(1);
  ASSERT_TRUE(submit_busy(pool));
  std::vector<int> order;
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(submit(pool, [&order, i] { order.push_back(i); }));
  ASSERT_TRUE(submit_busy(pool));
  gate_.open();
  ASSERT_TRUE(gate_.wait_for_passed(2));
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST_F(CallPoolTest, TakesOnlyAsManyAsMayWait) {
  CallPool& pool = make(1, 2);
  ASSERT_TRUE(submit_busy(pool));
  ASSERT_TRUE(gate_.wait_for_arrivals(1));
  std::atomic<bool> ran{false};
  EXPECT_TRUE(submit_busy(pool));
  EXPECT_TRUE(submit_busy(pool));
  EXPECT_FALSE(submit(pool, [&] { ran = true; }));
  EXPECT_EQ(pool.status().waiting, 2u);
  gate_.open();
  ASSERT_TRUE(gate_.wait_for_passed(3));
  EXPECT_TRUE(submit(pool, [] {})) << "there is room again";
  EXPECT_TRUE(pool.stop(10'000));
  EXPECT_FALSE(ran) << "what was refused must not run";
}

// ---- calls that hang

TEST_F(CallPoolTest, ReplacesAThreadThatIsOverdue) {
  CallPool& pool = make(2);
  ASSERT_TRUE(submit_overdue(pool));
  ASSERT_TRUE(gate_.wait_for_arrivals(1));
  ASSERT_TRUE(submit_busy(pool));
  ASSERT_TRUE(gate_.wait_for_arrivals(2));
  // Both threads are taken; one of them does not count any more.
  ASSERT_TRUE(submit_busy(pool));
  EXPECT_TRUE(gate_.wait_for_arrivals(3));
  EXPECT_EQ(pool.status().threads, 3u);
  EXPECT_EQ(pool.status().stuck, 1u);
}

// Nothing more is submitted: who has a call waiting looks after the threads.
TEST_F(CallPoolTest, LookingAfterItReplacesAThreadThatBecameOverdue) {
  CallPool& pool = make(1);
  EXPECT_FALSE(pool.look_after()) << "nothing waits";
  ASSERT_TRUE(submit(pool, [this] { gate_.pass(); }, 50));
  ASSERT_TRUE(gate_.wait_for_arrivals(1));
  std::atomic<bool> ran{false};
  ASSERT_TRUE(submit(pool, [&] { ran = true; }));
  for (int64_t until = steady_ms() + 10'000; pool.look_after() && steady_ms() < until; std::this_thread::yield()) {
    ASSERT_LE(pool.status().threads, 2u);
  }
  EXPECT_TRUE(eventually(pool, [&](const CallPool::Status& s) { return ran && s.stuck == 1; }));
}

TEST_F(CallPoolTest, LookingAfterItKeepsAThreadThatIsInTime) {
  CallPool& pool = make(1);
  ASSERT_TRUE(submit_busy(pool));
  ASSERT_TRUE(gate_.wait_for_arrivals(1));
  ASSERT_TRUE(submit(pool, [] {}));
  EXPECT_TRUE(pool.look_after());
  EXPECT_EQ(pool.status().threads, 1u);
  gate_.open();
  EXPECT_TRUE(eventually(pool, [](const CallPool::Status& s) { return s.waiting == 0; }));
  EXPECT_FALSE(pool.look_after());
}

TEST_F(CallPoolTest, KeepsAThreadThatIsInTime) {
  CallPool& pool = make(1);
  ASSERT_TRUE(submit_busy(pool));
  ASSERT_TRUE(gate_.wait_for_arrivals(1));
  ASSERT_TRUE(submit_busy(pool));
  EXPECT_EQ(pool.status().threads, 1u);
  EXPECT_EQ(pool.status().stuck, 0u);
  EXPECT_EQ(pool.status().waiting, 1u);
}

// All of them at once, and the plugin is served all the same; but each stuck thread holds its memory.
TEST_F(CallPoolTest, ReplacesThemWhenAllAreStuckButNotWithoutEnd) {
  constexpr int kThreads = 3;
  CallPool& pool = make(kThreads);
  for (int i = 0; i < kThreads; ++i) {
    ASSERT_TRUE(submit_overdue(pool));
    ASSERT_TRUE(gate_.wait_for_arrivals(i + 1));
  }
  Gate second;
  second.open();
  ASSERT_TRUE(submit(pool, [&] { second.pass(); }));
  EXPECT_TRUE(second.wait_for_passed(1));
  ASSERT_TRUE(eventually(pool, [](const auto& s) { return s.busy == kThreads; })) << "the fourth one is free again";
  ASSERT_TRUE(submit_overdue(pool));
  ASSERT_TRUE(gate_.wait_for_arrivals(kThreads + 1));
  EXPECT_FALSE(submit_busy(pool));
  EXPECT_FALSE(submit_busy(pool)) << "at once, and each time";
  EXPECT_EQ(pool.status().threads, 4u) << "no more threads than that";
  EXPECT_EQ(pool.status().stuck, 4u);
  EXPECT_EQ(pool.status().waiting, 0u);
}

// What waits was left by clients that are gone: it must not keep a new thread from being made.
TEST_F(CallPoolTest, ReplacesAThreadThoughTheQueueIsFull) {
  CallPool& pool = make(1, 2);
  ASSERT_TRUE(submit(
      pool, [this] { gate_.pass(); }, 200));
  ASSERT_TRUE(gate_.wait_for_arrivals(1));
  std::atomic<int> ran{0};
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(submit(pool, [&] { ++ran; }));
  while (pool.status().waiting == 2 && !submit(pool, [] {})) std::this_thread::yield();
  EXPECT_TRUE(eventually(pool, [&](const auto&) { return ran == 2; })) << "though the first thread never came back";
  EXPECT_EQ(pool.status().stuck, 1u);
}

TEST_F(CallPoolTest, NeverHasMoreThanTwiceItsThreads) {
  constexpr uint32_t kThreads = 4;
  CallPool& pool = make(kThreads, 1'000);
  int taken = 0;
  for (int i = 0; i < 100; ++i) {
    if (!submit_overdue(pool)) break;
    ++taken;
    // So that each is inside, and overdue, before the next one comes.
    if (!eventually(pool, [](const auto& s) { return s.waiting == 0; })) break;
  }
  EXPECT_LT(taken, 100);
  EXPECT_LE(pool.status().threads, 2 * kThreads);
  EXPECT_GE(pool.status().stuck, kThreads);
}

TEST_F(CallPoolTest, WorksAgainWhenTheyComeBack) {
  CallPool& pool = make(2);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(submit_overdue(pool));
    ASSERT_TRUE(gate_.wait_for_arrivals(i + 1));
  }
  ASSERT_FALSE(submit_busy(pool));
  gate_.open();
  ASSERT_TRUE(gate_.wait_for_passed(3));
  ASSERT_TRUE(eventually(pool, [](const auto& s) { return s.threads == 0 && s.stuck == 0; }))
      << "given-up threads end when they come back";
  EXPECT_EQ(pool.status().busy, 0u);
  ASSERT_TRUE(submit_busy(pool));
  EXPECT_TRUE(gate_.wait_for_passed(4));
  EXPECT_EQ(pool.status().threads, 1u);
}

TEST_F(CallPoolTest, RunsWhatWaitsWhenAThreadComesBack) {
  CallPool& pool = make(1);
  ASSERT_TRUE(submit_busy(pool));
  ASSERT_TRUE(gate_.wait_for_arrivals(1));
  Gate second;
  second.open();
  ASSERT_TRUE(submit(pool, [&] { second.pass(); }));
  EXPECT_EQ(second.arrived(), 0);
  gate_.open();
  EXPECT_TRUE(second.wait_for_passed(1));
}

// What a call owns may be the plugin's, and is gone before the thread counts as free.
TEST_F(CallPoolTest, LetsGoOfACallThatIsDone) {
  CallPool& pool = make(1);
  gate_.open();
  auto call = std::make_shared<FunctionCall>(steady_ms() + kLater, [this] { gate_.pass(); });
  std::weak_ptr<FunctionCall> weak = call;
  ASSERT_TRUE(pool.submit(std::move(call)));
  ASSERT_TRUE(gate_.wait_for_passed(1));
  EXPECT_TRUE(eventually(pool, [&](const auto& s) { return s.busy == 0; }));
  EXPECT_TRUE(weak.expired());
}

// ---- the end

TEST_F(CallPoolTest, StopWaitsForWhatRuns) {
  CallPool& pool = make(2);
  std::atomic<bool> done{false};
  Gate inside;
  ASSERT_TRUE(submit(pool, [&] {
    inside.pass();
    done = true;
  }));
  ASSERT_TRUE(inside.wait_for_arrivals(1));
  std::thread opener([&] { inside.open(); });
  EXPECT_TRUE(pool.stop(10'000));
  EXPECT_TRUE(done);
  opener.join();
  EXPECT_EQ(pool.status().threads, 0u);
}

TEST_F(CallPoolTest, StopGivesUpOnTime) {
  CallPool& pool = make(2);
  ASSERT_TRUE(submit_busy(pool));
  ASSERT_TRUE(submit_overdue(pool));
  ASSERT_TRUE(gate_.wait_for_arrivals(2));
  int64_t begin = steady_ms();
  EXPECT_FALSE(pool.stop(50));
  EXPECT_GE(steady_ms() - begin, 50);
  EXPECT_LT(steady_ms() - begin, 5'000);
  EXPECT_FALSE(pool.stop(0)) << "still inside";
  gate_.open();
  EXPECT_TRUE(pool.stop(10'000));
}

TEST_F(CallPoolTest, RunsNothingAfterStop) {
  CallPool& pool = make(1);
  ASSERT_TRUE(submit_busy(pool));
  ASSERT_TRUE(gate_.wait_for_arrivals(1));
  std::atomic<int> ran{0};
  auto waiting = std::make_shared<FunctionCall>(steady_ms() + kLater, [&] { ++ran; });
  std::weak_ptr<FunctionCall> weak = waiting;
  ASSERT_TRUE(pool.submit(std::move(waiting)));
  EXPECT_FALSE(pool.stop(1));
  EXPECT_TRUE(weak.expired()) << "what waited is dropped";
  EXPECT_FALSE(submit(pool, [&] { ++ran; }));
  gate_.open();
  EXPECT_TRUE(pool.stop(10'000));
  EXPECT_FALSE(submit(pool, [&] { ++ran; }));
  EXPECT_EQ(ran, 0);
}

// The gateway leaves with a thread inside a plugin: the thread must find its state when it comes back.
TEST_F(CallPoolTest, MayBeDestroyedWithAThreadInside) {
  std::atomic<int> ran{0};
  {
    CallPool pool({2, 10});
    ASSERT_TRUE(submit_busy(pool));
    ASSERT_TRUE(submit_busy(pool));
    ASSERT_TRUE(gate_.wait_for_arrivals(2));
    ASSERT_TRUE(submit(pool, [&] { ++ran; }));
  }
  gate_.open();
  EXPECT_TRUE(gate_.wait_for_passed(2));
  EXPECT_EQ(ran, 0);
}

TEST_F(CallPoolTest, TakesCallsFromManyThreads) {
  CallPool& pool = make(4, 100'000);
  std::atomic<int> ran{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2'000; ++i) EXPECT_TRUE(submit(pool, [&] { ++ran; }));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(eventually(pool, [&](const auto&) { return ran == 8'000; }));
  EXPECT_LE(pool.status().threads, 4u);
}

}  // namespace
}  // namespace postern::ingest
