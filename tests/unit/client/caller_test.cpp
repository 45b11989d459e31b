#include "core/client/caller.h"

#include <gmock/gmock.h>

#include <future>
#include <set>
#include <thread>

#include "tests/unit/client/client_harness.h"

namespace postern::client {
namespace {

class CallerTest : public ClientTest {
 protected:
  // Of a plugin that has one upstream.
  void connect(Upstream upstream) {
    if (!client_) start();
    auto number = caller_.add_upstream(std::move(upstream));
    ASSERT_TRUE(number) << number.status().message();
    ASSERT_TRUE(caller_.connect(*client_, "acme"));
  }
  ~CallerTest() override { caller_.close(10'000); }

  Request get_root() {
    Request request;
    request.url = "/";
    return request;
  }

  Caller caller_;
};

TEST_F(CallerTest, AnswersComeOnThreadsOfThePluginsOwn) {
  serve([](Conversation& c) { c.answer(200, "x"); });
  connect(quick());
  std::mutex mutex;
  std::set<std::thread::id> threads;
  std::atomic<int> ended{0};
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(caller_.send(0, get_root(), [&](const Outcome& outcome) {
      EXPECT_EQ(outcome.body, "x");
      std::lock_guard lock(mutex);
      threads.insert(std::this_thread::get_id());
      ++ended;
    }));
  }
  EXPECT_TRUE(eventually(milliseconds(10'000), [&] { return ended == 100; }));
  EXPECT_LE(threads.size(), 2u);
  EXPECT_FALSE(threads.contains(std::this_thread::get_id()));
  EXPECT_EQ(caller_.call(0, get_root())->body, "x");
  EXPECT_EQ(status().plugin, "acme");
}

TEST_F(CallerTest, AnUpstreamIsChangedBeforeItIsUsed) {
  serve([](Conversation& c) { c.answer(200, "0123456789"); });
  ASSERT_TRUE(caller_.add_upstream(quick()));
  EXPECT_EQ(caller_.change_upstream("apj", [](Upstream&) { FAIL(); }).code(), Code::kNotFound);
  EXPECT_EQ(caller_.change_upstream("api", [](Upstream& u) { u.deadline_ms = 0; }).code(), Code::kInvalid);
  EXPECT_EQ(caller_.upstreams()[0].deadline_ms, quick().deadline_ms) << "nothing is changed then";
  ASSERT_TRUE(caller_.change_upstream("api", [](Upstream& u) { u.max_response = 4; }));
  if (!client_) start();
  ASSERT_TRUE(caller_.connect(*client_, "acme"));
  EXPECT_EQ(caller_.call(0, get_root())->kind, Kind::kTooLarge);
}

TEST_F(CallerTest, AWaitThatIsLongerThanTheLongestIsRefused) {
  Upstream upstream = quick();
  upstream.base_url = "https://api.example.com";
  upstream.backoff = {60'000, 2, 30'000, 0};
  EXPECT_EQ(caller_.add_upstream(upstream).status().code(), Code::kInvalid);
}

TEST_F(CallerTest, ASlowCallbackHoldsUpNobodyElse) {
  serve([](Conversation& c) { c.answer(200); });
  connect(quick());
  Caller other;
  ASSERT_TRUE(other.add_upstream(quick()));
  ASSERT_TRUE(other.connect(*client_, "other"));
  std::promise<void> gate;
  auto opened = gate.get_future().share();
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(caller_.send(0, get_root(), [opened](const Outcome&) { opened.wait(); }));
  std::promise<void> told;
  ASSERT_TRUE(other.send(0, get_root(), [&](const Outcome&) { told.set_value(); }));
  EXPECT_EQ(told.get_future().wait_for(milliseconds(5000)), std::future_status::ready);
  EXPECT_FALSE(caller_.close(50)) << "its callbacks have not come back";
  gate.set_value();
  EXPECT_TRUE(caller_.close(5000));
  EXPECT_TRUE(other.close(5000));
}

TEST_F(CallerTest, ClosingGivesUpWhatIsOutAndTells) {
  serve([](Conversation& c) { c.hold(); });
  connect(quick());
  std::atomic<int> cancelled{0};
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(caller_.send(0, get_root(), [&](const Outcome& outcome) { cancelled += outcome.kind == Kind::kCancelled ? 1 : 0; }));
  }
  std::thread waiting([&] { EXPECT_EQ(caller_.call(0, get_root())->kind, Kind::kCancelled); });
  ASSERT_TRUE(eventually(milliseconds(5000), [&] { return status().requests == 21; }));
  EXPECT_TRUE(caller_.close(5000));
  EXPECT_EQ(cancelled, 20);
  waiting.join();
  EXPECT_EQ(caller_.send(0, get_root(), [](const Outcome&) { FAIL(); }).status().code(), Code::kGone);
  EXPECT_EQ(caller_.call(0, get_root())->kind, Kind::kCancelled);
}

TEST_F(CallerTest, TheEndIsToldOnceAlsoWhenTheClientStops) {
  serve([](Conversation& c) { c.hold(); });
  connect(quick());
  std::atomic<int> told{0};
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(caller_.send(0, get_root(), [&](const Outcome&) { ++told; }));
  client_->stop();
  EXPECT_TRUE(caller_.close(5000));
  EXPECT_EQ(told, 50);
}

TEST_F(CallerTest, ARequestThatIsWrongIsToldLikeAnAnswer) {
  serve([](Conversation& c) { c.answer(200); });
  connect(quick());
  std::promise<Kind> told;
  Request request;
  request.url = "https://elsewhere.example/";
  ASSERT_TRUE(caller_.send(0, request, [&](const Outcome& outcome) { told.set_value(outcome.kind); }));
  EXPECT_EQ(told.get_future().get(), Kind::kRefused);
}

TEST_F(CallerTest, APluginHasNoMoreOutThanItsBound) {
  serve([](Conversation& c) { c.hold(); });
  Upstream upstream = quick();
  upstream.max_waiting = 5000;
  connect(upstream);
  size_t taken = 0;
  while (caller_.send(0, get_root(), [](const Outcome&) {})) ++taken;
  EXPECT_EQ(taken, Caller::kMaxOut);
  EXPECT_EQ(caller_.call(0, get_root())->kind, Kind::kBusy);
}

TEST_F(CallerTest, OnlyItsOwnRequestsCanBeCancelled) {
  serve([](Conversation& c) { c.hold(); });
  connect(quick());
  Caller other;
  ASSERT_TRUE(other.add_upstream(quick()));
  ASSERT_TRUE(other.connect(*client_, "other"));
  std::atomic<bool> ended{false};
  auto number = caller_.send(0, get_root(), [&](const Outcome&) { ended = true; });
  ASSERT_TRUE(number);
  for (uint64_t guess = 0; guess < 100; ++guess) other.cancel(guess);
  std::this_thread::sleep_for(milliseconds(50));
  EXPECT_FALSE(ended);
  caller_.cancel(*number);
  EXPECT_TRUE(eventually(milliseconds(5000), [&] { return ended.load(); }));
}

TEST_F(CallerTest, BeforeItIsConnectedNothingGoesOut) {
  EXPECT_EQ(caller_.call(0, get_root()).status().code(), Code::kUnavailable);
  EXPECT_EQ(caller_.send(0, get_root(), [](const Outcome&) {}).status().code(), Code::kUnavailable);
  caller_.cancel(1);
  EXPECT_TRUE(caller_.close(0));
}

TEST_F(CallerTest, UpstreamsHaveNamesOfTheirOwn) {
  Upstream upstream = quick();
  upstream.base_url = "https://api.example.com";
  EXPECT_TRUE(caller_.add_upstream(upstream));
  EXPECT_EQ(caller_.add_upstream(upstream).status().code(), Code::kInvalid);
  start();
  ASSERT_TRUE(caller_.connect(*client_, "acme"));
  EXPECT_EQ(caller_.call(1, get_root()).status().code(), Code::kNotFound);
}

}  // namespace
}  // namespace postern::client
