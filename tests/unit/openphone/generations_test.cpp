// Every payload generation ends in the same records.
#include <gmock/gmock.h>

#include "tests/unit/openphone/openphone_host.h"

namespace openphone_test {
namespace {

using ::testing::HasSubstr;

class Generations : public OpenPhoneTest {};

TEST_F(Generations, CurrentMessage) {
  Settled settled = deliver(current_message("AC1", "Hello", 1));
  ASSERT_TRUE(settled.done()) << settled.why;
  EXPECT_EQ(json::parse(settled.result), (json{{"message_id", "AC1"}}));
  EXPECT_EQ(message("AC1"), (json{{"id", "AC1"},
                                  {"direction", "incoming"},
                                  {"from", kThem},
                                  {"to", {kUs}},
                                  {"text", "Hello"},
                                  {"status", "received"},
                                  {"status_at", stored_at(1)},
                                  {"created_at", stored_at(1)},
                                  {"conversation_id", "CN1"},
                                  {"phone_number_id", "PN1"},
                                  {"user_id", "US1"},
                                  {"api_version", "2026-03-30"},
                                  {"media", json::array({{{"url", "https://m.example/1"}, {"type", "image/png"}}})},
                                  {"contacts", {kThem}}}));
  EXPECT_EQ(contact(kThem), (json{{"phone", kThem},
                                  {"first_seen", stored_at(1)},
                                  {"last_seen", stored_at(1)},
                                  {"message_count", 1},
                                  {"call_count", 0},
                                  {"opted_out", false},
                                  {"flagged", false}}));
}

TEST_F(Generations, LegacyMessages) {
  for (const char* version : {"v2", "v3", "v4"}) {
    std::string id = std::string("AC") + version;
    ASSERT_TRUE(deliver(legacy_message(version, id, "Hello")).done()) << version;
    json stored = message(id);
    EXPECT_EQ(stored["text"], "Hello") << version;
    EXPECT_EQ(stored["from"], kThem) << version;
    EXPECT_EQ(stored["to"], (json{kUs, "+14155550101"})) << version;
    EXPECT_EQ(stored["api_version"], version);
    EXPECT_EQ(stored["conversation_id"], "CN1") << version;
  }
  EXPECT_EQ(contact(kThem)["message_count"], 3);
  EXPECT_TRUE(contact(kUs).is_null());
}

TEST_F(Generations, FlatData) {
  Settled settled = deliver({{"id", "EVflat"},
                             {"type", "message.received"},
                             {"data", {{"from", kThem}, {"to", kUs}, {"body", "Hi"}, {"object", "message"}}}});
  ASSERT_TRUE(settled.done()) << settled.why;
  EXPECT_EQ(message("EVflat")["text"], "Hi");
  EXPECT_EQ(message("EVflat")["direction"], "incoming");
  EXPECT_EQ(contact(kThem)["message_count"], 1);
  ASSERT_TRUE(deliver({{"type", "message.received"}, {"data", {{"from", kThem}, {"body", "Hi"}}}}).done());
  EXPECT_EQ(message("EVexternal")["from"], kThem);  // without any id the host's stands in
  ASSERT_TRUE(
      deliver(
          {{"id", "EVcall"}, {"type", "call.completed"}, {"data", {{"id", "ACf"}, {"from", kThem}, {"duration", 9.9}}}})
          .done());
  EXPECT_EQ(call("ACf")["duration_s"], 9);
  EXPECT_EQ(contact(kThem)["call_count"], 1);
}

TEST_F(Generations, OutgoingMessagesBelongToThoseWrittenTo) {
  json delivered = current_message("AC1", "Hello", 1);
  delivered["type"] = "message.delivered";
  delivered["data"]["resource"]["direction"] = "outgoing";
  delivered["data"]["resource"]["status"] = "delivered";
  delivered["data"]["context"]["senderIdentifier"] = kUs;
  delivered["data"]["context"]["recipientIdentifiers"] = {kThem, "+1 (415) 555-0199", "12345", "anonymous", kThem};
  ASSERT_TRUE(deliver(delivered).done());
  EXPECT_EQ(message("AC1")["contacts"], (json{kThem, "+14155550199"}));
  EXPECT_EQ(contact("+14155550199")["message_count"], 1);
  EXPECT_TRUE(contact(kUs).is_null());
}

TEST_F(Generations, CurrentCall) {
  json event = current_call("AC9", "call.completed", "answered", 40);
  event["data"]["resource"].update(
      {{"answeredAt", at(5)}, {"completedAt", at(39)}, {"duration", 34}, {"hasVoicemail", false}});
  Settled settled = deliver(event);
  ASSERT_TRUE(settled.done()) << settled.why;
  EXPECT_EQ(json::parse(settled.result), (json{{"call_id", "AC9"}}));
  EXPECT_EQ(call("AC9"), (json{{"id", "AC9"},
                               {"direction", "incoming"},
                               {"status", "answered"},
                               {"status_at", stored_at(40)},
                               {"created_at", stored_at(0)},
                               {"answered_at", stored_at(5)},
                               {"completed_at", stored_at(39)},
                               {"duration_s", 34},
                               {"has_voicemail", false},
                               {"conversation_id", "CN1"},
                               {"api_version", "2026-03-30"},
                               {"contacts", {kThem}}}));
  EXPECT_EQ(contact(kThem)["call_count"], 1);
  EXPECT_EQ(contact(kThem)["first_seen"], stored_at(0));
}

TEST_F(Generations, LegacyCallWithVoicemail) {
  json object = {{"id", "AC5"},
                 {"object", "call"},
                 {"from", kUs},
                 {"to", kThem},
                 {"direction", "outgoing"},
                 {"media", json::array()},
                 {"voicemail", {{"url", "https://v.example/1"}, {"type", "audio/mpeg"}, {"duration", 7}}},
                 {"status", "no-answer"},
                 {"createdAt", at(1)},
                 {"answeredAt", nullptr},
                 {"completedAt", at(20)}};
  ASSERT_TRUE(deliver({{"id", "EV5"},
                       {"object", "event"},
                       {"apiVersion", "v3"},
                       {"createdAt", at(21)},
                       {"type", "call.completed"},
                       {"data", {{"object", object}}}})
                  .done());
  EXPECT_EQ(call("AC5")["status"], "no-answer");
  EXPECT_EQ(call("AC5")["voicemail"],
            (json{{"url", "https://v.example/1"}, {"type", "audio/mpeg"}, {"duration_s", 7}, {"at", stored_at(21)}}));
  EXPECT_EQ(call("AC5")["contacts"], (json{kThem}));
}

TEST_F(Generations, PartsOfACallMeetInItsRecord) {
  auto part = [&](const char* type, json resource, int second) {
    Settled settled =
        deliver({{"id", "EV"},
                 {"apiVersion", "2026-03-30"},
                 {"createdAt", at(second)},
                 {"type", type},
                 {"data", {{"resource", std::move(resource)}, {"context", {{"conversationId", "CN1"}}}}}});
    EXPECT_TRUE(settled.done()) << type << settled.why;
  };
  part("call.summary.completed",
       {{"callId", "AC9"},
        {"processingStatus", "completed"},
        {"summary", {"Asked for a visit."}},
        {"nextSteps", {"Call back"}},
        {"fromPhoneNumber", kUs}},
       50);
  part("call.transcript.completed",
       {{"callId", "AC9"},
        {"processingStatus", "completed"},
        {"dialogue",
         json::array({{{"identifier", kThem}, {"userId", nullptr}, {"content", "Hi"}, {"start", 0.5}, {"end", 2}}})}},
       51);
  part("call.voicemail.completed",
       {{"id", "VM"},
        {"callId", "AC9"},
        {"direction", "incoming"},
        {"from", kThem},
        {"duration", 4},
        {"recordingUrl", "https://v.example/2"},
        {"transcript", "Call me"}},
       52);
  part("call.recording.completed",
       {{"callId", "AC9"},
        {"recordings", json::array({{{"id", "RE1"}, {"url", "https://r.example/1"}, {"duration", 30}}})}},
       53);
  part("call.recording.completed",
       {{"callId", "AC9"}, {"recordings", json::array({{{"id", "RE1"}, {"url", "https://r.example/2"}}})}}, 54);
  ASSERT_TRUE(deliver(current_call("AC9", "call.completed", "answered", 40)).done());
  json stored = call("AC9");
  EXPECT_EQ(stored["status"], "answered");
  EXPECT_EQ(stored["summary"], (json{{"status", "completed"},
                                     {"lines", {"Asked for a visit."}},
                                     {"next_steps", {"Call back"}},
                                     {"at", stored_at(50)}}));
  EXPECT_EQ(stored["transcript"]["lines"],
            json::array({{{"speaker", kThem}, {"content", "Hi"}, {"start_s", 0}, {"end_s", 2}}}));
  EXPECT_EQ(stored["voicemail"]["transcript"], "Call me");
  EXPECT_EQ(stored["recordings"], json::array({{{"id", "RE1"}, {"url", "https://r.example/2"}, {"duration_s", 30}}}));
  EXPECT_EQ(contact(kThem)["call_count"], 1);  // once, whatever the number of events
  EXPECT_TRUE(contact(kUs).is_null());
}

TEST_F(Generations, LegacyRecordingIsTheCallObject) {
  json object = {{"id", "AC7"},
                 {"object", "call"},
                 {"from", kThem},
                 {"to", kUs},
                 {"direction", "incoming"},
                 {"status", "completed"},
                 {"media", json::array({{{"url", "https://r.example/9"}, {"type", "audio/mpeg"}, {"duration", 12}}})}};
  ASSERT_TRUE(deliver({{"id", "EV7"},
                       {"apiVersion", "v3"},
                       {"createdAt", at(3)},
                       {"type", "call.recording.completed"},
                       {"data", {{"object", object}}}})
                  .done());
  EXPECT_EQ(call("AC7")["recordings"],
            json::array({{{"url", "https://r.example/9"}, {"type", "audio/mpeg"}, {"duration_s", 12}}}));
  EXPECT_FALSE(call("AC7").contains("status"));
}

TEST_F(Generations, ALongTranscriptIsCutAndSaysSo) {
  json dialogue = json::array();
  for (int i = 0; i < 100; ++i) dialogue.push_back({{"content", std::string(1000, 'x')}});
  ASSERT_TRUE(
      deliver({{"type", "call.transcript.completed"},
               {"data", {{"object", {{"object", "callTranscript"}, {"callId", "AC1"}, {"dialogue", dialogue}}}}}})
          .done());
  EXPECT_EQ(call("AC1")["transcript"]["truncated"], true);
  EXPECT_EQ(call("AC1")["transcript"]["lines"].size(), 65u);
}

TEST_F(Generations, UnknownTypesAreLoggedAndDone) {
  for (const char* type : {"unknown", "contact.updated", "task.created", "message.exploded", "call.teleported"}) {
    Settled settled = deliver_text(type, "[1,2,3]");
    EXPECT_TRUE(settled.done()) << type;
    EXPECT_THAT(host.log().back().text, HasSubstr(type));
  }
  size_t lines = host.log().size();
  EXPECT_TRUE(deliver_text("opt_out", "{}").done());
  EXPECT_EQ(host.log().size(), lines);
  EXPECT_TRUE(host.records().empty());
}

}  // namespace
}  // namespace openphone_test
