// The service twilio.calls/1: what it asks of Twilio, and what it makes of the answers.
#include <gmock/gmock.h>

#include "postern/ext/client.h"
#include "tests/unit/twilio/twilio_host.h"

namespace twilio_test {
namespace {

using postern::testing::OutboundAnswer;
using postern::testing::ServiceAnswered;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;

constexpr const char* kCall = "CA0123456789abcdef0123456789abcdef";
constexpr const char* kKeySid = "SK0123456789abcdef0123456789abcdef";
constexpr const char* kHangUp = R"({"call_sid":"CA0123456789abcdef0123456789abcdef","status":"completed"})";

json config(const json& more = {}) {
  json all = {{"auth_tokens", {"the-first-token", "the-second-token"}}, {"account_sid", kAccount}};
  if (more.is_object()) all.update(more);
  return all;
}
std::string with_twiml(const std::string& twiml) { return json{{"call_sid", kCall}, {"twiml", twiml}}.dump(); }
OutboundAnswer twilio_error(uint32_t status, int code, const std::string& message) {
  return {.status = status, .body = json{{"code", code}, {"message", message}, {"status", status}}.dump()};
}

class CallUpdates : public ::testing::Test {
 protected:
  ServiceAnswered update(const std::string& request) { return host.call_service("twilio.calls/1", "update", request); }
  ServiceAnswered hang_up(OutboundAnswer answer) {
    host.answer("api", std::move(answer));
    ServiceAnswered answered = update(kHangUp);
    EXPECT_THAT(answered.error, AllOf(Not(HasSubstr("token")), Not(HasSubstr("Basic"))));
    return answered;
  }

