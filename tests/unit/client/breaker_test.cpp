#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "tests/unit/client/client_harness.h"

namespace postern::client {
namespace {

using ::testing::HasSubstr;

class ClientBreakerTest : public ClientTest {
 protected:
  static constexpr int64_t kOpenMs = 1000;

  Upstream breaking() const {
    Upstream upstream = quick();
    upstream.attempts = 1;
    upstream.breaker_failures = 3;
    upstream.breaker_open_ms = kOpenMs;
    return upstream;
  }
};

TEST_F(ClientBreakerTest, OpensHoldsBackAndCloses) {
  std::atomic<bool> ill{true};
  serve([&](Conversation& c) { c.answer(ill ? 500 : 200); });
  auto api = add(breaking());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(get(api).kind, Kind::kFailed);
  EXPECT_STREQ(status().breaker, "open");
  EXPECT_EQ(status().failures, 3u);
  EXPECT_EQ(status().opens, 1u);
  EXPECT_NEAR(static_cast<double>(status().next_trial_at - wall_ms()), kOpenMs, 900);
  EXPECT_EQ(status().attempt_seconds->count(), 3u);
  int64_t began = steady_ms();
  Outcome held = get(api);
  EXPECT_EQ(held.kind, Kind::kBreakerOpen);
  EXPECT_EQ(held.verdict(), Outcome::Verdict::kPostpone);
  EXPECT_EQ(held.attempts, 0u);
  EXPECT_GT(held.retry_after_ms, 0);
  EXPECT_LE(held.retry_after_ms, kOpenMs);
  EXPECT_LT(steady_ms() - began, 900) << "it fails at once";
  EXPECT_EQ(server_->requests().size(), 3u);
  std::this_thread::sleep_for(milliseconds(kOpenMs + 50));
  EXPECT_EQ(get(api).kind, Kind::kFailed) << "the trial";
  EXPECT_EQ(get(api).kind, Kind::kBreakerOpen);
  EXPECT_EQ(status().opens, 1u);
  ill = false;
  std::this_thread::sleep_for(milliseconds(kOpenMs + 50));
  EXPECT_EQ(get(api).kind, Kind::kOk);
  EXPECT_STREQ(status().breaker, "closed");
  EXPECT_EQ(status().failures, 0u);
  EXPECT_EQ(status().next_trial_at, 0);
  EXPECT_EQ(status().attempt_seconds->count(), 5u) << "what was not sent took no time";
  EXPECT_THAT(status().last_error, HasSubstr("answered 500")) << "the last error stays to be read";
}

TEST_F(ClientBreakerTest, OnlyOneTrialIsOutAtATime) {
  std::atomic<bool> ill{true};
  std::atomic<int> trials{0}, ok{0}, held{0};
  serve([&](Conversation& c) {
    if (ill) return c.answer(500);
    ++trials;
    eventually(milliseconds(5000), [&] { return held == 9; });
    c.answer(200);
  });
  Upstream upstream = breaking();
  upstream.attempt_ms = 10'000;
  upstream.deadline_ms = 20'000;
  auto api = add(upstream);
  for (int i = 0; i < 3; ++i) get(api);
  ill = false;
  std::this_thread::sleep_for(milliseconds(kOpenMs + 50));
  Request request;
  request.url = "/";
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(client_->submit(api, request, [&](Outcome outcome) {
      ok += outcome.kind == Kind::kOk ? 1 : 0;
      held += outcome.kind == Kind::kBreakerOpen ? 1 : 0;
    }));
  }
  EXPECT_TRUE(eventually(milliseconds(15'000), [&] { return ok + held == 10; }));
  EXPECT_EQ(ok, 1);
  EXPECT_EQ(held, 9);
  EXPECT_EQ(trials, 1);
}

TEST_F(ClientBreakerTest, ATrialThatIsGivenUpMakesRoomForAnother) {
  std::atomic<bool> ill{true}, hangs{true};
  serve([&](Conversation& c) { ill ? c.answer(500) : hangs ? c.hold() : c.answer(200); });
  auto api = add(breaking());
  for (int i = 0; i < 3; ++i) get(api);
  ill = false;
  std::this_thread::sleep_for(milliseconds(kOpenMs + 50));
  std::atomic<bool> ended{false};
  Request request;
  request.url = "/";
  auto trial = client_->submit(api, request, [&](Outcome) { ended = true; });
  ASSERT_TRUE(trial);
  ASSERT_TRUE(eventually(milliseconds(5000), [&] { return server_->requests().size() == 4; }));
  EXPECT_STREQ(status().breaker, "half_open");
  client_->cancel(*trial);
  ASSERT_TRUE(eventually(milliseconds(5000), [&] { return ended.load(); }));
  hangs = false;
  EXPECT_EQ(get(api).kind, Kind::kOk);
}

// A request that was refused by a breaker which its own attempts opened ends with the answer that it got.
TEST_F(ClientBreakerTest, ARequestThatOpensItEndsWithItsOwnAnswer) {
  serve([](Conversation& c) { c.answer(502, "bad"); });
  Upstream upstream = breaking();
  upstream.attempts = 10;
  Outcome answer = get(add(upstream));
  EXPECT_EQ(answer.kind, Kind::kFailed);
  EXPECT_EQ(answer.body, "bad");
  EXPECT_EQ(answer.attempts, 3u);
}

TEST_F(ClientBreakerTest, WhatSaysNothingDoesNotCount) {
  std::atomic<int> status_to_give{429};
  serve([&](Conversation& c) { c.answer(status_to_give); });
  auto api = add(breaking());
  for (int given : {429, 404, 408, 302, 400}) {
    status_to_give = given;
    for (int i = 0; i < 4; ++i) get(api);
    EXPECT_STREQ(status().breaker, "closed") << given;
  }
}

// Handlers that are late leave their requests no time: that is not the upstream's fault, and others may go on calling it.
TEST_F(ClientBreakerTest, ADeadlineThatNobodyCouldKeepDoesNotCount) {
  std::atomic<bool> slow{true};
  serve([&](Conversation& c) {
    if (slow) std::this_thread::sleep_for(milliseconds(60));
    c.answer(200);
  });
  auto api = add(breaking());
  Request hasty;
  hasty.url = "/";
  hasty.deadline_ms = 15;
  for (int i = 0; i < 5; ++i) EXPECT_EQ(client_->call(api, hasty).kind, Kind::kTimeout);
  EXPECT_EQ(status().failures, 0u);
  slow = false;
  EXPECT_EQ(get(api).kind, Kind::kOk);
  hasty.deadline_ms = 400;  // enough for it
  serve([](Conversation& c) { c.hold(); });
  Upstream mute = breaking();
  mute.name = "mute";
  auto silent = add(mute);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client_->call(silent, hasty).kind, Kind::kTimeout);
  EXPECT_STREQ(status(1).breaker, "open");
}

// Whoever sends us URLs could stop everybody's calls by names that there are not.
TEST_F(ClientBreakerTest, NamesThatSomebodyMadeUpDoNotCount) {
  Upstream media = breaking();
  media.allow_hosts = {"*.invalid", "known.invalid"};
  auto wild = add(media);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(get(wild, "https://made-up-" + std::to_string(i) + ".invalid/").kind, Kind::kConnect);
  EXPECT_EQ(status(0).failures, 0u);
  media.allow_hosts = {"known.invalid"};
  media.name = "known";
  auto known = add(media);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(get(known, "https://known.invalid/").kind, Kind::kConnect);
  EXPECT_STREQ(status(1).breaker, "open");
}

// The redirect is answered well each time; what it leads to is not.
TEST_F(ClientBreakerTest, ARedirectThatIsFollowedIsNoAnswerYet) {
  std::atomic<bool> ill{true};
  serve([&](Conversation& c) { c.request.target == "/to" ? c.answer(ill ? 500 : 200) : c.answer(302, "", "Location: /to\r\n"); });
  Upstream upstream = breaking();
  upstream.max_redirects = 1;
  auto api = add(upstream);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(get(api).kind, Kind::kFailed);
  EXPECT_STREQ(status().breaker, "open");
  EXPECT_EQ(get(api).kind, Kind::kBreakerOpen);
  ill = false;
  std::this_thread::sleep_for(milliseconds(kOpenMs + 50));
  EXPECT_EQ(get(api).kind, Kind::kOk) << "the trial goes on behind the redirect";
  EXPECT_STREQ(status().breaker, "closed");
}

TEST_F(ClientBreakerTest, UpstreamsBreakOnTheirOwn) {
  serve([](Conversation& c) { c.answer(c.request.target == "/ill" ? 500 : 200); });
  auto ill = add(breaking());
  Upstream other = breaking();
  other.name = "other";
  auto well = add(other);
  for (int i = 0; i < 3; ++i) get(ill, "/ill");
  EXPECT_EQ(get(ill, "/ill").kind, Kind::kBreakerOpen);
  EXPECT_EQ(get(well).kind, Kind::kOk);
  EXPECT_STREQ(status(0).breaker, "open");
  EXPECT_STREQ(status(1).breaker, "closed");
}

// A reload adds the upstream again, while requests of the configuration before are still out.
TEST_F(ClientBreakerTest, AnUpstreamThatIsAddedAgainGoesOnWithItsOwnRules) {
  std::atomic<bool> ill{true};
  serve([&](Conversation& c) { c.answer(ill ? 500 : 200); });
  auto before = add(breaking());
  for (int i = 0; i < 2; ++i) EXPECT_EQ(get(before).kind, Kind::kFailed);
  Upstream patient = breaking();
  patient.breaker_failures = 4;
  auto after = add(patient);
  EXPECT_EQ(client_->status().size(), 1u) << "it is one upstream";
  EXPECT_EQ(get(after).kind, Kind::kFailed);
  EXPECT_STREQ(status().breaker, "closed") << "three by the rules of before, but four are needed now";
  EXPECT_EQ(get(after).kind, Kind::kFailed);
  EXPECT_STREQ(status().breaker, "open");
  EXPECT_EQ(get(before).kind, Kind::kBreakerOpen);
  client_->remove_upstream(before);
  EXPECT_EQ(get(before).kind, Kind::kRefused);
  EXPECT_EQ(status().attempts, 4u);
  client_->remove_upstream(after);
  EXPECT_TRUE(client_->status().empty());
}

}  // namespace
}  // namespace postern::client
