// Calls through the real daemon, from the caller's handshake to the event that remains: audio both ways, interruptions, tools, and who
// is let in.
#include "tests/integration/voice_call.h"

#include "tests/support/tls_material.h"

namespace postern::testing {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::Le;
using ::testing::Not;
using ::testing::SizeIs;

class VoiceCall : public VoiceCallTest {
 protected:
  // What Twilio is told to do with the call; the token in it.
  std::string token_of_twiml(const std::string& call_sid) {
    const Response answer = call(gateway(), kIncomingCall, call_form(call_sid));
    EXPECT_EQ(answer.status, 200) << answer.body;
    const std::string before = "<Parameter name=\"token\" value=\"";
    const size_t at = answer.body.find(before);
    if (at == std::string::npos) return "";
    return answer.body.substr(at + before.size(), answer.body.find('"', at + before.size()) - at - before.size());
  }
};

TEST_F(VoiceCall, FromTheGreetingToTheEvent) {
  start({{"responses", {tone(1'500), tone(600)}}, {"transcripts", {"I would like a table."}}},
        {{"costs", {{"gpt-realtime", {{"input_audio", 32}, {"output_audio", 64}}}}}});
  auto caller = dial({"heard:1300", "quiet:200", "tone:440:400", "heard:500", "quiet:300"},
                     {"--parameter", "From=+14155550123", "--parameter", "To=+14155550100"});
  EXPECT_EQ(caller->status(), 0);
  const Journal heard = caller->journal();
  EXPECT_GE(heard.one("summary")["heard_ms"], 2'050) << "both answers, whole";
  EXPECT_EQ(heard.one("summary")["marks"], heard.one("summary")["marks_returned"]);
  EXPECT_EQ(heard.count("clear_received"), 0u);
  EXPECT_EQ(model().one("handshake")["bearer"], "expected");
  EXPECT_EQ(model().count("sent", "type", "input_audio_buffer.speech_started"), 1u) << "the caller's tone, no more and no less";

  const json event = completed();
  EXPECT_EQ(event["ended_by"], "caller");
  EXPECT_EQ(event["from"], "+14155550123");
  EXPECT_EQ(event["to"], "+14155550100");
  EXPECT_EQ(event["model"], "gpt-realtime");
  EXPECT_GE(event["frames"]["in"], 100);
  EXPECT_EQ(event["frames"]["dropped"], 0);
  ASSERT_EQ(event["turns"].size(), 3u) << event;
  EXPECT_EQ(event["turns"][0]["role"], "assistant");
  EXPECT_EQ(event["turns"][1]["text"], "I would like a table.");
  EXPECT_EQ(event["turns"][2]["role"], "assistant");
  EXPECT_GT(event["usage"]["output_audio_tokens"], 0);
  EXPECT_GT(event["cost"]["amount"], 0.0);
  EXPECT_EQ(gateway().store().rows("SELECT value FROM record WHERE collection = 'calls' AND key = ?", {call_sid_}).size(), 1u);
}

class VoiceCallIn : public VoiceCall, public ::testing::WithParamInterface<const char*> {};

INSTANTIATE_TEST_SUITE_P(Format, VoiceCallIn, ::testing::Values("pcmu", "pcm"), [](const auto& info) { return std::string(info.param); });

TEST_P(VoiceCallIn, AnInterruptionClearsAndTruncatesToWhatWasHeard) {
  start({{"responses", {tone(8'000), tone(200)}}}, {{"audio", GetParam()}});
  auto caller = dial({"heard:1000", "tone:440:400", "heard:150", "quiet:200"});
  EXPECT_EQ(caller->status(), 0);
  const json clear = caller->journal().one("clear_received");
  ASSERT_FALSE(clear.is_null());
  EXPECT_GE(clear["dropped_ms"], 4'000);
  EXPECT_THAT(model().one("client", "type", "session.update").dump(), HasSubstr(std::string("\"audio/") + GetParam() + "\""));
  const json truncated = model().one("sent", "type", "conversation.item.truncated");
  ASSERT_FALSE(truncated.is_null());
  const auto deltas = model().all("sent", "item_id", truncated["item_id"]);
  const int heard_ms = truncated["audio_end_ms"];
  EXPECT_THAT(heard_ms, AllOf(Ge(1'000), Le(2'000))) << "a second, and what it took to hear the caller";
  int generated_ms = 0;
  for (const json& line : deltas) generated_ms = std::max(generated_ms, line.value("generated_ms", 0));
  EXPECT_NEAR(generated_ms - heard_ms, clear["dropped_ms"].get<int>(), 250) << "what was not heard is what Twilio has dropped";
  const json event = completed();
  EXPECT_EQ(event["interruptions"], 1);
  EXPECT_EQ(event["turns"][0]["interrupted"], true) << event["turns"];
}

TEST_F(VoiceCall, KeysAreToldToTheModelAsOneEntry) {
  start({{"responses", {tone(200), tone(200)}}});
  auto caller = dial({"heard:100", "quiet:200", "dtmf:42#", "heard:100", "quiet:200"});
  EXPECT_EQ(caller->status(), 0);
  const json told = model().one("client", "type", "conversation.item.create");
  EXPECT_THAT(told.dump(), HasSubstr("keys of the phone: 42#"));
  EXPECT_EQ(completed()["turns"][1]["text"], "[keys] 42#");
}

TEST_F(VoiceCall, AForgedOrMissingSignatureIsRefusedBeforeAnything) {
  start(json::object());
  const std::vector<std::vector<std::string>> forged = {{"--no-signature"},
                                                        {"--signature", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="},
                                                        {"--auth-token", "another"},
                                                        {"--signed-url", "wss://hooks.postern.test/api/v1/elsewhere"}};
  for (const auto& options : forged) {
    auto caller = dial({"silence:500"}, options);
    EXPECT_EQ(caller->status(), 3) << options[0];
    EXPECT_EQ(caller->journal().one("refused")["status"], 401) << options[0];
  }
  EXPECT_EQ(model().count("handshake"), 0u) << "no model is paid for that";
  expect_a_good_call(new_call_sid());
}

TEST_F(VoiceCall, WithoutATokenNoModelIsCalled) {
  start(json::object(), {{"media_streams", {{"token", "required"}}}});
  const std::string other = new_call_sid(), for_other = token_of_twiml(other);
  ASSERT_NE(for_other, "");
  const std::vector<std::vector<std::string>> wrong = {
      {}, {"--parameter", "token=1795276251000x00x00"}, {"--parameter", "token=" + for_other}};
  for (const auto& options : wrong) {
    auto caller = dial({"silence:3000"}, options);
    EXPECT_EQ(caller->status(), 0);
    const json closed = caller->journal().one("closed");
    EXPECT_EQ(closed["by"], "server");
    EXPECT_EQ(closed["code"], 1008);
  }
  EXPECT_EQ(model().count("handshake"), 0u);
  EXPECT_EQ(gateway().store().number("SELECT count(*) FROM event WHERE type = 'voice.call.completed'"), 0);
}

TEST_F(VoiceCall, TheTokenOfTheTwimlIsTakenOnce) {
  start(json::object(), {{"media_streams", {{"token", "required"}}}});
  const std::string token = token_of_twiml(call_sid_);
  ASSERT_NE(token, "");
  auto caller = dial({"heard:300"}, {"--parameter", "token=" + token});
  EXPECT_EQ(caller->status(), 0);
  EXPECT_EQ(completed()["ended_by"], "caller");
  auto again = dial({"silence:3000"}, {"--parameter", "token=" + token});
  again->status();
  EXPECT_EQ(again->journal().one("closed")["code"], 1008);
  EXPECT_EQ(model().count("handshake"), 1u);

  const std::string second = token_of_twiml(call_sid_);
  auto by_path = dial({"heard:300"}, {}, "/api/calls/" + second + "/ws/twilio-media");
  EXPECT_EQ(by_path->status(), 0);
  EXPECT_EQ(by_path->journal().one("closed")["code"], 1000) << "a token in the path is as good";
  const std::string shown = gateway().command({"events", "list", "--json"}).out + gateway().log();
  EXPECT_THAT(shown, Not(HasSubstr(second)));
}

TEST_F(VoiceCall, TwoAtOnceAreKeptApart) {
  start({{"responses", {tone(800), tone(300)}}, {"transcripts", {"Something."}}});
  const std::string other = new_call_sid();
  auto first = dial({"heard:600", "quiet:200", "tone:440:300", "heard:200", "quiet:200"}, {"--parameter", "From=+1"});
  auto second = dial({"heard:500"}, {"--parameter", "From=+2", "--stream-sid", "MZ00000000000000000000000000000002"}, kMediaStream, other);
  ASSERT_TRUE(eventually(kSoon, [&] { return first->journal().count("media_received") > 0; }));
  auto intruder = dial({"silence:3000"}, {"--stream-sid", "MZ00000000000000000000000000000003"});
  EXPECT_EQ(first->status(), 0);
  EXPECT_EQ(second->status(), 0);
  intruder->status();
  EXPECT_EQ(intruder->journal().one("closed")["code"], 1008) << "a second stream for the first call";
  EXPECT_EQ(completed(call_sid_)["from"], "+1");
  EXPECT_EQ(completed(call_sid_)["turns"].size(), 3u);
  EXPECT_EQ(completed(other)["from"], "+2");
  EXPECT_EQ(completed(other)["turns"].size(), 1u);
  EXPECT_EQ(model().count("handshake"), 2u);
}

TEST_F(VoiceCall, AToolWhoseEndpointFailsFirstHasItsEffectOnce) {
  Standin calendar("calendar_server.py", folder_ + "/calendar.jsonl", {"--fail-first", "1"});
  const json tool = {{"name", "book"}, {"url", "http://127.0.0.1:" + std::to_string(calendar.port()) + "/book"}, {"deadline", "10s"}};
  const json book = {{"call", {{"name", "book"}, {"arguments", {{"day", "Monday"}}}, {"call_id", "call_1"}}}};
  const json hang_up = {{"call", {{"name", "end_call"}, {"arguments", json::object()}}}};
  start({{"responses", {book, {tone(400), hang_up}}}}, {{"tools", {tool}}});
  auto caller = dial({"silence:30000"});
  EXPECT_EQ(caller->status(), 0);
  EXPECT_EQ(caller->journal().one("closed")["code"], 1000);
  EXPECT_GE(caller->journal().one("summary")["heard_ms"], 400) << "it hangs up when the goodbye has been heard";
  const Journal done = calendar.journal();
  EXPECT_EQ(done.count("booking"), 1u);
  EXPECT_EQ(done.count("failing"), 1u);
  EXPECT_EQ(done.count("repeated"), 1u) << "with the same idempotency key";
  EXPECT_EQ(done.count("refused"), 0u);
  const auto items = model().all("client", "type", "conversation.item.create");
  ASSERT_THAT(items, SizeIs(1));
  EXPECT_EQ(items[0]["item"]["call_id"], "call_1");
  const json output = json::parse(items[0]["item"]["output"].get<std::string>(), nullptr, false);
  EXPECT_EQ(output["booked"], true) << items[0];
  EXPECT_EQ(output["day"], "Monday");
  const json event = completed();
  EXPECT_EQ(event["ended_by"], "model");
  EXPECT_EQ(event["tools"][0]["outcome"], "done") << event["tools"];
  EXPECT_EQ(gateway().store().state_of(call_sid_ + ":tool:call_1"), "done");
}

// The key goes over this connection.
TEST_F(VoiceCall, TheModelsCertificateIsChecked) {
  TlsMaterial material;
  const auto authority = material.authority("authority");
  const auto right = material.pair(authority, "right", "DNS:localhost"), wrong = material.pair(authority, "wrong", "DNS:model.test");
  auto start_with = [&](const TlsMaterial::Pair& pair, const json& config) {
    gateway_.reset();
    start_model(json::object(), {"--tls", pair.certificate, pair.key});
    start_gateway("wss://localhost:" + std::to_string(model_->port()) + "/v1/realtime", config);
  };
  start_with(right, {{"ca_file", authority.file}});
  expect_a_good_call(new_call_sid());

  struct Refused {
    TlsMaterial::Pair pair;
    json config;
    std::string why;
  };
  const Refused refused[] = {{wrong, {{"ca_file", authority.file}}, "TLS: hostname mismatch"},
                             {right, json::object(), "TLS: unable to get local issuer certificate"}};
  for (const auto& [pair, config, why] : refused) {
    start_with(pair, config);
    auto caller = dial({"silence:5000"});
    caller->status();
    EXPECT_EQ(caller->journal().one("closed")["code"], 1011);
    EXPECT_EQ(completed()["ended_by"], "fallback");
    EXPECT_EQ(model().count("handshake"), 0u) << "the key was told to nobody";
    EXPECT_TRUE(gateway().logs(why)) << gateway().log();
  }
}

}  // namespace
}  // namespace postern::testing
