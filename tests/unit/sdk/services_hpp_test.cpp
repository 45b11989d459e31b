// Services, as the C++ wrapper and the fake host have them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scripted.h"

namespace {

using postern::Delivery;
using postern::ServiceCall;
using postern::ServiceError;
using postern::testing::ServiceAnswered;
using postern::testing::ServiceCalled;
using postern::testing::Settled;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class ServicesHpp : public postern::testing::ScriptedTest {
 protected:
  // A plugin that wants crm/1, whose handler does this.
  template <typename F>
  void start_calling(F handler) {
    auto started = start([this, handler](postern::Setup& setup, std::string_view) {
      crm_ = setup.acquire("crm/1");
      setup.on("e", handler);
    });
    ASSERT_TRUE(started.ok()) << started.error;
  }
  // A plugin that publishes mail/1.
  template <typename F>
  void start_serving(F function) {
    auto started = start([function](postern::Setup& setup, std::string_view) { setup.publish("mail/1", function); });
    ASSERT_TRUE(started.ok()) << started.error;
  }
  postern::Service crm_;
};

TEST_F(ServicesHpp, ADeliveryCallsOne) {
  start_calling([this](Delivery& d) {
    auto who = crm_.call(d, "find", d.body(), std::chrono::seconds(3));
    d.set_result(who.or_throw().body());
  });
  host->serve("crm/1", [](const ServiceCalled& c) { return ServiceAnswered{.body = "[" + c.request + "]"}; });
  Settled settled = host->deliver({.type = "e", .body = "7"});
  EXPECT_TRUE(settled.done()) << settled.why;
  EXPECT_EQ(settled.result, "[7]");
  ASSERT_THAT(host->service_calls(), SizeIs(1));
  ServiceCalled called = host->service_calls()[0];
  EXPECT_EQ(called.service, "crm/1");
  EXPECT_EQ(called.method, "find");
  EXPECT_EQ(called.request, "7");
  EXPECT_EQ(called.deadline_ms, 3000u);
  EXPECT_EQ(called.delivery, settled.delivery);
  EXPECT_THAT(host->misuses(), IsEmpty());
}

TEST_F(ServicesHpp, TheAnswerDecidesTheDelivery) {
  start_calling([this](Delivery& d) { crm_.call(d, "find", "").or_throw(); });
  auto outcome_of = [&](ServiceAnswered answered) {
    host->serve("crm/1", [answered](const ServiceCalled&) { return answered; });
    Settled settled = deliver();
    EXPECT_THAT(settled.why, answered.ok() ? "" : answered.error);
    EXPECT_EQ(settled.retry_after_ms.value_or(0), answered.retry_after_ms);
    return settled.outcome;
  };
  EXPECT_EQ(outcome_of({.status = POSTERN_RETRY, .error = "busy", .retry_after_ms = 7000}), POSTERN_RETRY);
  EXPECT_EQ(outcome_of({.status = POSTERN_DEAD, .error = "never"}), POSTERN_DEAD);
  for (postern_status status : {POSTERN_E_STATE, POSTERN_E_TIMEOUT, POSTERN_E_GONE, POSTERN_E_INTERNAL}) {
    EXPECT_EQ(outcome_of({.status = status, .error = "later"}), POSTERN_RETRY) << status;
  }
  for (postern_status status : {POSTERN_E_INVALID, POSTERN_E_UNSUPPORTED, POSTERN_E_LIMIT, POSTERN_E_DENIED, POSTERN_E_NOT_FOUND}) {
    EXPECT_EQ(outcome_of({.status = status, .error = "not ever"}), POSTERN_DEAD) << status;
  }
}

TEST_F(ServicesHpp, AnOutcomeIsReturnedAsWell) {
  start_calling([this](Delivery& d) { return crm_.call(d, "find", "").outcome(); });
  EXPECT_EQ(deliver().outcome, POSTERN_RETRY) << "the test serves none";
  host->serve("crm/1", [](const ServiceCalled&) { return ServiceAnswered{}; });
  EXPECT_TRUE(deliver().done());
}

TEST_F(ServicesHpp, AnOptionalOneMayBeMissing) {
  postern::Service sms;
  auto init = [&](postern::Setup& setup, std::string_view) { sms = setup.acquire_optional("sms/1"); };
  ASSERT_TRUE(start(init).ok());
  ASSERT_THAT(host->wanted_services(), SizeIs(1));
  EXPECT_FALSE(host->wanted_services()[0].required);
  EXPECT_FALSE(sms.available());
  EXPECT_EQ(sms.call("send", "").status(), POSTERN_E_NOT_FOUND);
  host->serve("sms/1", [](const ServiceCalled&) { return ServiceAnswered{.body = "sent"}; });
  EXPECT_TRUE(sms.available());
  EXPECT_EQ(sms.call("send", "").body(), "sent");
}

TEST_F(ServicesHpp, AGatewayWithoutServices) {
  postern::Service sms;
  auto optional = [&](postern::Setup& setup, std::string_view) { sms = setup.acquire_optional("sms/1"); };
  EXPECT_TRUE(start(optional, {.without = {POSTERN_EXT_SERVICES}}).ok());
  EXPECT_FALSE(sms.available());
  EXPECT_EQ(sms.call("send", "").status(), POSTERN_E_NOT_FOUND);
  auto required = [&](postern::Setup& setup, std::string_view) { setup.acquire("sms/1"); };
  auto started = start(required, {.without = {POSTERN_EXT_SERVICES}});
  EXPECT_EQ(started.status, POSTERN_E_UNSUPPORTED);
  EXPECT_THAT(started.error, HasSubstr(POSTERN_EXT_SERVICES));
}

TEST_F(ServicesHpp, WhatIsWrongIsRefusedAsByTheGateway) {
  using postern::Setup;
  auto refused = [&](const std::function<void(Setup&)>& declare) {
    auto started = start([&](Setup& setup, std::string_view) { declare(setup); });
    EXPECT_EQ(started.status, POSTERN_E_INVALID);
    return started.refusals.empty() ? started.error : started.refusals[0];
  };
  auto none = [](ServiceCall&) {};
  EXPECT_THAT(refused([&](Setup& s) { s.publish("mail", none); }), HasSubstr("mail/1"));
  EXPECT_THAT(refused([&](Setup& s) { s.publish("m/1", none), s.publish("m/1", none); }), HasSubstr("once"));
  EXPECT_THAT(refused([&](Setup& s) { s.acquire("Crm/1"); }), HasSubstr("mail/1"));
}

TEST_F(ServicesHpp, AServiceAnswers) {
  start_serving([](ServiceCall& call) {
    EXPECT_GT(call.remaining(), std::chrono::milliseconds(1500));
    return std::string(call.caller()) + " " + std::string(call.method()) + " " + std::string(call.request());
  });
  EXPECT_THAT(host->services(), ElementsAre("mail/1"));
  ServiceAnswered answered = host->call_service("mail/1", "send", "bytes", std::chrono::seconds(2));
  EXPECT_TRUE(answered.ok()) << answered.error;
  EXPECT_EQ(answered.body, "caller send bytes");
  EXPECT_EQ(host->call_service("fax/1", "send", "").status, POSTERN_E_NOT_FOUND);
  EXPECT_THAT(host->misuses(), IsEmpty());
}

TEST_F(ServicesHpp, AServiceMayReturnNothing) {
  start_serving([](ServiceCall&) {});
  EXPECT_TRUE(host->call_service("mail/1", "send", "").ok());
}

TEST_F(ServicesHpp, WhatAServiceThrowsIsWhatItsCallerHears) {
  start_serving([](ServiceCall& call) -> std::string_view {
    if (call.method() == "retry") throw postern::Retry("busy", std::chrono::seconds(5));
    if (call.method() == "dead") throw postern::Dead("no such address");
    if (call.method() == "absent") throw ServiceError(POSTERN_E_NOT_FOUND, "no such contact");
    return "fine";
  });
  ServiceAnswered retry = host->call_service("mail/1", "retry", "");
  EXPECT_EQ(retry.status, POSTERN_RETRY);
  EXPECT_EQ(retry.error, "busy");
  EXPECT_EQ(retry.retry_after_ms, 5000u);
  ServiceAnswered dead = host->call_service("mail/1", "dead", "");
  EXPECT_EQ(dead.status, POSTERN_DEAD);
  EXPECT_EQ(dead.error, "no such address");
  EXPECT_EQ(host->call_service("mail/1", "absent", "").status, POSTERN_E_NOT_FOUND);
  EXPECT_EQ(host->call_service("mail/1", "send", "").body, "fine");
}

// Nobody has looked what it says: a path, a URL, a password.
TEST_F(ServicesHpp, OtherExceptionsAreForTheLogAlone) {
  start_serving([](ServiceCall& call) -> std::string {
    if (call.method() == "int") throw 7;
    throw std::runtime_error("hunter2 was refused");
  });
  for (const char* method : {"any", "int"}) {
    ServiceAnswered answered = host->call_service("mail/1", method, "");
    EXPECT_EQ(answered.status, POSTERN_E_INTERNAL);
    EXPECT_THAT(answered.error, Not(HasSubstr("hunter2")));
  }
  ASSERT_THAT(host->log(), SizeIs(2));
  EXPECT_THAT(host->log()[0].text, AllOf(HasSubstr("service"), HasSubstr("hunter2")));
}

TEST_F(ServicesHpp, AnAnswerThatIsTooLargeIsAFailure) {
  start_serving([](ServiceCall& call) { return std::string(POSTERN_SERVICE_MAX_BYTES + (call.method() == "over" ? 1 : 0), 'x'); });
  EXPECT_EQ(host->call_service("mail/1", "most", "").body.size(), POSTERN_SERVICE_MAX_BYTES);
  EXPECT_EQ(host->call_service("mail/1", "over", "").status, POSTERN_E_LIMIT);
}

TEST_F(ServicesHpp, APluginMayCallItself) {
  postern::Service own;
  ASSERT_TRUE(start([&](postern::Setup& setup, std::string_view) {
                own = setup.acquire("mail/1");
                setup.publish("mail/1", [&](ServiceCall& call) {
                  auto inner = own.call("again", std::string(call.request()) + "x");
                  return inner.ok() ? inner.body() : std::string(call.request()) + " " + std::to_string(inner.status());
                });
              }).ok());
  EXPECT_EQ(own.call("begin", "").body(), "xxxxxxx -5") << "eight deep, and the ninth is refused";
}

}  // namespace
