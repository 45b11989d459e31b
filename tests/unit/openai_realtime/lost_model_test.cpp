// A model's session that is lost, replaced or slow in the middle of something: whoever was to be answered still is.
#include "voice_host.h"

namespace voice_test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

json config_with(const json& more = json::object()) {
  json config = base_config();
  config["fallback"] = "<Response><Say>Please call again later.</Say></Response>";
  config.merge_patch(more);
  return config;
}

class LostModel : public VoiceTest {
 protected:
  // The session in use breaks off, and the next one is there.
  void lose_model() {
    host_->end(model_, {.code = 1006, .by_peer = false});
    ASSERT_THAT(host_->sessions(), SizeIs(model_ + 1));
    model_ += 1;
    host_->open(model_);
    model({{"type", "session.updated"}, {"session", json::object()}});
  }
  void end_call(const std::string& response = "resp_1") {
    model({{"type", "response.output_item.done"}, {"response_id", response}, {"item", {{"type", "function_call"}, {"name", "end_call"}, {"call_id", "call_1"}, {"arguments", "{}"}}}});
  }
};

// Two seconds without a word are the most, and Twilio needs some of them for the fallback.
TEST_F(LostModel, OneThatFellSilentHasTakenItsTimeAlready) {
  begin_call(config_with());
  host_->end(model_, {.code = 1006, .by_peer = false, .reason = POSTERN_REASON_SILENT});
  EXPECT_EQ(session(model_ + 1).connect_ms, 300u);
  host_->open(model_ + 1);
  host_->pass(milliseconds(310));
  EXPECT_THAT(published("voice.call.fallback"), SizeIs(1)) << "it is there, but not set up";
}

