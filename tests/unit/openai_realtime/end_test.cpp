// When the model cannot be used, when its session has to be renewed, when it hangs up; and what is left of a call.
#include "voice_host.h"

namespace voice_test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

json with_fallback() {
  json config = base_config();
  config["fallback"] = "<Response><Say>Please call again later.</Say></Response>";
  return config;
}

class End : public VoiceTest {};

TEST_F(End, AModelThatCannotBeReachedIsReplacedByTheFallback) {
  start(with_fallback());
  host_->serve("twilio.calls/1", [](const auto&) { return postern::testing::ServiceAnswered{.body = R"({"sid":"CA","status":"in-progress"})"}; });
  caller_ = open_stream();
  host_->receive(caller_, start_message().dump());
  EXPECT_LE(session(2).connect_ms, 1'500u) << "nobody waits for long";
  host_->end(2, {.code = 1006, .by_peer = false, .reason = "connection refused"});
  EXPECT_THAT(published("voice.call.fallback"), SizeIs(1));
  host_->run_published();
  ASSERT_THAT(host_->service_calls(), SizeIs(1));
  EXPECT_EQ(host_->service_calls()[0].method, "update");
  const json request = json::parse(host_->service_calls()[0].request);
  EXPECT_EQ(request["call_sid"], kCall);
  EXPECT_THAT(request["twiml"].get<std::string>(), HasSubstr("call again later"));
  EXPECT_FALSE(closed(caller_)) << "Twilio ends the stream";
  host_->end(caller_);
  EXPECT_EQ(published("voice.call.completed").at(0)["ended_by"], "fallback");
}

TEST_F(End, WithoutAnAnswerOfTwilioTheStreamEndsSoon) {
  start(with_fallback());
  caller_ = open_stream();
  host_->receive(caller_, start_message().dump());
  host_->end(2, {.code = 1006, .by_peer = false, .http_status = 401});
  EXPECT_FALSE(closed(caller_));
  host_->pass(milliseconds(800));
  ASSERT_TRUE(closed(caller_)) << "the call goes on behind <Connect>";
  EXPECT_EQ(session(caller_).closed->code, 1011u);
  EXPECT_THAT(log(), HasSubstr("401"));
}

// The backlog is full, or the disk is: what is left of a call waits until it can be kept.
TEST_F(End, WhatIsLeftOfACallIsTriedAgain) {
  begin_call();
  for (const char* why : {"the backlog is full", "the store is down"}) host_->refuse_published(why);
  host_->end(caller_);
  for (int i = 0; i < 2; ++i) {
    host_->run_published();
    host_->pass(std::chrono::seconds(3));
  }
  host_->run_published();
  const auto kept = host_->records();
  EXPECT_THAT(kept, SizeIs(1)) << log();
  EXPECT_THAT(log(), HasSubstr("tried again: the backlog is full"));
}

TEST_F(End, WithoutAFallbackTheStreamEndsAtOnce) {
  start();
  caller_ = open_stream();
  host_->receive(caller_, start_message().dump());
  host_->end(2, {.code = 1006, .by_peer = false});
  EXPECT_TRUE(closed(caller_));
  EXPECT_THAT(published("voice.call.fallback"), IsEmpty());
}

// It ends both sessions, in whatever order.
TEST_F(End, AGatewayThatStopsIsNoLostModel) {
  begin_call(with_fallback());
  host_->end(model_, {.code = 1001, .by_peer = false, .reason = "the gateway stops"});
  EXPECT_THAT(host_->sessions(), SizeIs(2));
  EXPECT_FALSE(closed(caller_)) << "the gateway does that";
  EXPECT_THAT(published("voice.call.fallback"), IsEmpty());
  host_->end(caller_, {.code = 1001, .by_peer = false});
  EXPECT_EQ(published("voice.call.completed").at(0)["ended_by"], "gateway");
}

TEST_F(End, AModelThatGoesAwayIsLost) {
  begin_call(with_fallback());
  host_->end(model_, {.code = 1001, .by_peer = true});
  EXPECT_THAT(host_->sessions(), SizeIs(3));
}

TEST_F(End, ALostModelIsCalledOnceMoreAndToldWhatWasSaid) {
  begin_call(with_fallback());
  speech_started("item_u");
  model({{"type", "conversation.item.input_audio_transcription.completed"}, {"item_id", "item_u"}, {"content_index", 0}, {"transcript", "I need a table."}});
  model({{"type", "response.output_audio_transcript.done"}, {"response_id", "resp_1"}, {"item_id", "item_a"}, {"transcript", "For how many?"}});
  host_->end(model_, {.code = 1006, .by_peer = false});
  ASSERT_THAT(host_->sessions(), SizeIs(3));
  EXPECT_FALSE(closed(caller_));
  media(500);
  model_ = 3;
  host_->open(model_);
  auto told = from_model();
  ASSERT_THAT(told, SizeIs(4));
  EXPECT_EQ(told[0]["type"], "session.update");
  EXPECT_EQ(told[1]["item"]["role"], "user");
  EXPECT_EQ(told[1]["item"]["content"][0], (json{{"type", "input_text"}, {"text", "I need a table."}}));
  EXPECT_EQ(told[2]["item"]["role"], "assistant");
  EXPECT_EQ(told[2]["item"]["content"][0], (json{{"type", "output_text"}, {"text", "For how many?"}}));
  EXPECT_EQ(told[3]["type"], "input_audio_buffer.append") << "what was said meanwhile";
  host_->end(model_, {.code = 1006, .by_peer = false});
  EXPECT_THAT(host_->sessions(), SizeIs(3)) << "not again so soon";
  EXPECT_THAT(published("voice.call.fallback"), SizeIs(1));
}

TEST_F(End, ASessionThatIsRefusedIsTheEnd) {
  begin_call(with_fallback());
  model({{"type", "error"}, {"error", {{"type", "invalid_request_error"}, {"code", "invalid_value"}, {"message", "no such voice"}, {"event_id", hears_first_[0]["event_id"]}}}});
  EXPECT_THAT(published("voice.call.fallback"), SizeIs(1)) << "its audio would be noise";
  EXPECT_TRUE(closed(model_));
}

TEST_F(End, ASessionIsRenewedInTime) {
  json config = base_config();
  config["renew_after"] = "10m";
  config["greeting"] = "Hello.";
  begin_call(config);
  model({{"type", "response.output_audio_transcript.done"}, {"response_id", "resp_0"}, {"item_id", "item_a"}, {"transcript", "Hello!"}});
  response_created();
  host_->pass(std::chrono::minutes(10));
  EXPECT_THAT(host_->sessions(), SizeIs(2)) << "not while it speaks";
  response_done();
  host_->pass(milliseconds(1'100));
  ASSERT_THAT(host_->sessions(), SizeIs(3));
  from_model();
  media(20);
  EXPECT_THAT(from_model(), SizeIs(1)) << "the old one is in use until the new one is there";
  EXPECT_FALSE(closed(model_));
  host_->open(3);
  EXPECT_TRUE(closed(model_));
  model_ = 3;
  auto told = from_model();
  EXPECT_EQ(told.at(0)["type"], "session.update");
  EXPECT_EQ(told.at(1)["item"]["content"][0]["text"], "Hello!");
  model({{"type", "session.updated"}, {"session", json::object()}});
  EXPECT_THAT(from_model(), IsEmpty()) << "nobody is greeted twice";
  host_->end(2);
  EXPECT_FALSE(closed(caller_));
  delta("item_n");
  EXPECT_THAT(to_caller(), SizeIs(2));
}

TEST_F(End, TheModelMayHangUpWhenItHasSpoken) {
  begin_call();
  EXPECT_EQ(hears_first_[0]["session"]["tools"][0]["name"], "end_call");
  response_created();
  delta("item_1", 50);
  const std::string name = to_caller().at(1)["mark"]["name"];
  model({{"type", "response.output_item.done"}, {"response_id", "resp_1"}, {"item", {{"type", "function_call"}, {"name", "end_call"}, {"call_id", "call_1"}, {"arguments", "{}"}}}});
  response_done();
  EXPECT_FALSE(closed(caller_)) << "the caller has not heard it yet";
  mark(name);
  ASSERT_TRUE(closed(caller_));
  EXPECT_EQ(session(caller_).closed->code, 1000u);
  host_->end(caller_);
  EXPECT_EQ(published("voice.call.completed").at(0)["ended_by"], "model");
}

TEST_F(End, WhoeverNeverSendsTheMarkBackIsLeft) {
  begin_call();
  delta("item_1", 50);
  model({{"type", "response.output_item.done"}, {"response_id", "resp_1"}, {"item", {{"type", "function_call"}, {"name", "end_call"}, {"call_id", "call_1"}, {"arguments", "{}"}}}});
  response_done();
  host_->pass(milliseconds(3'200));
  EXPECT_TRUE(closed(caller_));
}

TEST_F(End, LeavesTheTranscriptAndTheCosts) {
  json config = base_config();
  config["costs"] = {{"gpt-realtime", {{"input_text", 4}, {"input_audio", 32}, {"cached_input", 0.4}, {"output_text", 16}, {"output_audio", 64}}}};
  begin_call(config, {{"From", "+14155550123"}, {"To", "+14155550100"}});
  speech_started("item_u");
  model({{"type", "response.output_audio_transcript.done"}, {"response_id", "resp_1"}, {"item_id", "item_a"}, {"transcript", "Good evening."}});
  model({{"type", "conversation.item.input_audio_transcription.completed"}, {"item_id", "item_u"}, {"content_index", 0}, {"transcript", "Hi."}});
  response_created();
  response_done("resp_1", {{"total_tokens", 1'600'000}, {"input_tokens", 1'500'000}, {"output_tokens", 100'000},
                           {"input_token_details", {{"cached_tokens", 500'000}, {"text_tokens", 500'000}, {"audio_tokens", 1'000'000}}},
                           {"output_token_details", {{"text_tokens", 0}, {"audio_tokens", 100'000}}}});
  media(20);
  host_->end(caller_);
  const json event = published("voice.call.completed").at(0);
  ASSERT_THAT(event["turns"], SizeIs(2));
  EXPECT_EQ(event["turns"][0]["role"], "user") << "in the order in which they began";
  EXPECT_EQ(event["turns"][0]["text"], "Hi.");
  EXPECT_EQ(event["turns"][1]["text"], "Good evening.");
  EXPECT_EQ(event["usage"]["input_audio_tokens"], 1'000'000);
  EXPECT_NEAR(event["cost"]["amount"], 0.5 * 0.4 + 32 + 0.1 * 64, 1e-9);
  EXPECT_EQ(event["cost"]["currency"], "USD");
  EXPECT_EQ(event["from"], "+14155550123");
  EXPECT_EQ(event["frames"]["in"], 1);
  EXPECT_EQ(event["model"], "gpt-realtime");
  for (const auto& settled : host_->run_published()) EXPECT_TRUE(settled.done()) << settled.why;
  ASSERT_TRUE(host_->record("calls", kCall));
  EXPECT_EQ(json::parse(host_->record("calls", kCall)->json)["turns"][0]["text"], "Hi.");
}

}  // namespace
}  // namespace voice_test
