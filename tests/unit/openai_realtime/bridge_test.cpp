// A call with the model: audio both ways, as it is.
#include "voice_host.h"

namespace voice_test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Bridge : public VoiceTest {};

TEST_F(Bridge, CallsTheModelWhenTheStreamStarts) {
  json config = base_config();
  config["organization"] = "org-1";
  start(config);
  caller_ = open_stream();
  EXPECT_THAT(host_->sessions(), SizeIs(1)) << "not before start";
  host_->receive(caller_, start_message().dump());
  ASSERT_THAT(host_->sessions(), SizeIs(2));
  const SessionView view = session(2);
  EXPECT_EQ(view.url, "wss://api.openai.com/v1/realtime?model=gpt-realtime");
  EXPECT_EQ(view.beside, 1u) << "on the caller's thread";
  EXPECT_THAT(view.headers, ::testing::ElementsAre(std::pair<std::string, std::string>("Authorization", std::string("Bearer ") + kKey),
                                                   std::pair<std::string, std::string>("OpenAI-Organization", "org-1")))
      << "and no OpenAI-Beta";
}

TEST_F(Bridge, AsksForASessionInTheGaShape) {
  json config = base_config();
  config["session"]["turn_detection"] = {{"type", "server_vad"}, {"silence_duration_ms", 300}};
  config["session"]["transcription"] = {{"model", "whisper-1"}};
  config["session"]["noise_reduction"] = "near_field";
  config["session"]["speed"] = 1.1;
  config["model_may_end_call"] = false;
  begin_call(config);
  ASSERT_THAT(hears_first_, SizeIs(1));
  json update = hears_first_[0];
  EXPECT_EQ(update["type"], "session.update");
  EXPECT_EQ(update["session"], json::parse(R"({"type":"realtime","instructions":"Be brief.","output_modalities":["audio"],
      "audio":{"input":{"format":{"type":"audio/pcmu"},"transcription":{"model":"whisper-1"},"noise_reduction":{"type":"near_field"},
                        "turn_detection":{"type":"server_vad","silence_duration_ms":300}},
               "output":{"format":{"type":"audio/pcmu"},"voice":"marin","speed":1.1}}})"));
}

TEST_F(Bridge, ParametersOfTheStreamOverride) {
  begin_call(base_config(), {{"model", "gpt-realtime mini"}, {"voice", "cedar"}, {"instructions", "Speak \"Latin\"."}, {"other", "ignored"}});
  EXPECT_EQ(session(2).url, "wss://api.openai.com/v1/realtime?model=gpt-realtime%20mini");
  EXPECT_EQ(hears_first_[0]["session"]["audio"]["output"]["voice"], "cedar");
  EXPECT_EQ(hears_first_[0]["session"]["instructions"], "Speak \"Latin\".");
}

TEST_F(Bridge, PassesAudioOnAsItIs) {
  begin_call();
  media(20);
  auto told = from_model();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0], (json{{"type", "input_audio_buffer.append"}, {"audio", frame()}}));
  delta("item_1");
  auto heard = to_caller();
  ASSERT_THAT(heard, SizeIs(2));
  EXPECT_EQ(heard[0], (json{{"event", "media"}, {"streamSid", kStream}, {"media", {{"payload", frame()}}}}));
  EXPECT_EQ(heard[1]["event"], "mark");
  EXPECT_EQ(heard[1]["streamSid"], kStream);
  EXPECT_FALSE(heard[1]["mark"]["name"].get<std::string>().empty());
}

TEST_F(Bridge, KnowsWhatMayBeDropped) {
  begin_call();
  host_->receive(caller_, R"({"event":"media","streamSid":")" + std::string(kStream) + R"(","media":{"track":"inbound","timestamp":20,"payload":")" + frame() + R"("}})");
  auto told = host_->take_sent(model_);
  ASSERT_THAT(told, SizeIs(1)) << "numbers are taken as well as strings";
  EXPECT_TRUE(told[0].media) << "audio towards the model";
  delta("item_1");
  auto heard = host_->take_sent(caller_);
  ASSERT_THAT(heard, SizeIs(2));
  EXPECT_FALSE(heard[1].media) << "a mark never";
}

