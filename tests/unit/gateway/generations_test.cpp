#include "core/gateway/generations.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <thread>

#include "core/gateway/reloader.h"
#include "tests/support/eventually.h"

namespace postern::gateway {
namespace {

using testing::eventually;
using std::chrono::milliseconds;

constexpr milliseconds kSoon(10'000);

class GenerationsTest : public ::testing::Test {
 protected:
  std::shared_ptr<Generation> add(uint64_t number) {
    auto made = std::make_unique<Generation>();
    made->number = number;
    return generations_.watch(std::move(made));
  }
  std::vector<uint64_t> all() const {
    std::vector<uint64_t> numbers;
    for (const auto& generation : generations_.all()) numbers.push_back(generation->number);
    return numbers;
  }

  Generations generations_;
};

TEST_F(GenerationsTest, OneThatIsLetGoWaitsToBeTaken) {
  generations_.set_current(add(1));
  EXPECT_EQ(generations_.take_ended(), nullptr);
  auto held = generations_.current();
  generations_.set_current(add(2));
  EXPECT_EQ(generations_.take_ended(), nullptr) << "somebody holds it";
  EXPECT_EQ(all(), (std::vector<uint64_t>{1, 2}));
  held.reset();
  auto ended = generations_.take_ended();
  ASSERT_NE(ended, nullptr);
  EXPECT_EQ(ended->number, 1u);
  EXPECT_EQ(all(), std::vector<uint64_t>{2});
  EXPECT_EQ(generations_.current()->number, 2u);
}

TEST_F(GenerationsTest, APartOfItHoldsIt) {
  auto first = add(1);
  std::shared_ptr<const config::Config> part(first, &first->config);
  first.reset();
  EXPECT_EQ(generations_.take_ended(), nullptr);
  part.reset();
  EXPECT_NE(generations_.take_ended(), nullptr);
}

TEST_F(GenerationsTest, WaitingEndsWithOneOrANudge) {
  std::thread other([held = add(1)]() mutable { held.reset(); });
  EXPECT_NE(generations_.wait_for_ended(kSoon), nullptr);
  other.join();
  generations_.nudge();
  EXPECT_EQ(generations_.wait_for_ended(kSoon), nullptr);
}

TEST_F(GenerationsTest, WhatNobodyTookEndsWithAll) {
  std::shared_ptr<Generation> outlives;
  {
    Generations generations;
    generations.set_current(generations.watch(std::make_unique<Generation>()));
    outlives = generations.watch(std::make_unique<Generation>());
  }
  outlives.reset();
}

class ReloaderTest : public GenerationsTest {
 protected:
  void TearDown() override {
    let_go();
    EXPECT_TRUE(reloader_.stop(10'000));
  }
  void let_go() {
    hold_ = false;
    hold_.notify_all();
  }
  bool ended(uint64_t number) {
    return eventually(kSoon, [&] { return reloader_.last().number >= number; });
  }

  Mutex mutex_;
  Status result_ GUARDED_BY(mutex_);
  std::atomic<int> reloads_{0}, retired_{0};
  std::atomic<bool> hold_{false}, throws_{false};
  Reloader reloader_{generations_,
                     [this] {
                       ++reloads_;
                       hold_.wait(true);
                       if (throws_) throw std::runtime_error("no memory");
                       MutexLock lock(mutex_);
                       return result_;
                     },
                     [this](std::unique_ptr<Generation> ended) { retired_ += ended ? 1 : 0; }};
};

TEST_F(ReloaderTest, TellsWhatBecameOfTheLastOne) {
  reloader_.start();
  EXPECT_EQ(reloader_.last().number, 0u);
  {
    MutexLock lock(mutex_);
    result_ = {Code::kInvalid, "no such plugin"};
  }
  EXPECT_EQ(reloader_.ask(), 1u);
  ASSERT_TRUE(ended(1));
  EXPECT_EQ(reloader_.last().error, "no such plugin");
  EXPECT_GT(reloader_.last().at, 0);
  {
    MutexLock lock(mutex_);
    result_ = Status::ok();
  }
  EXPECT_EQ(reloader_.ask(), 2u);
  ASSERT_TRUE(ended(2));
  EXPECT_EQ(reloader_.last().error, "");
}

// Whoever asks while one is under way may have changed the file after that one read it.
TEST_F(ReloaderTest, AskedForOftenMeanwhileComesOnceMore) {
  hold_ = true;
  reloader_.start();
  EXPECT_EQ(reloader_.ask(), 1u);
  ASSERT_TRUE(eventually(kSoon, [&] { return reloader_.last().under_way == 1; }));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(reloader_.ask(), 2u);
  let_go();
  ASSERT_TRUE(ended(2));
  EXPECT_EQ(reloads_, 2);
}

TEST_F(ReloaderTest, BringsThoseBeforeToTheirEnd) {
  reloader_.start();
  auto first = add(1), second = add(2);
  first.reset();
  EXPECT_TRUE(eventually(kSoon, [&] { return retired_ == 1; }));
  second.reset();
  EXPECT_TRUE(eventually(kSoon, [&] { return retired_ == 2; }));
}

TEST_F(ReloaderTest, OneThatBreaksOffIsToldOf) {
  throws_ = true;
  reloader_.start();
  reloader_.ask();
  ASSERT_TRUE(ended(1));
  EXPECT_EQ(reloader_.last().error, "the reload broke off: no memory");
}

TEST_F(ReloaderTest, TellsWhenItHangs) {
  hold_ = true;
  reloader_.start();
  reloader_.ask();
  ASSERT_TRUE(eventually(kSoon, [&] { return reloads_ == 1; }));
  EXPECT_FALSE(reloader_.stop(1));
}

}  // namespace
}  // namespace postern::gateway
