// Calls whose model fails, and what a stop, a kill or a reload of the gateway does to them. The caller is never left in silence for long.
#include <csignal>

#include "tests/integration/voice_call.h"
#include "tests/support/upstream_server.h"

namespace postern::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr const char* kFallback = "<Response><Say>Please call again.</Say></Response>";
constexpr const char* kAccount = "AC0123456789abcdef0123456789abcdef";
constexpr int kDeadAirMs = POSTERN_CHECK_BARS ? 2'000 : 8'000;  // under the sanitizers everything takes longer

class VoiceFaults : public VoiceCallTest {
 protected:
  static json with_fallback() { return {{"fallback", kFallback}}; }
  std::string twilio_api() const {
    return std::string("auth_tokens: [") + kToken + "], account_sid: " + kAccount + ", api_url: \"" + api_.url() + "\"";
  }
  // Milliseconds from the start of the stream, or from a line of the caller's journal, until the gateway has closed it.
  static int ended_after(const Journal& caller, int since_ms = -1) {
    const json closed = caller.one("closed"), start = caller.one("start");
    if (closed.is_null() || start.is_null() || closed["by"] != "server") return -1;
    const int since = since_ms < 0 ? static_cast<int>(start["ms"].get<double>()) : since_ms;
    return static_cast<int>(closed["ms"].get<double>()) - since;
  }
  // The caller's clock of a line of the model's.
  static int at_caller(const Journal& caller, const json& line) {
    return static_cast<int>(line["ms"].get<double>() - caller.one("begin")["monotonic_ms"].get<double>());
  }
  std::string health() { return json_of(gateway().request("GET", "/api/health/")).value("overall_status", ""); }
  json status() { return json::parse(gateway().command({"status", "--json"}).out, nullptr, false); }
  void wait_for_audio(const Standin& caller) {
    ASSERT_TRUE(eventually(kSoon, [&] { return caller.journal().count("media_received") > 0; })) << gateway().log();
  }

  // Twilio's REST API: takes all.
  UpstreamServer api_{[](Conversation& c) { c.answer(200, R"({"sid":"CA","status":"in-progress"})"); }};
};

// Twilio is told what to say instead; where it does not, the stream ends and the call goes on behind <Connect>.
TEST_F(VoiceFaults, AModelThatRefusesOrHangsIsReplacedByTheFallback) {
  for (const json& how : {json{{"refuse", 401}}, json{{"refuse", 429}}, json{{"hang", true}}, json{{"drop", true}}, json{{"close", 1013}}}) {
    const std::string sid = new_call_sid();
    gateway_.reset();
    start({{"on_connect", how}}, with_fallback(), twilio_api());
    const size_t asked_before = api_.requests().size();
    auto caller = dial({"silence:8000"}, {}, kMediaStream, sid);
    ASSERT_TRUE(eventually(kSoon, [&] { return api_.requests().size() > asked_before; })) << how << gateway().log();
    EXPECT_LT(caller->journal().lines.back()["ms"].get<double>() - caller->journal().one("start")["ms"].get<double>(), kDeadAirMs) << how;
    EXPECT_EQ(caller->status(), 0) << how;
    const Journal journal = caller->journal();
    EXPECT_EQ(journal.one("closed")["code"], 1011) << how;
    EXPECT_LT(ended_after(journal), kDeadAirMs + 700) << how;
    EXPECT_THAT(api_.requests().back().target, HasSubstr("/Calls/" + sid + ".json"));
    EXPECT_THAT(api_.requests().back().body, HasSubstr("Please"));
    const json event = completed(sid);
    EXPECT_EQ(event["ended_by"], "fallback") << how;
    EXPECT_EQ(health(), "healthy");
  }
  EXPECT_THAT(api_.requests(), SizeIs(5)) << "once for each";
}

