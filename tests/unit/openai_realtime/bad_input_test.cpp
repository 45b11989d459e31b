// What either peer may send against the rules: it stays within its call, and is told in the log once.
#include "voice_host.h"

namespace voice_test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class BadInput : public VoiceTest {
 protected:
  // How often the log says so.
  size_t said(const std::string& what) {
    size_t count = 0;
    for (const auto& line : host_->log()) count += line.text.find(what) != std::string::npos;
    return count;
  }
};

TEST_F(BadInput, FramesBeforeStartAreLeftOut) {
  start();
  caller_ = open_stream();
  media(20);
  media(40);
  EXPECT_THAT(host_->sessions(), SizeIs(1)) << "nobody is called";
  EXPECT_FALSE(closed(caller_));
  EXPECT_EQ(said("a message before start"), 1u);
  host_->receive(caller_, start_message().dump());
  EXPECT_THAT(host_->sessions(), SizeIs(2)) << "then it may begin";
}

TEST_F(BadInput, NoStartAtAllEndsIt) {
  start();
  caller_ = open_stream();
  host_->pass(milliseconds(10'100));
  ASSERT_TRUE(closed(caller_));
  EXPECT_EQ(session(caller_).closed->code, 1008u);
  host_->end(caller_, {.by_peer = false});
  EXPECT_THAT(published("voice.call.completed"), IsEmpty()) << "there was no call";
  EXPECT_EQ(host_->metric("calls_total", {"refused"}).value, 1);
}

TEST_F(BadInput, AWrongStreamSidIsLeftOut) {
  begin_call();
  media(20, frame(), "MZffffffffffffffffffffffffffffffff");
  EXPECT_THAT(from_model(), IsEmpty());
  media(40);
  EXPECT_THAT(from_model(), SizeIs(1));
  EXPECT_EQ(said("another stream"), 1u);
}

TEST_F(BadInput, PayloadsThatAreNoBase64AreLeftOut) {
  begin_call();
  for (const char* payload : {"!!!!", "QUJ", "QU==QUJD", "QUJD\\n", "=", "QUJD=", "\xc3\xa4\xc3\xa4", "QU=D"}) media(20, payload);
  EXPECT_THAT(from_model(), IsEmpty());
  EXPECT_EQ(said("no base64"), 1u) << "once";
  EXPECT_EQ(host_->metric("bad_messages_total", {"caller"}).value, 8);
  media(20);
  EXPECT_THAT(from_model(), SizeIs(1)) << "the call goes on";
}

TEST_F(BadInput, SmallAndLargePayloads) {
  begin_call();
  media(20, "/w==");
  EXPECT_THAT(from_model(), SizeIs(1)) << "one byte is audio";
  media(40, std::string(1'000'000, 'A'));
  EXPECT_THAT(from_model(), IsEmpty()) << "a megabyte is none";
  media(60);
  EXPECT_THAT(from_model(), SizeIs(1));
}

TEST_F(BadInput, WhatIsNoMessageIsLeftOut) {
  begin_call();
  for (const char* text : {"", "{", "[]", "null", "{\"event\":7}", "{\"event\":\"media\"}", "{\"event\":\"nonsense\",\"streamSid\":\"x\"}", "\xff", "{\"event\":\"mark\"}"}) {
    host_->receive(caller_, text);
  }
  host_->receive(caller_, "binary", POSTERN_MESSAGE_BINARY);
  EXPECT_THAT(from_model(), IsEmpty());
  EXPECT_FALSE(closed(caller_));
  media(20);
  EXPECT_THAT(from_model(), SizeIs(1));
  EXPECT_EQ(said("the caller sent"), 1u);
}

TEST_F(BadInput, WhoSendsNothingElseIsGivenUp) {
  begin_call();
  for (int i = 0; i < 1'000; ++i) host_->receive(caller_, "{");
  ASSERT_TRUE(closed(caller_));
  EXPECT_EQ(session(caller_).closed->code, 1008u);
}

TEST_F(BadInput, DeepJsonIsLeftOut) {
  begin_call();
  host_->receive(caller_, std::string(100'000, '['));
  host_->receive(caller_, std::string(1'000, '{') + "\"a\":1");
  host_->receive(model_, R"({"type":)" + std::string(5'000, '['));
  EXPECT_FALSE(closed(caller_));
}

TEST_F(BadInput, ASecondStreamOfACallIsRefused) {
  begin_call();
  const size_t second = open_stream();
  host_->receive(second, start_message(json::object(), kCall, "MZffffffffffffffffffffffffffffffff").dump());
  ASSERT_TRUE(closed(second));
  EXPECT_EQ(session(second).closed->code, 1008u);
  EXPECT_THAT(host_->sessions(), SizeIs(3)) << "the model is not called";
  host_->end(second);
  media(20);
  EXPECT_THAT(from_model(), SizeIs(1)) << "the first one goes on";
  host_->end(caller_);
  const size_t third = open_stream();
  host_->receive(third, start_message().dump());
  EXPECT_FALSE(closed(third)) << "once the first one has ended";
}

TEST_F(BadInput, AnotherFormatIsRefused) {
  for (const auto& [name, value] : {std::pair<const char*, json>("encoding", "audio/x-l16"), {"sampleRate", 16'000}, {"channels", 2}}) {
    start();
    caller_ = open_stream();
    json message = start_message();
    message["start"]["mediaFormat"][name] = value;
    host_->receive(caller_, message.dump());
    EXPECT_TRUE(closed(caller_)) << name;
  }
}

TEST_F(BadInput, IdsThatAreNoneAreRefused) {
  for (const std::string& id : {std::string(), std::string("a\"b"), std::string(65, 'a'), std::string("CA\n")}) {
    start();
    caller_ = open_stream();
    host_->receive(caller_, start_message(json::object(), id).dump());
    EXPECT_TRUE(closed(caller_)) << id;
    EXPECT_THAT(host_->sessions(), SizeIs(1));
  }
}

TEST_F(BadInput, ASecondStartIsLeftOut) {
  begin_call();
  caller(start_message());
  EXPECT_THAT(host_->sessions(), SizeIs(2));
  EXPECT_FALSE(closed(caller_));
}

TEST_F(BadInput, GarbageOfTheModelIsLeftOut) {
  begin_call();
  for (const char* text : {"", "{", "[]", "{\"no\":\"type\"}", "\xff\xfe", R"({"type":"response.output_audio.delta"})", R"({"type":"response.output_audio.delta","delta":"!!"})",
                           R"({"type":"response.done","response":7})", R"({"type":"response.output_item.done","item":{"type":"function_call"}})", R"({"type":"error"})",
                           R"({"type":"unheard.of"})"}) {
    host_->receive(model_, text);
  }
  host_->receive(model_, "binary", POSTERN_MESSAGE_BINARY);
  EXPECT_THAT(to_caller(), IsEmpty());
  EXPECT_EQ(said("the model sent"), 1u);
  delta("item_1");
  EXPECT_THAT(to_caller(), SizeIs(2)) << "the call goes on";
}

TEST_F(BadInput, TenMinutesOfAudioAtOnceAreHeld) {
  begin_call();
  for (int i = 0; i < 600; ++i) delta("item_1", 50);  // a second each
  EXPECT_THAT(to_caller(), SizeIs(1'200));
  for (int i = 0; i < 600; ++i) delta("item_1", 50);
  EXPECT_LE(to_caller().size(), 2u * 302) << "not more than fifteen minutes ahead";
  EXPECT_FALSE(closed(caller_));
  EXPECT_EQ(said("minutes ahead"), 1u);
}

TEST_F(BadInput, ErrorsOfTheModelAreToldOnceAndWithoutAKey) {
  begin_call();
  model({{"type", "error"}, {"error", {{"type", "invalid_request_error"}, {"code", "response_cancel_not_active"}, {"message", "x"}}}});
  EXPECT_EQ(said("the model reports"), 0u) << "nothing is wrong";
  model({{"type", "error"}, {"error", {{"type", "invalid_request_error"}, {"code", "invalid_value"}, {"message", std::string("Bad key ") + kKey + "."}, {"event_id", nullptr}}}});
  model({{"type", "error"}, {"error", {{"type", "server_error"}, {"message", "again"}}}});
  EXPECT_EQ(said("the model reports"), 1u);
  EXPECT_THAT(log(), Not(HasSubstr(kKey)));
  EXPECT_FALSE(closed(caller_));
  EXPECT_EQ(host_->metric("model_errors_total").value, 3);
}

// Attack: what is kept of each item or turn is as long as the model likes.
TEST_F(BadInput, IdsWithoutEndAreLeftOut) {
  begin_call();
  const std::string endless(100'000, 'i');
  delta(endless);
  speech_started(endless);
  delta("item_1", 1, endless);
  EXPECT_THAT(to_caller(), IsEmpty());
  EXPECT_EQ(said("an id that is too long"), 1u);
  delta("item_1");
  EXPECT_THAT(to_caller(), SizeIs(2)) << "the call goes on";
}

TEST_F(BadInput, WhatIsLeftOfACallIsBounded) {
  begin_call();
  for (int i = 0; i < 500; ++i) speech_started("item_" + std::to_string(i));
  for (int i = 0; i < 500; ++i) {
    model({{"type", "conversation.item.input_audio_transcription.completed"}, {"item_id", "item_" + std::to_string(i)}, {"transcript", std::string(16'000, 'a')}});
  }
  for (int i = 0; i < 100; ++i) {
    model({{"type", "response.output_item.done"}, {"item", {{"type", "function_call"}, {"name", std::string(50'000, 'n')}, {"call_id", "c"}, {"arguments", "{}"}}}});
  }
  host_->end(caller_);
  EXPECT_LT(host_->published().at(0).body.size(), 400'000u);
  EXPECT_EQ(published("voice.call.completed").at(0)["turns_truncated"], true);
}

TEST_F(BadInput, NumbersThatAreTooLargeAreLeftOut) {
  begin_call();
  const int64_t most = std::numeric_limits<int64_t>::max();
  for (int i = 0; i < 3; ++i) response_done("resp_1", {{"total_tokens", most}, {"input_tokens", 7}});
  media(most);
  media(1'000'000'000'000'000);
  EXPECT_THAT(from_model(), IsEmpty());
  EXPECT_EQ(said("timestamp"), 1u);
  media(20);
  delta("item_1", 50);
  media(120);
  from_model();
  speech_started();
  EXPECT_EQ(from_model().at(0)["audio_end_ms"], 100) << "the clock is the one of the right frames";
  host_->end(caller_);
  EXPECT_EQ(published("voice.call.completed").at(0)["usage"]["input_tokens"], 21);
  EXPECT_EQ(published("voice.call.completed").at(0)["usage"].value("total_tokens", 0), 0);
}

TEST_F(BadInput, MarksThatNobodyReturnsAreBounded) {
  begin_call();
  std::string event = R"({"type":"response.output_audio.delta","response_id":"r","item_id":"i","delta":"/w=="})";
  for (int i = 0; i < 50'900; ++i) host_->receive(model_, event);
  EXPECT_LE(to_caller().size(), 100'000u);
  EXPECT_THAT(log(), HasSubstr("marks"));
}

TEST_F(BadInput, WhatWaitsForTheModelIsBoundedInBytes) {
  start();
  caller_ = open_stream();
  host_->receive(caller_, start_message().dump());
  for (int i = 0; i < 100; ++i) media(20 * i, std::string(200'000, 'A'));
  media(2'000);
  model_ = 2;
  host_->open(model_);
  size_t bytes = 0;
  for (const auto& message : host_->take_sent(model_)) bytes += message.data.size();
  EXPECT_LT(bytes, 100'000u);
  EXPECT_GT(bytes, 200u) << "the newest is there";
}

TEST_F(BadInput, ParametersWithoutEndAreRefused) {
  for (const char* name : {"model", "voice", "instructions", "greeting"}) {
    start();
    caller_ = open_stream();
    host_->receive(caller_, start_message({{name, std::string(100'000, 'x')}}).dump());
    EXPECT_TRUE(closed(caller_)) << name;
    EXPECT_THAT(host_->sessions(), SizeIs(1)) << "nobody is called";
  }
}

}  // namespace
}  // namespace voice_test
