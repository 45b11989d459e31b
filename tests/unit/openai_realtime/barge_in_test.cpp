// The caller speaks while the model does: openai.md §5.
#include "voice_host.h"

namespace voice_test {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class BargeIn : public VoiceTest {
 protected:
  // The names of the marks that went out, and nothing else of what did.
  std::vector<std::string> marks() {
    std::vector<std::string> names;
    for (const json& message : to_caller()) {
      if (message["event"] == "mark") names.push_back(message["mark"]["name"]);
    }
    return names;
  }
};

TEST_F(BargeIn, ClearsAndCutsWhereTheCallerStoppedListening) {
  begin_call();
  media(1'000);
  response_created();
  delta("item_1", 100);  // two seconds
  marks();
  media(1'700);
  from_model();
  speech_started();
  auto heard = to_caller();
  ASSERT_THAT(heard, SizeIs(1));
  EXPECT_EQ(heard[0], (json{{"event", "clear"}, {"streamSid", kStream}}));
  auto told = from_model();
  ASSERT_THAT(told, SizeIs(1)) << "the server cancels by itself";
  EXPECT_EQ(told[0], (json{{"type", "conversation.item.truncate"}, {"item_id", "item_1"}, {"content_index", 0}, {"audio_end_ms", 700}}));
  EXPECT_EQ(session(caller_).discards, 1u) << "what has not gone out need not";
}

TEST_F(BargeIn, NeverCutsBehindWhatWasSent) {
  begin_call();
  media(0);
  delta("item_1", 10);  // 200 ms
  media(5'000);         // its mark is late
  from_model();
  speech_started();
  EXPECT_EQ(from_model().at(0)["audio_end_ms"], 200);
}

TEST_F(BargeIn, IsNoneWhenAllWasPlayed) {
  begin_call();
  delta("item_1", 2);
  delta("item_1", 2);
  auto names = marks();
  ASSERT_THAT(names, SizeIs(2));
  mark(names[0]);
  mark(names[1]);
  from_model();
  speech_started();
  EXPECT_THAT(to_caller(), IsEmpty());
  EXPECT_THAT(from_model(), IsEmpty());
}

TEST_F(BargeIn, IsOneWhileAMarkIsOut) {
  begin_call();
  delta("item_1", 2);
  delta("item_1", 2);
  mark(marks().at(0));
  speech_started();
  EXPECT_EQ(to_caller().at(0)["event"], "clear");
}

TEST_F(BargeIn, ForgetsTheRestOfThatResponse) {
  begin_call();
  response_created("resp_1");
  delta("item_1", 1, "resp_1");
  speech_started();
  to_caller();
  delta("item_1", 1, "resp_1");
  EXPECT_THAT(to_caller(), IsEmpty());
  response_done("resp_1");
  response_created("resp_2");
  delta("item_2", 1, "resp_2");
  EXPECT_THAT(to_caller(), SizeIs(2)) << "the next one is heard";
}

TEST_F(BargeIn, MarksThatCameBackByTheClearAreOld) {
  begin_call();
  delta("item_1");
  auto old = marks();
  speech_started();
  to_caller();
  delta("item_2", 1, "resp_2");
  mark(old.at(0));
  speech_started();
  EXPECT_EQ(to_caller().back()["event"], "clear") << "the second item is still playing";
}

TEST_F(BargeIn, CutsEachItemThatWaits) {
  begin_call();
  media(0);
  delta("item_1", 50);  // one second
  delta("item_2", 50, "resp_2");
  from_model();
  media(400);
  from_model();
  speech_started();
  auto told = from_model();
  ASSERT_THAT(told, SizeIs(2));
  EXPECT_EQ(told[0]["item_id"], "item_1");
  EXPECT_EQ(told[0]["audio_end_ms"], 400);
  EXPECT_EQ(told[1]["item_id"], "item_2");
  EXPECT_EQ(told[1]["audio_end_ms"], 0);
}

TEST_F(BargeIn, WaitsOfTheModelAreNoSpeech) {
  begin_call();
  media(0);
  delta("item_1", 50);   // heard at 1000
  media(3'000);
  delta("item_1", 50);   // begins now
  media(3'200);
  from_model();
  speech_started();
  EXPECT_EQ(from_model().at(0)["audio_end_ms"], 1'200);
}

TEST_F(BargeIn, CancelsWhereTheServerDoesNot) {
  json config = base_config();
  config["session"]["turn_detection"] = {{"type", "server_vad"}, {"interrupt_response", false}};
  begin_call(config);
  response_created();
  delta("item_1");
  from_model();
  speech_started();
  auto told = from_model();
  ASSERT_THAT(told, SizeIs(2));
  EXPECT_EQ(told[0]["type"], "response.cancel") << "first";
  EXPECT_EQ(told[1]["type"], "conversation.item.truncate");
}

TEST_F(BargeIn, IsCounted) {
  begin_call();
  delta("item_1");
  speech_started();
  host_->end(caller_);
  EXPECT_EQ(published("voice.call.completed").at(0)["interruptions"], 1);
  EXPECT_EQ(host_->metric("interruptions_total").value, 1);
}

}  // namespace
}  // namespace voice_test
