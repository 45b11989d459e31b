// Calls by SIP while they go on: transcript, tools, end and transfer, control that is lost, other plugins.
#include "postern/ext/client.h"
#include "sip_host.h"

namespace voice_test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// ---- a call

TEST_F(Sip, KeepsWhatWasSaid) {
  begin();
  response_created();
  model({{"type", "response.output_audio_transcript.done"}, {"response_id", "resp_1"}, {"item_id", "item_1"}, {"transcript", "Hello!"}});
  response_done("resp_1", {{"total_tokens", 30}, {"input_tokens", 10}, {"output_tokens", 20}});
  speech_started();
  model({{"type", "conversation.item.truncated"}, {"item_id", "item_1"}, {"content_index", 0}, {"audio_end_ms", 700}});
  model({{"type", "conversation.item.input_audio_transcription.completed"}, {"item_id", "item_user"}, {"transcript", "A table, please."}});
  host_->end(model_, {.code = 1000, .by_peer = true});
  const json call = completed();
  EXPECT_EQ(call["sip"], true);
  EXPECT_EQ(call["call_sid"], kRtc);
  EXPECT_EQ(call["from"], "+14155550123");
  EXPECT_EQ(call["to"], "office@sip.example.com");
  EXPECT_EQ(call["sip_call_id"], "abc@sip.example.com");
  EXPECT_EQ(call["ended_by"], "caller");
  EXPECT_EQ(call["interruptions"], 1);
  EXPECT_EQ(call["usage"]["total_tokens"], 30);
  ASSERT_EQ(call["turns"].size(), 2u);
  EXPECT_EQ(call["turns"][0]["text"], "Hello!");
  EXPECT_EQ(call["turns"][0]["interrupted"], true);
  EXPECT_EQ(call["turns"][1]["text"], "A table, please.");
  for (const auto& settled : host_->run_published()) EXPECT_TRUE(settled.done()) << settled.why;
  EXPECT_TRUE(host_->record("calls", kRtc).has_value());
  EXPECT_EQ(host_->metric("calls_total", {"caller"}).value, 1);
}

TEST_F(Sip, RunsTools) {
  json config = sip_config();
  config["tools"] = {{{"name", "find"}, {"service", "calendar/1"}}};
  begin(config);
  host_->serve("calendar/1", [](const auto&) { return ServiceAnswered{.body = R"({"free":true})"}; });
  call_tool("find");
  const json event = published("voice.tool.called").at(0);
  EXPECT_EQ(event["call_sid"], kRtc);
  EXPECT_EQ(event["from"], "+14155550123");
  host_->run_published();
  host_->run_wakes();
  const auto told = from_model();
  ASSERT_THAT(told, SizeIs(2));
  EXPECT_EQ(told[0]["item"]["output"], R"({"free":true})");
  EXPECT_EQ(told[1]["type"], "response.create");
}

TEST_F(Sip, HangsUpWhenTheModelHasSpoken) {
  begin();
  response_created();
  audio("started");
  call_tool("end_call");
  response_done();
  EXPECT_THAT(host_->outbound(), SizeIs(1)) << "the caller still hears it";
  audio("stopped");
  EXPECT_EQ(last_asked(), path("hangup"));
  host_->end(model_, {.code = 1000, .by_peer = true});
  EXPECT_EQ(completed()["ended_by"], "model");
}

