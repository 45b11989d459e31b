// What records say after duplicates, events out of order, conflicts and opt-outs.
#include <gmock/gmock.h>

#include <algorithm>

#include "tests/unit/openphone/openphone_host.h"

namespace openphone_test {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class Records : public OpenPhoneTest {
 protected:
  json delivered(const std::string& id, const std::string& status, int second) {
    json event = current_message(id, "Hello", second);
    event["type"] = "message." + status;
    event["data"]["resource"]["direction"] = "outgoing";
    event["data"]["resource"]["status"] = status;
    event["data"]["resource"]["createdAt"] = at(1);
    event["data"]["context"]["senderIdentifier"] = kUs;
    event["data"]["context"]["recipientIdentifiers"] = {kThem};
    return event;
  }
  Settled say(const std::string& id, const std::string& text, int second) {
    Settled settled = deliver(current_message(id, text, second));
    EXPECT_TRUE(settled.done()) << settled.why;
    return settled;
  }
};

TEST_F(Records, ARedeliveryChangesNothing) {
  ASSERT_TRUE(deliver(current_message("AC1", "STOP", 1)).done());
  ASSERT_TRUE(deliver(current_call("AC9", "call.completed", "answered", 2)).done());
  auto before = host.records();
  ASSERT_TRUE(deliver(current_message("AC1", "STOP", 1)).done());
  ASSERT_TRUE(deliver(current_call("AC9", "call.completed", "answered", 2)).done());
  auto after = host.records();
  ASSERT_EQ(before.size(), after.size());
  for (const auto& [key, stored] : before)
    EXPECT_EQ(after[key].version, stored.version) << key.first << "/" << key.second;
  EXPECT_THAT(host.emitted(), SizeIs(1));
}

TEST_F(Records, AnEarlierEventDoesNotOverwriteALaterStatus) {
  ASSERT_TRUE(deliver(delivered("AC1", "delivered", 9)).done());
  ASSERT_TRUE(deliver(delivered("AC1", "sent", 5)).done());
  EXPECT_EQ(message("AC1")["status"], "delivered");
  EXPECT_EQ(message("AC1")["status_at"], stored_at(9));
  ASSERT_TRUE(deliver(delivered("AC1", "failed", 12)).done());
  EXPECT_EQ(message("AC1")["status"], "failed");
  EXPECT_EQ(contact(kThem)["message_count"], 1);
}

TEST_F(Records, AnEarlierEventFillsInWhatIsMissing) {
  json late = delivered("AC1", "delivered", 9);
  late["data"]["resource"].erase("text");
  ASSERT_TRUE(deliver(late).done());
  EXPECT_FALSE(message("AC1").contains("text"));
  ASSERT_TRUE(deliver(delivered("AC1", "sent", 5)).done());
  EXPECT_EQ(message("AC1")["text"], "Hello");
  EXPECT_EQ(message("AC1")["status"], "delivered");
}

TEST_F(Records, InTheSameMillisecondTheStateThatIsFurtherOnCounts) {
  ASSERT_TRUE(deliver(delivered("AC1", "delivered", 9)).done());
  ASSERT_TRUE(deliver(delivered("AC1", "sent", 9)).done());
  EXPECT_EQ(message("AC1")["status"], "delivered");
}

// All orders of the events of one call end in the same record.
TEST_F(Records, CallEventsInAnyOrder) {
  std::vector<json> events = {current_call("AC9", "call.ringing", "ringing", 1),
                              current_call("AC9", "call.answered", "in-progress", 5),
                              current_call("AC9", "call.completed", "answered", 40)};
  events[2]["data"]["resource"].update({{"answeredAt", at(5)}, {"completedAt", at(40)}, {"duration", 35}});
  std::vector<size_t> order = {0, 1, 2};
  json expected;
  do {
    FakeHost one(entry(), {.name = "openphone"});
    ASSERT_TRUE(one.start(kConfig).ok());
    for (size_t i : order) {
      postern::testing::Event event;
      event.type = events[i]["type"];
      event.body = events[i].dump();
      event.received_at = kArrival;
      ASSERT_TRUE(one.deliver(event).done());
    }
    json stored = json::parse(one.record("calls", "AC9")->json);
    EXPECT_EQ(stored["status"], "answered");
    EXPECT_EQ(stored["duration_s"], 35);
    if (expected.is_null()) expected = stored;
    EXPECT_EQ(stored, expected);
    EXPECT_EQ(json::parse(one.record("contacts", kThem)->json)["call_count"], 1);
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_F(Records, AClockThatRunsAheadDoesNotShutOutWhatFollows) {
  json ahead = delivered("AC1", "sent", 5);
  ahead["createdAt"] = "2999-01-01T00:00:00Z";
  ASSERT_TRUE(deliver(ahead).done());
  json next = delivered("AC1", "delivered", 5);
  next["createdAt"] = "2999-01-01T00:00:00Z";
  ASSERT_TRUE(deliver(next).done());
  EXPECT_EQ(message("AC1")["status"], "delivered");
  EXPECT_LT(message("AC1")["status_at"].get<std::string>(), "2027");
}

TEST_F(Records, SeenTimesAreTheOutermost) {
  say("AC2", "b", 20);
  say("AC3", "c", 30);
  say("AC1", "a", 10);
  json c = contact(kThem);
  EXPECT_EQ(c["first_seen"], stored_at(10));
  EXPECT_EQ(c["last_seen"], stored_at(30));
  EXPECT_EQ(c["message_count"], 3);
}

// Another conversation with the same contact settles between our read and our write.
TEST_F(Records, TwoConversationsWithOneContactLoseNoUpdate) {
  say("AC1", "a", 1);
  host.before_settle([&] {
    json other = contact(kThem);
    other["message_count"] = 41;
    host.set_record("contacts", kThem, other.dump());
  });
  Settled settled = say("AC2", "b", 2);
  EXPECT_EQ(settled.reruns, 1u);
  EXPECT_EQ(contact(kThem)["message_count"], 42);
}

TEST_F(Records, ADamagedRecordIsWrittenAnew) {
  host.set_record("contacts", kThem, R"({"message_count":"many","opted_out":"yes","first_seen":7,"flagged":[]})");
  host.set_record("messages", "AC1", R"([1,2])");
  say("AC1", "a", 1);
  EXPECT_EQ(contact(kThem)["message_count"], 1);
  EXPECT_EQ(contact(kThem)["first_seen"], stored_at(1));
  EXPECT_EQ(message("AC1")["text"], "a");
}

// Byte for byte: fields in order, without spaces, escaped only where JSON wants it; and so they stay.
TEST_F(Records, TheTextOfARecord) {
  json event = current_message("AC1", "\"a\\b\"/\n\t\b\f\r\x01\x1f\x7f caf\u00e9 \U0001F600", 1);
  event["data"]["context"]["userId"] = "U\"\x02";
  event["data"]["resource"]["media"] = json::array({{{"url", "https://m.example/\"\x03\n"}, {"duration", 2.5}}});
  ASSERT_TRUE(deliver(event).done());
  std::string expected =
      R"({"api_version":"2026-03-30","contacts":["+14155550123"],"conversation_id":"CN1",)"
      R"("created_at":"2026-11-01T10:00:01.000Z","direction":"incoming","from":"+14155550123","id":"AC1",)"
      R"("media":[{"duration_s":2,"url":"https://m.example/\"\u0003\n"}],"phone_number_id":"PN1","status":"received",)"
      R"("status_at":"2026-11-01T10:00:01.000Z","text":"\"a\\b\"/\n\t\b\f\r\u0001\u001f)"
      "\x7f caf\u00e9 \U0001F600"
      R"(","to":["+14155550100"],"user_id":"U\"\u0002"})";
  EXPECT_EQ(host.record("messages", "AC1")->json, expected);
  json later = event;
  later["type"] = "message.delivered";
  later["createdAt"] = at(2);
  ASSERT_TRUE(deliver(later).done());
  expected.replace(expected.find("10:00:01.000Z\",\"text"), 8, "10:00:02");
  EXPECT_EQ(host.record("messages", "AC1")->json, expected);
  EXPECT_EQ(host.record("contacts", kThem)->json,
            R"({"call_count":0,"first_seen":"2026-11-01T10:00:01.000Z","flagged":false,)"
            R"("last_seen":"2026-11-01T10:00:01.000Z","message_count":1,"opted_out":false,"phone":"+14155550123"})");
}

TEST_F(Records, OptOutWords) {
  int n = 0;
  for (const char* word :
       {"STOP", "stop", " Stop. ", "\"STOP\"", "END", "cancel", "Unsubscribe!", "QUIT", "StopAll", "revoke", "OPTOUT",
        "opt-out", "Opt Out", "\u201cSTOP\u201d", "stop\u2026", "\u00a0stop\u00a0", "\nstop\r\n"}) {
    std::string phone = "+141555502" + std::to_string(10 + n);
    json event = current_message("AC" + std::to_string(n++), word, 1);
    event["data"]["context"]["senderIdentifier"] = phone;
    Settled settled = deliver(event);
    json c = contact(phone);
    EXPECT_EQ(c["opted_out"], true) << word;
    EXPECT_EQ(c["consent_at"], stored_at(1)) << word;
    EXPECT_EQ(c["flagged"], false) << word;
    ASSERT_THAT(settled.emitted, SizeIs(1)) << word;
  }
}

TEST_F(Records, AnOptOutIsEmittedWithItsFacts) {
  Settled settled = say("AC1", "Stop.", 1);
  ASSERT_THAT(settled.emitted, SizeIs(1));
  EXPECT_EQ(settled.emitted[0].type, "openphone.opt_out");
  EXPECT_THAT(host.critical_types(), ::testing::ElementsAre("message.received", "opt_out")) << "nobody may miss that";
  EXPECT_EQ(json::parse(settled.emitted[0].body), (json{{"contact", kThem},
                                                        {"word", "STOP"},
                                                        {"message_id", "AC1"},
                                                        {"at", stored_at(1)},
                                                        {"conversation_id", "CN1"}}));
  EXPECT_THAT(say("AC2", "STOP", 2).emitted, IsEmpty());  // has opted out already
  EXPECT_EQ(contact(kThem)["consent_message"], "AC2");
}

TEST_F(Records, OptInAfterOptOut) {
  say("AC1", "STOP", 1);
  say("AC2", "start", 2);
  EXPECT_EQ(contact(kThem)["opted_out"], false);
  EXPECT_EQ(contact(kThem)["consent_word"], "START");
  EXPECT_THAT(say("AC3", "STOP", 3).emitted, SizeIs(1));
  EXPECT_EQ(contact(kThem)["opted_out"], true);
  for (const char* word : {"UNSTOP", "Yes!"}) {
    say(std::string("AC") + word, word, 4 + (word[0] == 'Y'));
    EXPECT_EQ(contact(kThem)["opted_out"], false) << word;
  }
}

TEST_F(Records, AnOlderWordDoesNotUndoANewerOne) {
  say("AC2", "START", 20);
  EXPECT_THAT(say("AC1", "STOP", 10).emitted, IsEmpty());
  EXPECT_EQ(contact(kThem)["opted_out"], false);
  say("AC4", "STOP", 40);
  say("AC3", "START", 30);
  EXPECT_EQ(contact(kThem)["opted_out"], true);
  say("AC5", "START", 40);  // of the same millisecond: "no" counts
  EXPECT_EQ(contact(kThem)["opted_out"], true);
}

TEST_F(Records, FreeTextRevocationsAreFlagged) {
  int n = 0;
  for (const char* text :
       {"please stop", "STOP texting me", "stop!!! now", "I want to unsubscribe from this", "Don't text me again",
        "don\u2019t contact us", "please end this", "take me off your list", "stop \xF0\x9F\x9B\x91"}) {
    std::string phone = "+141555503" + std::to_string(10 + n);
    json event = current_message("AC" + std::to_string(n++), text, 1);
    event["data"]["context"]["senderIdentifier"] = phone;
    EXPECT_THAT(deliver(event).emitted, IsEmpty()) << text;
    EXPECT_EQ(contact(phone)["flagged"], true) << text;
    EXPECT_EQ(contact(phone)["flagged_at"], stored_at(1)) << text;
    EXPECT_EQ(contact(phone)["opted_out"], false) << text;
  }
}

TEST_F(Records, OrdinaryTextIsNeither) {
  for (const char* text : {"", "   ", "...", "Hello", "nonstop flight", "The weekend is fine",
                           "see you at the end of the month", "HELP", "I have a question about the quitclaim deed"}) {
    say("AC1", text, 1);
    EXPECT_EQ(contact(kThem)["opted_out"], false) << text;
    EXPECT_EQ(contact(kThem)["flagged"], false) << text;
  }
}

TEST_F(Records, WhatWeWriteIsNobodysOptOut) {
  json event = delivered("AC1", "delivered", 1);
  event["data"]["resource"]["text"] = "STOP";
  EXPECT_THAT(deliver(event).emitted, IsEmpty());
  EXPECT_EQ(contact(kThem)["opted_out"], false);
}

}  // namespace
}  // namespace openphone_test