TEST_F(Bridge, KeepsTheLastTwoSecondsUntilTheModelIsThere) {
  start();
  caller_ = open_stream();
  host_->receive(caller_, start_message().dump());
  for (int i = 1; i <= 130; ++i) media(i * 20, encode(std::string(3, static_cast<char>(i))));
  model_ = 2;
  host_->open(model_);
  auto told = from_model();
  ASSERT_THAT(told, SizeIs(101)) << "session.update and 100 frames";
  EXPECT_EQ(told[0]["type"], "session.update");
  EXPECT_EQ(told[1]["audio"], encode(std::string(3, static_cast<char>(31)))) << "the oldest went";
  EXPECT_EQ(told[100]["audio"], encode(std::string(3, static_cast<char>(130))));
}

TEST_F(Bridge, GreetsOnceTheSessionIsSetUp) {
  json config = base_config();
  config["greeting"] = "Say hello to the caller.";
  begin_call(config);
  auto told = from_model();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0]["type"], "response.create");
  EXPECT_EQ(told[0]["response"]["instructions"], "Say hello to the caller.");
  model({{"type", "session.updated"}, {"session", json::object()}});
  EXPECT_THAT(from_model(), IsEmpty()) << "once";
}

TEST_F(Bridge, ReadsNothingFromTheModelWhileTheCallerTakesNothing) {
  begin_call();
  host_->set_buffered(caller_, 2 << 20);
  delta("item_1");
  EXPECT_TRUE(session(model_).paused);
  EXPECT_THAT(to_caller(), SizeIs(2)) << "what was read goes on";
  host_->set_buffered(caller_, 0);
  host_->writable(caller_);
  EXPECT_FALSE(session(model_).paused);
}

TEST_F(Bridge, TellsTheModelWhichKeysWerePressed) {
  begin_call();
  auto press = [&](const char* digit) { caller({{"event", "dtmf"}, {"streamSid", kStream}, {"sequenceNumber", "5"}, {"dtmf", {{"track", "inbound_track"}, {"digit", digit}}}}); };
  press("1");
  press("2");
  EXPECT_THAT(from_model(), IsEmpty()) << "more may come";
  host_->pass(milliseconds(1'600));
  auto told = from_model();
  ASSERT_THAT(told, SizeIs(2));
  EXPECT_EQ(told[0]["item"]["role"], "user");
  EXPECT_THAT(told[0]["item"]["content"][0]["text"].get<std::string>(), HasSubstr("12"));
  EXPECT_EQ(told[0]["item"]["content"][0]["type"], "input_text");
  EXPECT_EQ(told[1]["type"], "response.create");
  response_created();
  press("3");
  press("#");
  told = from_model();
  ASSERT_THAT(told, SizeIs(1)) << "one response at a time";
  response_done();
  EXPECT_EQ(from_model().at(0)["type"], "response.create");
}

TEST_F(Bridge, EndsWithTheStream) {
  begin_call();
  caller({{"event", "stop"}, {"sequenceNumber", "9"}, {"streamSid", kStream}, {"stop", {{"callSid", kCall}}}});
  EXPECT_TRUE(closed(caller_));
  host_->end(caller_);
  ASSERT_TRUE(closed(model_));
  EXPECT_EQ(session(model_).closed->code, 1000u);
  host_->end(model_);
  auto events = published("voice.call.completed");
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0]["ended_by"], "caller");
  EXPECT_EQ(events[0]["call_sid"], kCall);
}

TEST_F(Bridge, EndsWhenTheCallerIsCutOff) {
  begin_call();
  host_->end(caller_, {.code = 1006, .by_peer = false});
  EXPECT_TRUE(closed(model_));
  EXPECT_EQ(published("voice.call.completed").at(0)["ended_by"], "caller");
  EXPECT_EQ(host_->metric("calls_total", {"caller"}).value, 1);
}

TEST_F(Bridge, TwoCallsAreTwo) {
  begin_call();
  const std::string other = "MZffffffffffffffffffffffffffffffff";
  const size_t second = open_stream();
  host_->receive(second, start_message(json::object(), "CAffffffffffffffffffffffffffffffff", other).dump());
  ASSERT_THAT(host_->sessions(), SizeIs(4));
  media(20);
  EXPECT_THAT(from_model(), SizeIs(1));
  EXPECT_THAT(host_->take_sent(4), IsEmpty());
}

}  // namespace
}  // namespace voice_test