  Host host{config().dump()};
};

TEST_F(CallUpdates, EndACall) {
  host.answer("api", {.body = json{{"sid", kCall}, {"status", "completed"}, {"to", "+14155550100"}}.dump()});
  ServiceAnswered answered = update(kHangUp);
  ASSERT_TRUE(answered.ok()) << answered.error;
  EXPECT_EQ(json::parse(answered.body), (json{{"sid", kCall}, {"status", "completed"}}));
  const auto asked = host.outbound().at(0);
  EXPECT_EQ(asked.method, "POST");
  EXPECT_EQ(asked.url, "/2010-04-01/Accounts/" + std::string(kAccount) + "/Calls/" + kCall + ".json");
  EXPECT_EQ(asked.body, "Status=completed");
  EXPECT_THAT(asked.headers, Contains(Pair("Content-Type", kForm)));
  // printf 'AC0123456789abcdef0123456789abcdef:the-first-token' | base64 -w0
  EXPECT_THAT(asked.headers,
              Contains(Pair("Authorization", "Basic QUMwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjp0aGUtZmlyc3QtdG9rZW4=")));
  EXPECT_GT(asked.deadline_ms, 0u);
  EXPECT_LE(asked.deadline_ms, 10'000u) << "the caller's";
  EXPECT_EQ(host.upstreams().at(0).base_url, "https://api.twilio.com");
}

TEST_F(CallUpdates, LetItGoOnWithADocument) {
  host.answer("api", {.body = json{{"sid", kCall}, {"status", "in-progress"}}.dump()});
  ServiceAnswered answered = update(with_twiml("<?xml version=\"1.0\"?>\n<Response><Say>a+b & c</Say></Response>"));
  EXPECT_EQ(answered.status, POSTERN_E_INVALID) << "an & alone is no XML";
  EXPECT_THAT(answered.error, HasSubstr("twiml is not well-formed XML: line 2, column "));
  EXPECT_TRUE(host.outbound().empty());
  answered = update(with_twiml("<Response><Say>a+b &amp; 50%=\xC3\xA9</Say></Response>"));
  ASSERT_TRUE(answered.ok()) << answered.error;
  EXPECT_EQ(json::parse(answered.body)["status"], "in-progress");
  EXPECT_EQ(host.outbound().at(0).body,
            "Twiml=%3CResponse%3E%3CSay%3Ea%2Bb%20%26amp%3B%2050%25%3D%C3%A9%3C%2FSay%3E%3C%2FResponse%3E");
}

TEST_F(CallUpdates, AnApiKeyGoesBeforeTheToken) {
  Host keyed(config({{"api_key", {{"sid", kKeySid}, {"secret", "the-key-secret"}}}, {"api_url", "http://127.0.0.1:8081/x/"}}).dump());
  keyed.answer("api", {.status = 204});
  ServiceAnswered answered = keyed.call_service("twilio.calls/1", "update", kHangUp);
  ASSERT_TRUE(answered.ok()) << answered.error;
  EXPECT_EQ(json::parse(answered.body), (json{{"sid", kCall}, {"status", ""}})) << "it is done, whatever they wrote";
  // printf 'SK0123456789abcdef0123456789abcdef:the-key-secret' | base64 -w0
  EXPECT_THAT(keyed.outbound().at(0).headers,
              Contains(Pair("Authorization", "Basic U0swMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjp0aGUta2V5LXNlY3JldA==")));
  EXPECT_THAT(keyed.outbound().at(0).url, HasSubstr(std::string("/Accounts/") + kAccount + "/Calls/")) << "the account stays";
  EXPECT_EQ(keyed.upstreams().at(0).base_url, "http://127.0.0.1:8081/x");
}

TEST_F(CallUpdates, WithoutAnAccountTheyAreNotConfigured) {
  Host bare;
  EXPECT_EQ(bare.services(), std::vector<std::string>{"twilio.calls/1"});
  EXPECT_TRUE(bare.upstreams().empty());
  ServiceAnswered answered = bare.call_service("twilio.calls/1", "update", kHangUp);
  EXPECT_EQ(answered.status, POSTERN_E_UNSUPPORTED);
  EXPECT_THAT(answered.error, HasSubstr("set account_sid"));
}

TEST_F(CallUpdates, WhatIsWrongWithARequestIsToldAndNotSent) {
  const std::string good = "<Response/>";
  const std::pair<std::string, std::string> kWrong[] = {
      {"", "no JSON object"},
      {"[]", "no JSON object"},
      {R"({"call_sid":"\xff"})", "no JSON object"},
      {R"({"status":"completed"})", "call_sid is not CA and 32 hex digits"},
      {R"({"call_sid":"CA0123","status":"completed"})", "call_sid is not CA"},
      {R"({"call_sid":"CA0123456789abcdef0123456789abcde/","status":"completed"})", "call_sid is not CA"},
      {R"({"call_sid":7,"status":"completed"})", "call_sid must be a string"},
      {json{{"call_sid", kCall}}.dump(), "either twiml or status"},
      {json{{"call_sid", kCall}, {"twiml", good}, {"status", "completed"}}.dump(), "either twiml or status"},
      {json{{"call_sid", kCall}, {"status", "canceled"}}.dump(), "status can only be set to completed"},
      {json{{"call_sid", kCall}, {"twiml", good}, {"url", "https://evil.example"}}.dump(), "unknown field 'url'"},
      {with_twiml(""), "not well-formed XML"},
      {with_twiml("<Response>"), "not well-formed XML"},
      {with_twiml("<Response/><Response/>"), "not well-formed XML"},
      {with_twiml("<response/>"), "must have the root <Response>"},
      {with_twiml("<x:Response xmlns:x='y'/>"), "must have the root <Response>"},
      {with_twiml("<Say><Response/></Say>"), "must have the root <Response>"},
      {with_twiml("<!DOCTYPE Response [<!ENTITY a 'aaaa'>]><Response>&a;</Response>"), "must have no <!DOCTYPE"},
      {with_twiml("<Response><Say>" + std::string(3972, 'x') + "</Say></Response>"), "more than 4000 characters"},
  };
  for (const auto& [request, why] : kWrong) {
    ServiceAnswered answered = update(request);
    EXPECT_EQ(answered.status, POSTERN_E_INVALID) << request;
    EXPECT_THAT(answered.error, HasSubstr(why)) << request;
  }
  EXPECT_EQ(host.call_service("twilio.calls/1", "create", kHangUp).status, POSTERN_E_UNSUPPORTED);
  EXPECT_TRUE(host.outbound().empty());
  // Characters, not bytes: 15 + 3969 + 17 - 1.
  std::string longest;
  for (int i = 0; i < 3972 - 4; ++i) longest += "\xC3\xA9";
  host.answer("api", {.status = 200});
  EXPECT_TRUE(update(with_twiml("<Response><Say>" + longest + "</Say></Response>")).ok());
}

TEST_F(CallUpdates, WhatCannotSucceedIsDead) {
  ServiceAnswered gone = hang_up(twilio_error(404, 20404, "The requested resource was not found"));
  EXPECT_EQ(gone.status, POSTERN_DEAD);
  EXPECT_THAT(gone.error, HasSubstr("(404, code 20404: The requested resource was not found)"));
  ServiceAnswered ended = hang_up(twilio_error(400, 21220, "Call is not in-progress. Cannot redirect."));
  EXPECT_EQ(ended.status, POSTERN_DEAD);
  EXPECT_THAT(ended.error, HasSubstr("code 21220: Call is not in-progress"));
  EXPECT_EQ(hang_up({.status = 403, .body = "<html>"}).status, POSTERN_DEAD);
  EXPECT_EQ(hang_up({.status = 302}).status, POSTERN_DEAD) << "a redirect is not followed with the credentials";
  EXPECT_THAT(hang_up(twilio_error(400, 1, std::string(5000, 'x') + "\x1b[31m")).error.size(), ::testing::Lt(400u));
}

TEST_F(CallUpdates, RefusedCredentialsSayWhatToCheck) {
  host.answer("api", twilio_error(401, 20003, "Authentication Error - invalid username"));
  ServiceAnswered answered = update(kHangUp);
  EXPECT_EQ(answered.status, POSTERN_DEAD);
  EXPECT_THAT(answered.error, AllOf(HasSubstr("account_sid"), HasSubstr("api_key"), HasSubstr("auth_tokens"), Not(HasSubstr("the-first"))));
}

TEST_F(CallUpdates, WhatMayPassIsRetriedWithItsWait) {
  OutboundAnswer busy = twilio_error(429, 20429, "Too Many Requests");
  busy.retry_after_ms = 7'000;
  ServiceAnswered limited = hang_up(busy);
  EXPECT_EQ(limited.status, POSTERN_RETRY);
  EXPECT_EQ(limited.retry_after_ms, 7'000u);
  EXPECT_THAT(limited.error, HasSubstr("429, code 20429"));
  EXPECT_EQ(hang_up({.status = 503}).status, POSTERN_RETRY);
  EXPECT_EQ(hang_up({.status = 0, .kind = POSTERN_RESPONSE_CONNECT, .error = "no connection"}).status, POSTERN_RETRY);
  EXPECT_EQ(hang_up({.status = 0, .kind = POSTERN_RESPONSE_TIMEOUT}).status, POSTERN_RETRY);
  ServiceAnswered open = hang_up({.status = 0, .kind = POSTERN_RESPONSE_BREAKER_OPEN, .error = "left alone", .retry_after_ms = 9'000});
  EXPECT_EQ(open.status, POSTERN_RETRY);
  EXPECT_EQ(open.retry_after_ms, 9'000u);
  EXPECT_EQ(update(kHangUp).status, POSTERN_RETRY) << "nobody listens";
}

}  // namespace
}  // namespace twilio_test
