#include "core/net/event_loop.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <future>
#include <latch>
#include <memory>
#include <thread>
#include <vector>

#include "core/base/clock.h"

namespace postern::net {
namespace {

class EventLoopTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(loop_.open()); }
  void TearDown() override { stop(); }
  void start() {
    thread_ = std::thread([this] { loop_.run(); });
  }
  void stop() {
    if (!thread_.joinable()) return;
    loop_.stop();
    thread_.join();
  }
  void on_loop(const EventLoop::Task& task) {
    std::promise<void> done;
    loop_.post([&] {
      task();
      done.set_value();
    });
    done.get_future().wait();
  }

  EventLoop loop_;
  std::thread thread_;
};

TEST_F(EventLoopTest, RunsTasksInTheOrderInWhichTheyCame) {
  start();
  constexpr int kThreads = 8, kEach = 2000;
  std::vector<std::vector<int>> seen(kThreads);  // touched on the loop's thread alone
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) loop_.post([&seen, t, i] { seen[static_cast<size_t>(t)].push_back(i); });
    });
  }
  for (auto& thread : threads) thread.join();
  on_loop([] {});
  for (const auto& one : seen) {
    ASSERT_EQ(one.size(), static_cast<size_t>(kEach));
    for (int i = 0; i < kEach; ++i) ASSERT_EQ(one[static_cast<size_t>(i)], i);
  }
}

// What gathered while the loop was busy runs in one turn: what the first task buries is still there for the last.
TEST_F(EventLoopTest, ServesAllThatWaitWithOneWakeUp) {
  start();
  std::promise<void> inside;
  std::latch go(1);
  loop_.post([&] {
    inside.set_value();
    go.wait();
  });
  inside.get_future().wait();
  constexpr int kTasks = 1000;
  auto buried = std::make_shared<int>(0);
  std::weak_ptr<int> weak = buried;
  int alive = 0;
  loop_.post([&] { loop_.bury(std::move(buried)); });
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kTasks / 4; ++i) loop_.post([&] { alive += weak.expired() ? 0 : 1; });
    });
  }
  for (auto& thread : threads) thread.join();
  go.count_down();
  on_loop([] {});
  EXPECT_EQ(alive, kTasks);
  on_loop([] {});  // in a turn of its own
  EXPECT_TRUE(weak.expired()) << "the graveyard was not cleared";
}

TEST_F(EventLoopTest, RunsWhatATaskPosts) {
  start();
  std::promise<std::thread::id> done;
  loop_.post([&] { loop_.post([&] { loop_.post([&] { done.set_value(std::this_thread::get_id()); }); }); });
  EXPECT_EQ(done.get_future().get(), thread_.get_id());
}

TEST_F(EventLoopTest, RunsWhatWasPostedBeforeTheStop) {
  int ran = 0;
  for (int i = 0; i < 100; ++i) loop_.post([&] { ++ran; });
  loop_.stop();
  loop_.run();  // on this thread: it must come back by itself
  EXPECT_EQ(ran, 100);
}

TEST_F(EventLoopTest, RunsWhatCameWithTheStop) {
  int ran = 0;
  loop_.post([&] {
    loop_.stop();
    loop_.post([&] { ++ran; });
  });
  loop_.run();
  EXPECT_EQ(ran, 1);
}

TEST_F(EventLoopTest, FiresTimersWithoutAnyOtherEvent) {
  start();
  std::promise<int64_t> fired;
  std::unique_ptr<Timer> timer;
  int64_t wanted = steady_ms() + 30;
  on_loop([&] {
    timer = std::make_unique<Timer>([&] { fired.set_value(steady_ms()); });
    loop_.timers().arm(*timer, wanted);
  });
  EXPECT_GE(fired.get_future().get(), wanted);
  on_loop([&] { timer.reset(); });
}

// A pipe whose watcher counts, and may do something to itself or another.
struct Pipe final : EventLoop::Watcher {
  explicit Pipe(EventLoop& of) : loop(of) { EXPECT_EQ(::pipe(ends), 0); }
  ~Pipe() override {
    ::close(ends[0]);
    ::close(ends[1]);
  }
  void ring() const { EXPECT_EQ(::write(ends[1], "x", 1), 1); }
  void on_ready(uint32_t) override {
    char byte;
    EXPECT_EQ(::read(ends[0], &byte, 1), 1);
    if (act) act();
  }
  EventLoop& loop;
  int ends[2] = {-1, -1};
  std::function<void()> act;
};

TEST_F(EventLoopTest, CallsAWatcherUntilItIsUnwatched) {
  start();
  Pipe pipe(loop_);
  int calls = 0;
  std::promise<void> twice;
  pipe.act = [&] {
    if (++calls != 2) return;
    loop_.unwatch(pipe.ends[0]);
    twice.set_value();
  };
  on_loop([&] { ASSERT_TRUE(loop_.watch(pipe.ends[0], EPOLLIN, pipe)); });
  pipe.ring();
  pipe.ring();
  twice.get_future().wait();
  pipe.ring();
  on_loop([] {});
  on_loop([] {});
  EXPECT_EQ(calls, 2);
}

// Both have an event in the same turn; whichever is called first unwatches and buries both.
TEST_F(EventLoopTest, KeepsWhatIsBuriedForTheEventsOfTheTurn) {
  auto a = std::make_shared<Pipe>(loop_), b = std::make_shared<Pipe>(loop_);
  std::weak_ptr<Pipe> weak_a = a, weak_b = b;
  int calls = 0;
  auto end = [&] {
    if (++calls > 1) return;
    for (auto* one : {&a, &b}) {
      loop_.unwatch((*one)->ends[0]);
      loop_.bury(std::move(*one));
    }
    loop_.stop();
  };
  a->act = b->act = end;
  ASSERT_TRUE(loop_.watch(a->ends[0], EPOLLIN, *a));
  ASSERT_TRUE(loop_.watch(b->ends[0], EPOLLIN, *b));
  a->ring();
  b->ring();
  loop_.run();
  EXPECT_GE(calls, 1);
  EXPECT_TRUE(weak_a.expired());
  EXPECT_TRUE(weak_b.expired());
}

TEST_F(EventLoopTest, TellsWhatCannotBeWatched) {
  Pipe pipe(loop_);
  Status status = loop_.watch(-1, EPOLLIN, pipe);
  EXPECT_EQ(status.code(), Code::kIo);
}

}  // namespace
}  // namespace postern::net
