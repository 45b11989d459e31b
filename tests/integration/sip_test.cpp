// Calls that OpenAI has by SIP, through the real daemon: from the signed webhook to the event that remains. OpenAI's API and its control
// session are sip_server.py of tests/support/voice, which holds the gateway to the protocol.
#include "tests/integration/voice_call.h"

namespace postern::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr const char* kWebhook = "/api/v1/webhooks/openai";

class SipCalls : public VoiceCallTest {
 protected:
  // OpenAI, with one call that rings; then the gateway.
  void ring(const json& script, const std::vector<std::string>& more = {}, const json& config = json::object()) {
    const std::string file = folder_ + "/script.json";
    std::ofstream(file) << script.dump();
    std::vector<std::string> args{"--script", file, "--key", kModelKey, "--call", call_id_};
    args.insert(args.end(), more.begin(), more.end());
    model_ = std::make_unique<Standin>("sip_server.py", folder_ + "/openai.jsonl", args);
    const std::string port = std::to_string(model_->port());
    const std::string api = std::to_string(json::parse(model_->process().out())["api_port"].get<int>());
    json all = {{"media_streams", nullptr}, {"sip", {{"webhook_secrets", {secret_}}, {"api_url", "http://127.0.0.1:" + api + "/v1"}}}};
    all.merge_patch(config);
    start_gateway("ws://127.0.0.1:" + port + "/v1/realtime", all);
  }
  // The webhook, signed as the specification says.
  Response tell(const std::string& webhook_id, const std::string& secret, int64_t age_s = 0) {
    const int64_t now = std::time(nullptr);
    const json body = {{"id", "evt_1"}, {"object", "event"}, {"created_at", now}, {"type", "realtime.call.incoming"},
                       {"data", {{"call_id", call_id_},
                                 {"sip_headers", {{{"name", "From"}, {"value", "\"A\" <sip:+14155550123@sip.example.com>;tag=1"}},
                                                  {{"name", "To"}, {"value", "<sip:+14155550100@sip.example.com>"}},
                                                  {{"name", "Call-ID"}, {"value", "abc@sip.example.com"}}}}}}};
    const std::string at = std::to_string(now - age_s), text = body.dump();
    const std::string seal = base64(hmac_sha256(*from_base64(secret.substr(6)), webhook_id + "." + at + "." + text));
    return gateway().request("POST", kWebhook, {{"Content-Type", "application/json"}, {"webhook-id", webhook_id}, {"webhook-timestamp", at},
                                                {"webhook-signature", "v1,bm90IHRoaXMgb25l v1," + seal}}, text);
  }
  Response tell(const std::string& webhook_id = "wh_1") { return tell(webhook_id, secret_); }
  std::vector<json> asked(const std::string& what) const { return model().all("api", "target", "/v1/realtime/calls/" + call_id_ + "/" + what); }
  bool comes(const std::string& event, size_t count = 1) {
    return eventually(kSoon, [&] { return model().count(event) >= count; });
  }

  std::string call_id_ = "rtc_" + hex(random_bytes(12));
  const std::string secret_ = "whsec_" + base64(random_bytes(32));
};

const json kEndCall = {{"call", {{"name", "end_call"}, {"arguments", json::object()}}}};
json with_transcript(const char* text) { return {{"say", {{"tone_hz", 300}, {"ms", 300}}}, {"transcript", text}}; }

TEST_F(SipCalls, FromTheWebhookToTheEvent) {
  Standin calendar("calendar_server.py", folder_ + "/calendar.jsonl", {});
  const json tool = {{"name", "book"}, {"url", "http://127.0.0.1:" + std::to_string(calendar.port()) + "/book"}};
  const json book = {{"call", {{"name", "book"}, {"arguments", {{"day", "Monday"}}}, {"call_id", "completed"}}}};
  ring({{"responses", {{with_transcript("Good evening."), book}, {with_transcript("It is booked."), kEndCall}}}}, {}, {{"tools", {tool}}});
  const Response answer = tell();
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(json_of(answer)["status"], "queued");

  const json event = completed(call_id_);
  ASSERT_FALSE(event.is_null()) << "a tool that names itself like the call's own event does not take its place";
  EXPECT_EQ(event["sip"], true);
  EXPECT_EQ(event["ended_by"], "model");
  EXPECT_EQ(event["from"], "+14155550123");
  EXPECT_EQ(event["to"], "+14155550100");
  EXPECT_EQ(event["sip_call_id"], "abc@sip.example.com");
  ASSERT_THAT(event["turns"], SizeIs(2)) << event;
  EXPECT_THAT(event["turns"][0]["text"].get<std::string>(), HasSubstr("Good evening."));
  EXPECT_EQ(event["tools"][0]["outcome"], "done");
  EXPECT_GT(event["usage"]["output_tokens"], 0);

  ASSERT_THAT(asked("accept"), SizeIs(1));
  const json session = asked("accept")[0]["body"];
  EXPECT_EQ(session["model"], "gpt-realtime");
  EXPECT_THAT(session["tools"].dump(), ::testing::AllOf(HasSubstr("book"), HasSubstr("end_call")));
  EXPECT_EQ(asked("hangup").size(), 1u);
  const json handshake = model().one("handshake");
  EXPECT_EQ(handshake["path"], "/v1/realtime?call_id=" + call_id_) << "and no model";
  EXPECT_EQ(handshake["bearer"], "expected");
  EXPECT_EQ(model().count("client", "type", "session.update"), 0u) << "it has what it was accepted with";
  EXPECT_EQ(model().all("client", "type", "response.create").at(0)["response"]["instructions"], "Greet the caller.");
  EXPECT_EQ(model().one("close")["by"], "server");
  EXPECT_EQ(calendar.journal().count("booking"), 1u);
  EXPECT_THAT(gateway().log(), Not(HasSubstr(secret_.substr(6))));
}

