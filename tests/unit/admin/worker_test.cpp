#include "core/admin/worker.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <set>
#include <thread>
#include <vector>

namespace postern::admin {
namespace {

constexpr std::chrono::seconds kPatience(10);
constexpr int kBound = 256;

// Keeps the worker at a task until release().
class Hold {
 public:
  explicit Hold(Worker& worker) {
    EXPECT_TRUE(worker.run([this, released = release_.get_future().share()] {
      held_.set_value();
      released.wait();
    }));
    EXPECT_EQ(held_.get_future().wait_for(kPatience), std::future_status::ready);
  }
  void release() { release_.set_value(); }

 private:
  std::promise<void> held_, release_;
};

TEST(Worker, RunsTasksInTheirOrderOnOneThread) {
  std::vector<int> seen;  // the worker's
  std::set<std::thread::id> threads;
  Worker worker;
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(worker.run([&, i] {
      seen.push_back(i);
      threads.insert(std::this_thread::get_id());
    }));
  }
  worker.stop();
  ASSERT_EQ(seen.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(seen[static_cast<size_t>(i)], i);
  EXPECT_EQ(threads.size(), 1u);
  EXPECT_FALSE(threads.contains(std::this_thread::get_id()));
}

TEST(Worker, TakesNoMoreThanItsBound) {
  std::atomic<int> ran{0};
  Worker worker;
  Hold hold(worker);
  for (int i = 0; i < kBound; ++i) ASSERT_TRUE(worker.run([&] { ++ran; })) << i;
  EXPECT_FALSE(worker.run([] { ADD_FAILURE() << "a task that was refused"; }));
  EXPECT_EQ(ran, 0);
  hold.release();
  std::promise<void> room;
  while (!worker.run([&] { room.set_value(); })) std::this_thread::yield();
  EXPECT_EQ(room.get_future().wait_for(kPatience), std::future_status::ready);
  EXPECT_EQ(ran, kBound) << "each of those that were taken ran";
}

TEST(Worker, RunsWhatWaitsBeforeItStops) {
  std::atomic<int> ran{0};
  Worker worker;
  Hold hold(worker);
  for (int i = 0; i < 10; ++i) worker.run([&] { ++ran; });
  auto stopped = std::async(std::launch::async, [&] { worker.stop(); });
  hold.release();
  ASSERT_EQ(stopped.wait_for(kPatience), std::future_status::ready);
  EXPECT_EQ(ran, 10);
}

TEST(Worker, WaitsForTheTaskAtHand) {
  std::atomic<bool> done{false};
  std::promise<void> started;
  Worker worker;
  worker.run([&] {
    started.set_value();
    for (int i = 0; i < 1000; ++i) std::this_thread::yield();
    done = true;
  });
  started.get_future().wait();
  worker.stop();
  EXPECT_TRUE(done);
}

TEST(Worker, TakesNothingAfterItsStop) {
  Worker worker;
  worker.stop();
  EXPECT_FALSE(worker.run([] { ADD_FAILURE() << "a task after the stop"; }));
  worker.stop();  // again does nothing
}

TEST(Worker, TakesTasksFromATask) {
  std::promise<void> second;
  Worker worker;
  ASSERT_TRUE(worker.run([&] { EXPECT_TRUE(worker.run([&] { second.set_value(); })); }));
  EXPECT_EQ(second.get_future().wait_for(kPatience), std::future_status::ready);
}

// What a task holds (an exchange, a connection) goes with it.
TEST(Worker, LetsGoOfWhatATaskHeld) {
  auto held = std::make_shared<int>(1);
  std::weak_ptr<int> watched = held;
  Worker worker;
  worker.run([held = std::move(held)] { EXPECT_EQ(*held, 1); });
  std::promise<void> next;
  worker.run([&] { next.set_value(); });
  ASSERT_EQ(next.get_future().wait_for(kPatience), std::future_status::ready);
  EXPECT_TRUE(watched.expired());
}

}  // namespace
}  // namespace postern::admin
