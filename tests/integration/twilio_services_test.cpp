// What twilio does for other plugins, and they for it, in the real daemon: calls are ended through the gateway's client, and the stream of
// an incoming call carries the token of whoever answers streams.
#include <gmock/gmock.h>

#include <string>

#include "tests/integration/probe_gateway.h"
#include "tests/integration/twilio_gateway.h"
#include "tests/support/places.h"
#include "tests/support/upstream_server.h"

namespace postern::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr milliseconds kSoon{20'000};
constexpr const char* kAccount = "AC0123456789abcdef0123456789abcdef";
constexpr const char* kCall = "CA0123456789abcdef0123456789abcdef";

std::string probe_with(const std::string& service) {
  return "  - {name: probe, library: " + probe_library() + ", config: {" + service + "}, routes: {/probe: {wait: 10s}}}\n";
}
std::string twilio_at(const UpstreamServer& api) {
  return twilio_entry(std::string("auth_tokens: [") + kToken + "], account_sid: " + kAccount + ", api_url: \"" + api.url() + "\"");
}
// Has the probe end the call.
Response hang_up(const Gateway& gateway, const std::string& id) {
  const std::string request = std::string("{'call_sid':'") + kCall + "','status':'completed'}";
  const nlohmann::json body = {{"id", id}, {"type", "test"}, {"do", "service"}, {"method", "update"}, {"request", request}};
  return gateway.request("POST", "/probe", {{"Content-Type", "application/json"}}, body.dump());
}

TEST(TwilioServicesTest, ACallIsEndedAndARequestThatFailedIsSentAgain) {
  UpstreamServer api([](Conversation& c) {
    if (c.request.number == 1) return c.answer(503);
    c.answer(200, std::string(R"({"sid":")") + kCall + R"(","status":"completed"})");
  });
  Gateway gateway({.public_url = kPublicUrl, .plugins = probe_with("calls: twilio.calls/1") + twilio_at(api)});
  const Response ended = hang_up(gateway, "a");
  EXPECT_EQ(status_of(ended), "processed") << ended.body << gateway.log();
  EXPECT_EQ(json_of(ended)["result"], (nlohmann::json{{"sid", kCall}, {"status", "completed"}}));
  ASSERT_EQ(api.requests().size(), 2u);
  for (const auto& request : api.requests()) {
    EXPECT_EQ(request.method + " " + request.target,
              std::string("POST /2010-04-01/Accounts/") + kAccount + "/Calls/" + kCall + ".json");
    EXPECT_EQ(request.body, "Status=completed");
    EXPECT_THAT(request.header("Authorization"), ::testing::StartsWith("Basic QUMwMTIz")) << "AC0123…";
  }
  EXPECT_THAT(gateway.log(), Not(HasSubstr(kToken)));
}

TEST(TwilioServicesTest, ACallThatIsOverKillsTheDelivery) {
  UpstreamServer api([](Conversation& c) { c.answer(400, R"({"code":21220,"message":"Call is not in-progress.","status":400})"); });
  Gateway gateway({.public_url = kPublicUrl, .plugins = probe_with("calls: twilio.calls/1") + twilio_at(api)});
  hang_up(gateway, "a");
  EXPECT_TRUE(eventually(kSoon, [&] { return gateway.store().state_of("a") == "dead"; })) << gateway.log();
  EXPECT_THAT(gateway.command({"dead", "list", "--json"}).out,
              AllOf(HasSubstr("code 21220: Call is not in-progress."), Not(HasSubstr(kToken))));
  EXPECT_EQ(api.requests().size(), 1u);
}

TEST(TwilioServicesTest, TheStreamCarriesTheToken) {
  Gateway gateway({.public_url = kPublicUrl, .plugins = twilio_entry() + probe_with("publishes: postern.voice/1")});
  const Response answer = call(gateway, kIncomingCall, call_form(new_call_sid()));
  EXPECT_EQ(answer.status, 200) << gateway.log();
  EXPECT_THAT(answer.body, HasSubstr(R"(<Parameter name="token" value="of-postern.voice/1"/>)"));
}

TEST(TwilioServicesTest, WithoutATokenTheCallerIsNotConnected) {
  Gateway gateway({.public_url = kPublicUrl, .plugins = twilio_entry() + probe_with("publishes: postern.voice/1, mute: \"yes\"")});
  const Response answer = call(gateway, kIncomingCall, call_form(new_call_sid()));
  EXPECT_EQ(answer.status, 500);
  EXPECT_THAT(answer.body, Not(HasSubstr("token")));
  EXPECT_TRUE(gateway.logs("no token for the stream: the answer of postern.voice/1 has none"));
}

}  // namespace
}  // namespace postern::testing