TEST_F(SipCalls, AWebhookThatIsNotGenuineOrComesAgainDoesNothing) {
  ring({{"responses", {with_transcript("Good evening.")}}});
  EXPECT_EQ(tell("wh_1", "whsec_" + base64(random_bytes(32))).status, 401);
  EXPECT_EQ(tell("wh_1", secret_, 301).status, 401) << "a copy of an old one";
  EXPECT_EQ(tell("wh_1", secret_, -302).status, 401);
  EXPECT_EQ(gateway().store().number("SELECT count(*) FROM event"), 0);
  EXPECT_EQ(tell().status, 200);
  ASSERT_TRUE(comes("handshake"));
  EXPECT_EQ(json_of(tell())["status"], "duplicate_ignored");
  EXPECT_EQ(json_of(tell("wh_2"))["status"], "queued") << "another webhook about the same call";
  ASSERT_TRUE(eventually(kSoon, [&] { return gateway().store().unsettled() == 0; }));
  EXPECT_EQ(asked("accept").size(), 1u);
  EXPECT_EQ(model().count("handshake"), 1u) << "a call is controlled once";
}

TEST_F(SipCalls, AnAcceptanceWhoseAnswerIsLostIsOne) {
  ring({{"responses", {{with_transcript("Good evening."), kEndCall}}}}, {"--accept-fails", "1"});
  EXPECT_EQ(tell().status, 200);
  EXPECT_EQ(completed(call_id_)["ended_by"], "model");
  const auto accepts = asked("accept");
  ASSERT_THAT(accepts, SizeIs(2));
  EXPECT_EQ(accepts[0]["status"], 503);
  EXPECT_EQ(accepts[1]["status"], 400) << "OpenAI does not accept twice";
}

TEST_F(SipCalls, ACallThatOpenAiDoesNotKnowIsDead) {
  ring({{"responses", {with_transcript("Good evening.")}}});
  call_id_ = "rtc_unknown";
  EXPECT_EQ(tell().status, 200);
  EXPECT_TRUE(eventually(kSoon, [&] { return gateway().store().state_of("wh_1") == "dead"; }));
  EXPECT_EQ(asked("accept").size(), 1u) << "a refusal at first is final";
  EXPECT_EQ(model().count("handshake"), 0u);
}

TEST_F(SipCalls, ControlThatBreaksOffIsTakenUpAgain) {
  ring({{"responses", {with_transcript("Good evening.")}},
        {"timers", {after(700, {{"drop", true}})}},
        {"renewals", {{{"timers", {after(700, {{"close", 1000}})}}}}}});
  EXPECT_EQ(tell().status, 200);
  const json event = completed(call_id_);
  EXPECT_EQ(event["ended_by"], "caller") << "OpenAI has closed it in order";
  EXPECT_EQ(event["model_sessions"], 2);
  EXPECT_EQ(event["turns"].size(), 1u) << "nobody is greeted twice";
  EXPECT_EQ(model().all("client", "type", "response.create").size(), 1u);
  EXPECT_THAT(asked("hangup"), IsEmpty());
}

TEST_F(SipCalls, IsRejectedWhereTheConfigurationSaysSo) {
  ring(json::object(), {}, {{"sip", {{"accept", false}, {"reject_status", 480}}}});
  EXPECT_EQ(tell().status, 200);
  ASSERT_TRUE(eventually(kSoon, [&] { return !asked("reject").empty(); }));
  EXPECT_EQ(asked("reject")[0]["body"], (json{{"status_code", 480}}));
  EXPECT_THAT(asked("accept"), IsEmpty());
}

TEST_F(SipCalls, AStopLeavesTheCallAndKeepsItsEvent) {
  ring({{"responses", {with_transcript("Good evening.")}}});
  EXPECT_EQ(tell().status, 200);
  ASSERT_TRUE(eventually(kSoon, [&] { return model().count("sent", "type", "response.done") == 1; }));
  EXPECT_EQ(gateway().stop().code, 0) << gateway().log();
  ASSERT_TRUE(comes("close"));
  EXPECT_EQ(model().one("close")["code"], 1001);
  EXPECT_THAT(asked("hangup"), IsEmpty()) << "it goes on at OpenAI";
  gateway().start();
  EXPECT_EQ(completed(call_id_)["ended_by"], "gateway");
}

}  // namespace
}  // namespace postern::testing
