// Calls to the outside, as the C++ wrapper and the fake host have them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "scripted.h"

namespace {

using postern::ClientResponse;
using postern::Delivery;
using postern::testing::Settled;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

class ClientHpp : public postern::testing::ScriptedTest {
 protected:
  // A plugin with the upstream "api", whose handler does this.
  template <typename F>
  void start_calling(F handler) {
    auto started = start([this, handler](postern::Setup& setup, std::string_view) {
      api_ = setup.upstream({.name = "api", .base_url = "https://api.example.com/v1"});
      setup.on("e", handler);
    });
    ASSERT_TRUE(started.ok()) << started.error;
  }
  postern::Upstream api_;
};

TEST_F(ClientHpp, AnUpstreamIsDeclared) {
  auto started = start([](postern::Setup& setup, std::string_view) {
    setup.upstream({.name = "media",
                    .allow_hosts = "*.example.com",
                    .allow_http = true,
                    .attempts = 2,
                    .retry_base = std::chrono::seconds(2),
                    .breaker_open = std::chrono::minutes(1),
                    .deadline = std::chrono::seconds(9),
                    .max_in_flight = 3,
                    .max_response = 4096});
  });
  ASSERT_TRUE(started.ok()) << started.error;
  ASSERT_THAT(host->upstreams(), SizeIs(1));
  const auto& media = host->upstreams().at(0);
  EXPECT_EQ(media.name, "media");
  EXPECT_EQ(media.allow_hosts, "*.example.com");
  EXPECT_EQ(media.flags, POSTERN_UPSTREAM_ALLOW_HTTP + 0u);
  EXPECT_EQ(media.attempts, 2u);
  EXPECT_EQ(media.retry_base_ms, 2000u);
  EXPECT_EQ(media.breaker_open_ms, 60'000u);
  EXPECT_EQ(media.deadline_ms, 9000u);
  EXPECT_EQ(media.max_in_flight, 3u);
  EXPECT_EQ(media.max_response, 4096u);
  EXPECT_EQ(media.attempt_ms, 0u);
}

TEST_F(ClientHpp, AHandlerGetsItsAnswer) {
  start_calling([this](Delivery& d) {
    auto answer = api_.call(d, {.method = "POST", .url = "/orders", .headers = {{"X-A", "1"}}, .body = "{}"});
    answer.or_throw();
    EXPECT_EQ(answer.header("x-id"), "7");
    EXPECT_EQ(answer.header("absent"), std::nullopt);
    d.set_result(answer.body());
  });
  host->answer("api", {.body = R"({"id":7})", .headers = {{"X-Id", "7"}}});
  Settled settled = deliver();
  EXPECT_TRUE(settled.done()) << settled.why;
  EXPECT_EQ(settled.result, R"({"id":7})");
  ASSERT_THAT(host->outbound(), SizeIs(1));
  auto asked = host->outbound().at(0);
  EXPECT_EQ(asked.upstream, "api");
  EXPECT_EQ(asked.method, "POST");
  EXPECT_EQ(asked.url, "/orders");
  EXPECT_EQ(asked.body, "{}");
  EXPECT_THAT(asked.headers, ElementsAre(Pair("X-A", "1")));
  EXPECT_EQ(asked.delivery, settled.delivery);
  EXPECT_TRUE(asked.waited);
  EXPECT_THAT(host->misuses(), IsEmpty());
}

TEST_F(ClientHpp, TheAnswerDecidesTheDelivery) {
  start_calling([this](Delivery& d) { api_.call(d, {.url = "/"}).or_throw(); });
  host->answer("api", {.status = 503, .retry_after_ms = 7000});
  Settled later = deliver();
  EXPECT_EQ(later.outcome, POSTERN_RETRY);
  EXPECT_EQ(later.retry_after_ms, 7000u);
  EXPECT_EQ(later.why, "answered 503");
  host->answer("api", {.status = 422});
  EXPECT_EQ(deliver().outcome, POSTERN_DEAD);
  host->answer("api", {.status = 0, .kind = POSTERN_RESPONSE_BREAKER_OPEN, .error = "resting", .retry_after_ms = 5000});
  Settled resting = deliver();
  EXPECT_EQ(resting.outcome, POSTERN_POSTPONE) << "it was not tried";
  EXPECT_EQ(resting.retry_after_ms, 5000u);
  EXPECT_EQ(resting.why, "resting");
  EXPECT_EQ(host->redeliver(resting.delivery).attempt, 1u) << "and cost no attempt";
  Settled nobody = deliver();
  EXPECT_EQ(nobody.outcome, POSTERN_RETRY);
  EXPECT_THAT(nobody.why, HasSubstr("gave no answer"));
}

TEST_F(ClientHpp, AnOutcomeIsReturnedAsWell) {
  start_calling([this](Delivery& d) { return api_.call(d, {.url = "/"}).outcome(); });
  for (auto [status, outcome] : {std::pair{200u, POSTERN_OK}, {404u, POSTERN_DEAD}, {429u, POSTERN_RETRY}}) {
    host->answer("api", {.status = status});
    EXPECT_EQ(deliver().outcome, outcome) << status;
  }
  host->answer("api", {.status = 0, .kind = POSTERN_RESPONSE_BREAKER_OPEN, .error = "resting", .retry_after_ms = 5000});
  EXPECT_EQ(deliver().outcome, POSTERN_POSTPONE);
}

TEST_F(ClientHpp, APendingDeliveryWaitsForNoThread) {
  start_calling([this](Delivery& d) {
    auto pending = std::make_shared<postern::Pending>(d.detach());
    api_.send(*pending, {.url = "/"}, [pending](const ClientResponse& answer) {
      if (answer.ok()) pending->put("c", "k", answer.body(), POSTERN_RECORD_ABSENT);
      pending->complete(answer.outcome());
    });
  });
  host->answer("api", {.body = "1"});
  Settled settled = deliver();
  ASSERT_EQ(settled.outcome, POSTERN_PENDING);
  host->run_callbacks();
  EXPECT_TRUE(host->await(settled.delivery).done());
  EXPECT_EQ(host->record("c", "k")->json, "1");
  EXPECT_THAT(host->misuses(), IsEmpty());
}

TEST_F(ClientHpp, WhatIsOutAtTheEndIsCancelled) {
  std::vector<uint32_t> kinds;
  start_calling([&](Delivery&) {
    uint64_t id = api_.send({.url = "/"}, [&](const ClientResponse& answer) { kinds.push_back(answer.kind()); });
    api_.cancel(id);
    api_.send({.url = "/"}, [&](const ClientResponse& answer) { kinds.push_back(answer.kind()); });
  });
  deliver();
  host->stop();
  EXPECT_THAT(kinds, ElementsAre(POSTERN_RESPONSE_CANCELLED, POSTERN_RESPONSE_CANCELLED));
}

TEST_F(ClientHpp, AnExceptionOfACallbackIsLogged) {
  start_calling([this](Delivery&) { api_.send({.url = "/"}, [](const ClientResponse&) { throw std::runtime_error("oops"); }); });
  deliver();
  host->run_callbacks();
  EXPECT_THAT(host->log().at(0).text, HasSubstr("oops"));
}

TEST_F(ClientHpp, AHostWithoutTheExtensionIsTold) {
  auto started = start([](postern::Setup& setup, std::string_view) { setup.upstream({.name = "api", .base_url = "https://a.example"}); },
                       {.without = {POSTERN_EXT_CLIENT}});
  EXPECT_EQ(started.status, POSTERN_E_UNSUPPORTED);
  EXPECT_THAT(started.error, HasSubstr("postern.client/1"));
}

TEST_F(ClientHpp, AnUpstreamThatWasNotMadeCannotBeCalled) {
  start_calling([](Delivery& d) { postern::Upstream().call(d, {.url = "/"}); });
  Settled settled = deliver();
  EXPECT_EQ(settled.outcome, POSTERN_RETRY);
  EXPECT_THAT(settled.why, HasSubstr("postern.client/1"));
}

}  // namespace