TEST_F(VoiceFaults, AModelThatIsLostIsCalledOnceMoreAndToldWhatWasSaid) {
  for (const json& how : {json{{"close", 1011}}, json{{"drop", true}}, json{{"garbage", {{"huge", 2'000'000}}}},
                          json{{"garbage", {{"raw", "//////////8="}}}}}) {
    const std::string sid = new_call_sid();
    gateway_.reset();
    start({{"responses", {tone(400)}}, {"timers", {after(1'000, how)}}, {"renewals", {{{"responses", {tone(600)}}}}}}, with_fallback());
    auto caller = dial({"heard:300", "silence:1500", "tone:440:300", "heard:400", "quiet:200"}, {}, kMediaStream, sid);
    EXPECT_EQ(caller->status(), 0) << how;
    EXPECT_EQ(caller->journal().one("closed")["code"], 1000) << how;
    const auto handshakes = model().all("handshake");
    ASSERT_THAT(handshakes, SizeIs(2)) << how;
    EXPECT_LT(handshakes[1]["ms"].get<double>() - model().all("scripted")[0]["ms"].get<double>(), kDeadAirMs) << how;
    const json heard = model().one("sent", "type", "input_audio_buffer.speech_started");
    EXPECT_EQ(heard.value("connection", 0), 2) << how;
    const auto items = model().all("client", "type", "conversation.item.create");
    ASSERT_THAT(items, SizeIs(1)) << how;
    EXPECT_EQ(items[0]["item"]["role"], "assistant") << "what it had said";
    const json event = completed(sid);
    EXPECT_EQ(event["model_sessions"], 2) << how;
    EXPECT_EQ(event["ended_by"], "caller") << how;
  }
}

// The caller still hears what the lost one has said, and interrupts that: the next one knows no such item.
TEST_F(VoiceFaults, AModelThatIsLostWhileItSpeaksIsFollowedByOneThatSpeaks) {
  start({{"responses", {tone(8'000)}}, {"timers", {after(700, {{"drop", true}})}}, {"renewals", {{{"responses", {tone(600), tone(300)}}}}}},
        with_fallback());
  auto caller = dial({"heard:1500", "tone:440:400", "heard:200", "quiet:200"});
  EXPECT_EQ(caller->status(), 0);
  const auto asked = model().all("client", "type", "response.create");
  ASSERT_THAT(asked, SizeIs(2));
  EXPECT_EQ(asked[1]["connection"], 2) << "it greets in place of the one before";
  EXPECT_EQ(caller->journal().count("clear_received"), 1u);
  EXPECT_EQ(completed()["ended_by"], "caller");
}

TEST_F(VoiceFaults, AModelThatIsLostTwiceIsGivenUp) {
  const json drops = json::array({after(500, {{"drop", true}})});
  start({{"responses", {tone(5'000)}}, {"timers", drops}, {"renewals", {{{"timers", drops}}}}}, with_fallback(), twilio_api());
  auto caller = dial({"silence:10000"});
  EXPECT_EQ(caller->status(), 0);
  const Journal journal = caller->journal();
  EXPECT_EQ(journal.one("closed")["code"], 1011);
  const auto drop = model().all("scripted");
  ASSERT_THAT(drop, SizeIs(2));
  EXPECT_LT(ended_after(journal, at_caller(journal, drop[1])), kDeadAirMs);
  EXPECT_THAT(api_.requests(), SizeIs(1));
  EXPECT_EQ(completed()["ended_by"], "fallback");
  EXPECT_EQ(health(), "healthy");
}

TEST_F(VoiceFaults, GarbageInBetweenIsLeftOut) {
  const json garbage = {{{"garbage", "{"}}, {{"garbage", "[1]"}}, {{"garbage", {{"binary", 1'000}}}},
                        {{"event", {{"type", "surprise"}}}}, {{"error", "server_error"}}};
  json response = garbage;
  response.push_back(tone(500));
  start({{"responses", {response}}});
  auto caller = dial({"heard:450", "quiet:200"});
  EXPECT_EQ(caller->status(), 0);
  EXPECT_EQ(model().count("handshake"), 1u) << "the session goes on";
  EXPECT_EQ(completed()["ended_by"], "caller");
  EXPECT_TRUE(gateway().logs("the model sent a message that is no event; it is left out"));
}

// Ten minutes of audio at once, to a caller who reads nothing for a while, and then interrupts.
TEST_F(VoiceFaults, AFloodIsHeldBackAndCanBeInterrupted) {
  start({{"responses", {{{"flood_ms", 600'000}}, tone(300)}}});
  const size_t before = gateway().process().rss();
  auto caller = dial({"deaf:1500", "silence:2500", "heard:300", "tone:440:400", "heard:200", "quiet:200"});
  ASSERT_TRUE(eventually(kSoon, [&] { return caller->journal().count("clear_received") == 1; })) << gateway().log();
  EXPECT_EQ(health(), "healthy");
  EXPECT_EQ(caller->status(), 0);
  EXPECT_GE(caller->journal().one("clear_received")["dropped_ms"], 300'000);
  EXPECT_EQ(model().count("sent", "type", "conversation.item.truncated"), 1u);
  if (POSTERN_CHECK_BARS) {
    EXPECT_LT(gateway().process().rss(), before + (64u << 20));
  }
  EXPECT_EQ(completed()["interruptions"], 1);
  expect_a_good_call(new_call_sid());
}

TEST_F(VoiceFaults, AReloadLeavesACallAlone) {
  start({{"responses", {tone(2'500), tone(400)}}});
  auto caller = dial({"heard:2300", "quiet:200", "tone:440:300", "heard:300", "quiet:200"});
  wait_for_audio(*caller);
  std::string yaml = gateway().config();
  const std::string old = "Greet the caller.";
  gateway().write_config(yaml.replace(yaml.find(old), old.size(), "Say hello."));
  gateway().process().send_signal(SIGHUP);
  ASSERT_TRUE(eventually(kSoon, [&] { return status()["reload"]["generation"] == 2; })) << gateway().log();
  ASSERT_EQ(caller->journal().count("closed"), 0u) << "too slow: the call is over";
  EXPECT_EQ(status()["sessions"]["openai_realtime"], 2) << "the caller's and the model's, of an instance that ends";
  auto next = dial({"heard:300"}, {}, kMediaStream, new_call_sid());
  EXPECT_EQ(caller->status(), 0);
  EXPECT_EQ(next->status(), 0);
  EXPECT_EQ(completed()["ended_by"], "caller");
  EXPECT_EQ(completed()["turns"].size(), 3u) << "its second turn came after the reload";
  const auto greetings = model().all("client", "type", "response.create");
  ASSERT_THAT(greetings, SizeIs(2));
  EXPECT_THAT(greetings[0].dump(), HasSubstr(old));
  EXPECT_THAT(greetings[1].dump(), HasSubstr("Say hello."));
  EXPECT_TRUE(eventually(kSoon, [&] { return status()["reload"]["generations"].size() == 1; })) << "the old plugin goes with its call";
  EXPECT_TRUE(eventually(kSoon, [&] { return status()["sessions"].value("openai_realtime", 0) == 0; }));
}

TEST_F(VoiceFaults, TheHealthCheckOpensASessionWhereItMay) {
  const auto health_of = [&] { return json_of(gateway().request("GET", "/api/health/openai-realtime"))["integrations"]["openai_realtime"]["status"]; };
  start(json::object());
  EXPECT_TRUE(eventually(kSoon, [&] { return health_of() == "configured"; }));
  EXPECT_EQ(model().count("handshake"), 0u);
  start(json::object(), {{"health", {{"connect", true}}}});
  EXPECT_TRUE(eventually(kSoon, [&] { return health_of() == "healthy"; }));
  EXPECT_GE(model().count("handshake"), 1u);
  start({{"on_connect", {{"refuse", 401}}}}, {{"health", {{"connect", true}}}});
  EXPECT_TRUE(eventually(kSoon, [&] { return health_of() == "unhealthy"; }));
}

TEST_F(VoiceFaults, AStopEndsCallsInOrderAndKeepsTheirEvents) {
  start({{"responses", {tone(8'000)}}});
  auto caller = dial({"silence:20000"});
  wait_for_audio(*caller);
  EXPECT_EQ(gateway().stop().code, 0) << gateway().log();
  EXPECT_EQ(caller->status(), 0);
  const json closed = caller->journal().one("closed");
  EXPECT_EQ(closed["by"], "server");
  EXPECT_EQ(closed["code"], 1001);
  ASSERT_TRUE(eventually(kSoon, [&] { return model().count("close") == 1; }));
  EXPECT_EQ(model().one("close")["by"], "client");
  EXPECT_EQ(gateway().store().number("SELECT count(*) FROM event WHERE type = 'voice.call.completed'"), 1) << "before the gateway has gone";
  gateway().start();
  EXPECT_EQ(completed()["ended_by"], "gateway");
}

TEST_F(VoiceFaults, AKillLeavesNothingStuck) {
  start({{"responses", {tone(8'000)}}});
  auto caller = dial({"silence:20000"});
  wait_for_audio(*caller);
  gateway().kill();
  EXPECT_EQ(caller->status(), 0);
  EXPECT_EQ(caller->journal().one("closed")["code"], 1006);
  EXPECT_TRUE(eventually(kSoon, [&] { return model().count("close") == 1; })) << "the model's session ends with it";
  gateway().start();
  EXPECT_EQ(gateway().store().unsettled(), 0);
  expect_a_good_call(call_sid_);
  EXPECT_EQ(health(), "healthy");
}

}  // namespace
}  // namespace postern::testing