TEST_F(Sip, HangsUpThoughNothingTellsThatItWasHeard) {
  begin();
  response_created();
  audio("started");
  call_tool("end_call");
  host_->pass(milliseconds(29'000));
  EXPECT_THAT(host_->outbound(), SizeIs(1));
  host_->pass(milliseconds(2'000));
  EXPECT_EQ(last_asked(), path("hangup"));
  host_->pass(milliseconds(16'000));
  EXPECT_TRUE(closed(model_)) << "and the session is not left open";
  host_->end(model_, {.code = 1000, .by_peer = false});
  EXPECT_EQ(completed()["ended_by"], "model");
  EXPECT_THAT(host_->outbound(), SizeIs(2)) << "hung up once";
}

TEST_F(Sip, TransfersOnlyToWhatIsConfigured) {
  begin(with_targets());
  const json tools = json::parse(host_->outbound()[0].body)["tools"];
  EXPECT_EQ(tools[1]["name"], "transfer_call");
  EXPECT_EQ(tools[1]["parameters"]["properties"]["to"]["enum"], (json{"sales", "support"}));
  call_tool("transfer_call", R"({"to":"tel:+19005550100"})", "call_0");
  call_tool("transfer_call", R"({"to":7})", "call_0");
  call_tool("transfer_call", "[[[", "call_0");
  EXPECT_THAT(host_->outbound(), SizeIs(1));
  EXPECT_TRUE(json::parse(from_model().at(0)["item"]["output"].get<std::string>()).contains("error"));
  response_created();
  audio("started");
  call_tool("transfer_call", R"({"to":"sales"})");
  response_done();
  EXPECT_THAT(host_->outbound(), SizeIs(1)) << "the caller still hears it";
  host_->answer("sip", {.status = 200});
  audio("stopped");
  EXPECT_EQ(last_asked(), path("refer") + R"({"target_uri":"tel:+14155550111"})");
  from_model();
  host_->run_callbacks();
  host_->run_wakes();
  const auto told = from_model();
  ASSERT_THAT(told, SizeIs(1)) << "no response any more";
  EXPECT_EQ(told[0]["item"]["output"], R"({"transferred_to":"sales"})");
  host_->end(model_, {.code = 1000, .by_peer = true});
  EXPECT_EQ(completed()["ended_by"], "model");
  EXPECT_EQ(completed()["reason"], "transferred to sales");
}

TEST_F(Sip, ATransferThatFailsIsTold) {
  begin(with_targets());
  response_created();
  call_tool("transfer_call", R"({"to":"support"})");
  host_->answer("sip", {.status = 400, .body = "inner detail"});
  response_done();
  from_model();
  host_->run_callbacks();
  host_->run_wakes();
  const auto told = from_model();
  ASSERT_THAT(told, SizeIs(2));
  EXPECT_EQ(told[0]["item"]["output"], R"({"error":"the transfer has failed"})");
  EXPECT_EQ(told[1]["type"], "response.create") << "the call goes on";
  host_->end(model_, {.code = 1000, .by_peer = true});
  EXPECT_EQ(completed()["ended_by"], "caller");
}

// ---- control that is lost

TEST_F(Sip, ControlThatBreaksOffIsTakenUpAgain) {
  json config = sip_config();
  config["tools"] = {{{"name", "find"}, {"service", "calendar/1"}}};
  begin(config);
  host_->serve("calendar/1", [](const auto&) { return ServiceAnswered{.body = "1"}; });
  call_tool("find");
  host_->end(model_, {.code = 1006, .by_peer = false});
  ASSERT_THAT(host_->sessions(), SizeIs(2));
  EXPECT_THAT(published("voice.call.completed"), IsEmpty());
  host_->run_published();
  model_ = 2;
  host_->open(model_);
  const auto told = from_model();
  ASSERT_THAT(told, SizeIs(2)) << "no second greeting";
  EXPECT_EQ(told[0]["item"]["type"], "function_call_output") << "what has answered in between";
  host_->end(model_, {.code = 1000, .by_peer = true});
  EXPECT_EQ(completed()["model_sessions"], 2);
  EXPECT_THAT(host_->outbound(), SizeIs(1)) << "not hung up";
}

TEST_F(Sip, WithoutControlTheCallIsHungUp) {
  start(sip_config());
  host_->answer("sip", {.status = 200});
  EXPECT_TRUE(deliver().done());
  for (size_t i = 1; i <= 3; ++i) {
    ASSERT_THAT(host_->sessions(), SizeIs(i));
    host_->end(i, {.code = 1006, .by_peer = false, .http_status = 500});
  }
  EXPECT_THAT(host_->sessions(), SizeIs(3));
  EXPECT_EQ(last_asked(), path("hangup"));
  EXPECT_EQ(completed()["ended_by"], "fallback");
  host_->answer("sip", {.status = 200});
  EXPECT_TRUE(deliver().done()) << "it has left the active ones";
  EXPECT_THAT(host_->sessions(), SizeIs(4));
}

TEST_F(Sip, AGatewayThatStopsLeavesTheCallAlone) {
  begin();
  host_->end(model_, {.code = 1001, .by_peer = false});
  EXPECT_THAT(host_->sessions(), SizeIs(1));
  EXPECT_THAT(host_->outbound(), SizeIs(1));
  EXPECT_EQ(completed()["ended_by"], "gateway");
}

TEST_F(Sip, WhatIsNoEventEndsItAtLast) {
  begin();
  for (int i = 0; i < 999; ++i) host_->receive(model_, "[]");
  EXPECT_THAT(host_->outbound(), SizeIs(1));
  host_->receive(model_, "\x01", POSTERN_MESSAGE_BINARY);
  EXPECT_EQ(last_asked(), path("hangup"));
  host_->end(model_, {.code = 1000, .by_peer = true});
  EXPECT_EQ(completed()["ended_by"], "fallback");
  EXPECT_EQ(host_->metric("bad_messages_total", {"model"}).value, 1'000);
}

// ---- for other plugins

TEST_F(Sip, OtherPluginsHangUpAndRefer) {
  begin(with_targets());
  auto ask = [&](const char* method, const json& body) { return host_->call_service("postern.voice/1", method, body.dump()); };
  host_->answer("sip", {.status = 200});
  EXPECT_TRUE(ask("refer", {{"call_id", kRtc}, {"to", "support"}}).ok());
  EXPECT_EQ(last_asked(), path("refer") + R"({"target_uri":"sip:support@example.com"})");
  host_->answer("sip", {.status = 200});
  EXPECT_TRUE(ask("hangup", {{"call_id", kRtc}}).ok());
  EXPECT_EQ(last_asked(), path("hangup"));
  host_->answer("sip", {.status = 404});
  EXPECT_EQ(ask("hangup", {{"call_id", "rtc_gone"}}).status, POSTERN_E_NOT_FOUND);
  const size_t before = host_->outbound().size();
  for (const json& body : {json::array(), json{{"call_id", "CA1"}}, json{{"call_id", 1}}, json{{"call_id", "rtc_a/b"}}}) {
    EXPECT_EQ(ask("hangup", body).status, POSTERN_E_INVALID) << body;
  }
  EXPECT_EQ(ask("refer", {{"call_id", kRtc}, {"to", "tel:+19005550100"}}).status, POSTERN_E_INVALID);
  EXPECT_EQ(host_->outbound().size(), before);
  EXPECT_TRUE(ask("token", {{"call_sid", kCall}}).ok()) << "the method of the streams is there as before";
  host_->end(model_, {.code = 1000, .by_peer = true});
  EXPECT_EQ(completed()["ended_by"], "gateway");
  EXPECT_EQ(completed()["reason"], "transferred to support");
}

}  // namespace
}  // namespace voice_test