TEST_F(LostModel, OneThatBrokeOffLeavesMoreForTheNext) {
  begin_call(config_with({{"connect_timeout", "5s"}}));
  host_->end(model_, {.code = 1006, .by_peer = false, .reason = "connection reset by peer"});
  EXPECT_EQ(session(model_ + 1).connect_ms, 1'300u);
}

TEST_F(LostModel, BeforeItHasGreetedTheNextOneDoes) {
  begin_call(config_with({{"greeting", "Say hello."}}));
  EXPECT_THAT(from_model(), SizeIs(1));
  response_created();
  lose_model();
  auto told = from_model();
  ASSERT_THAT(told, SizeIs(2));
  EXPECT_EQ(told[1]["response"]["instructions"], "Say hello.");
  response_created("resp_2");
  response_done("resp_2");
  host_->pass(std::chrono::minutes(1));
  EXPECT_THAT(from_model(), IsEmpty());
}

TEST_F(LostModel, WhileItSpokeTheNextOneGoesOn) {
  begin_call(config_with());
  model({{"type", "conversation.item.input_audio_transcription.completed"}, {"item_id", "item_u"}, {"transcript", "A table, please."}});
  response_created();
  delta("item_1");
  lose_model();
  auto told = from_model();
  ASSERT_THAT(told, SizeIs(3));
  EXPECT_EQ(told[1]["item"]["role"], "user");
  EXPECT_EQ(told[2]["type"], "response.create") << "else nobody speaks until the caller does";
}

TEST_F(LostModel, AfterTheCallersTurnTheNextOneAnswers) {
  begin_call(config_with());
  speech_started();
  model({{"type", "input_audio_buffer.speech_stopped"}, {"audio_end_ms", 900}, {"item_id", "item_user"}});
  lose_model();
  EXPECT_EQ(from_model().back()["type"], "response.create");
}

TEST_F(LostModel, InSilenceNobodyIsAskedToSpeak) {
  begin_call(config_with());
  response_created();
  response_done();
  lose_model();
  EXPECT_THAT(from_model(), SizeIs(1)) << "session.update alone";
}

// The next session knows nothing of the items that the caller still hears.
TEST_F(LostModel, ItsItemsAreNotTruncatedInTheNext) {
  begin_call(config_with());
  delta("item_1", 100);
  lose_model();
  from_model();
  to_caller();
  speech_started();
  EXPECT_EQ(to_caller().at(0)["event"], "clear");
  EXPECT_THAT(from_model(), IsEmpty());
}

TEST_F(LostModel, WhileItWasHeldBackTheNextOneIsAsWell) {
  begin_call(config_with());
  host_->set_buffered(caller_, 2 << 20);
  delta("item_1");
  ASSERT_TRUE(session(model_).paused);
  lose_model();
  EXPECT_TRUE(session(model_).paused);
}

TEST_F(LostModel, KeysThatWerePressedMeanwhileAreToldToTheNext) {
  start(config_with());
  caller_ = open_stream();
  host_->receive(caller_, start_message().dump());
  for (const char* digit : {"4", "#"}) caller({{"event", "dtmf"}, {"streamSid", kStream}, {"dtmf", {{"track", "inbound_track"}, {"digit", digit}}}});
  model_ = 2;
  host_->open(model_);
  model({{"type", "session.updated"}, {"session", json::object()}});
  host_->pass(milliseconds(400));
  const auto told = from_model();
  ASSERT_THAT(told, SizeIs(3));
  EXPECT_THAT(told[1].dump(), HasSubstr("4#"));
  EXPECT_EQ(told[2]["type"], "response.create");
}

TEST_F(LostModel, OneThatIsThereAndSaysNothingIsReplacedByTheFallback) {
  start(config_with());
  caller_ = open_stream();
  host_->receive(caller_, start_message().dump());
  model_ = 2;
  host_->open(model_);
  model({{"type", "session.created"}, {"session", json::object()}});
  host_->pass(milliseconds(1'200));
  EXPECT_THAT(published("voice.call.fallback"), SizeIs(1)) << "its session was never set up";
  EXPECT_TRUE(closed(model_));
}

TEST_F(LostModel, WhoEndsTheCallNeedNotEndTheResponse) {
  begin_call();
  response_created();
  end_call();
  host_->pass(milliseconds(30'100));
  ASSERT_TRUE(closed(caller_)) << "at the latest after 30 seconds";
  host_->end(caller_);
  EXPECT_EQ(published("voice.call.completed").at(0)["ended_by"], "model");
}

TEST_F(LostModel, WhoHasEndedTheCallIsNotCalledAgain) {
  begin_call(config_with());
  response_created();
  end_call();
  host_->end(model_, {.code = 1006, .by_peer = false});
  EXPECT_THAT(host_->sessions(), SizeIs(2));
  EXPECT_TRUE(closed(caller_));
  EXPECT_THAT(published("voice.call.fallback"), IsEmpty());
}

// The caller's closing frame may be five seconds away.
TEST_F(LostModel, AfterTheStreamHasStoppedNothingIsAskedForAnyMore) {
  begin_call(config_with());
  caller({{"event", "stop"}, {"streamSid", kStream}, {"stop", {{"callSid", kCall}}}});
  EXPECT_TRUE(closed(model_)) << "nobody listens";
  host_->end(model_, {.code = 1000});
  EXPECT_THAT(host_->sessions(), SizeIs(2));
  EXPECT_THAT(published("voice.call.fallback"), IsEmpty());
  host_->end(caller_);
  EXPECT_EQ(published("voice.call.completed").at(0)["ended_by"], "caller");
}

// From the moment that the next session is called to the one that it is there, somebody may begin to speak.
TEST_F(LostModel, ASessionIsNotReplacedWhileSomebodySpeaks) {
  begin_call(config_with({{"renew_after", "10m"}}));
  host_->pass(std::chrono::minutes(10));
  ASSERT_THAT(host_->sessions(), SizeIs(3));
  speech_started();
  host_->open(3);
  EXPECT_FALSE(closed(2));
  EXPECT_TRUE(closed(3));
  host_->end(3);
  model({{"type", "input_audio_buffer.speech_stopped"}, {"audio_end_ms", 900}, {"item_id", "item_user"}});
  host_->pass(milliseconds(1'100));
  EXPECT_THAT(host_->sessions(), SizeIs(3)) << "nor while the caller waits for an answer";
  response_created();
  response_done();
  host_->pass(milliseconds(1'100));
  ASSERT_THAT(host_->sessions(), SizeIs(4));
  host_->open(4);
  EXPECT_TRUE(closed(2));
}

}  // namespace
}  // namespace voice_test
