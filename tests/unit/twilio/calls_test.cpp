// The records of calls: in any order, more than once, and with fields that are none.
#include <gmock/gmock.h>

#include <algorithm>

#include "tests/unit/twilio/twilio_host.h"

namespace twilio_test {
namespace {

using ::testing::HasSubstr;

constexpr const char* kSid = "CA0000000000000000000000000000000a";

Fields status_fields(const std::string& status, int sequence, int second) {
  return {{"CallSid", kSid},
          {"AccountSid", kAccount},
          {"From", "+14155550123"},
          {"To", "+14155550100"},
          {"Direction", "inbound"},
          {"CallStatus", status},
          {"SequenceNumber", std::to_string(sequence)},
          {"Timestamp", "Sun, 01 Nov 2026 10:00:" + std::string(second < 10 ? "0" : "") + std::to_string(second) + " +0000"}};
}
std::string at(int second) {
  return "2026-11-01T10:00:" + std::string(second < 10 ? "0" : "") + std::to_string(second) + ".000Z";
}

Fields final_fields(const std::string& status, int sequence, int second) {
  Fields fields = status_fields(status, sequence, second);
  fields.emplace_back("CallDuration", "34");
  return fields;
}

class Calls : public ::testing::Test {
 protected:
  postern::testing::Settled deliver(const Fields& fields, const char* type = "call.status") {
    return host.deliver(
        {.type = type, .body = to_form(fields), .headers = {{"Content-Type", kForm}}, .received_at = kArrival});
  }
  void expect_done(const Fields& fields, const char* type = "call.status") {
    auto settled = deliver(fields, type);
    EXPECT_TRUE(settled.done()) << settled.why;
    EXPECT_EQ(settled.result, json({{"call_id", kSid}}).dump());
  }
  json call() {
    auto stored = host.record("calls", kSid);
    return stored ? json::parse(stored->json) : json();
  }
  Host host;
};

TEST_F(Calls, AWholeCall) {
  expect_done({{"CallSid", kSid}, {"CallStatus", "ringing"}, {"From", "+14155550123"}, {"To", "+14155550100"},
               {"Direction", "inbound"}, {"ApiVersion", "2010-04-01"}},
              "call.incoming");
  EXPECT_EQ(call(), (json{{"id", kSid}, {"direction", "incoming"}, {"from", "+14155550123"}, {"to", {"+14155550100"}},
                          {"api_version", "2010-04-01"}, {"status", "ringing"}, {"status_at", "2026-11-18T11:06:40.000Z"},
                          {"created_at", "2026-11-18T11:06:40.000Z"}}));
  expect_done(status_fields("initiated", 0, 1));
  expect_done(status_fields("ringing", 1, 2));
  expect_done(status_fields("in-progress", 2, 5));
  EXPECT_TRUE(host.emitted().empty());
  Fields last = final_fields("completed", 3, 39);
  last.insert(last.end(), {{"RecordingSid", "RE1"}, {"RecordingUrl", "https://api.example/RE1"}, {"RecordingDuration", "30"},
                           {"AnsweredBy", "human"}});
  expect_done(last);
  EXPECT_EQ(call(), (json{{"id", kSid}, {"account_sid", kAccount}, {"direction", "incoming"}, {"from", "+14155550123"},
                          {"to", {"+14155550100"}}, {"api_version", "2010-04-01"}, {"answered_by", "human"},
                          {"status", "completed"}, {"status_at", at(39)}, {"sequence_number", 3}, {"created_at", at(1)},
                          {"answered_at", at(5)}, {"completed_at", at(39)}, {"duration_s", 34},
                          {"recordings", {{{"id", "RE1"}, {"url", "https://api.example/RE1"}, {"duration_s", 30}}}}}));
  ASSERT_EQ(host.emitted().size(), 1u);
  EXPECT_EQ(host.emitted()[0].type, "twilio.call.ended");
  EXPECT_EQ(json::parse(host.emitted()[0].body), (json{{"call_sid", kSid}, {"status", "completed"}, {"from", "+14155550123"},
                                                       {"to", "+14155550100"}, {"duration", 34}}));
}

// Each order of the callbacks, each of them twice: the same record, and one call.ended.
TEST(CallsInAnyOrder, GiveTheSameRecord) {
  std::vector<Fields> callbacks = {status_fields("initiated", 0, 1), status_fields("ringing", 1, 2),
                                   status_fields("in-progress", 2, 5), final_fields("completed", 3, 39)};
  std::vector<size_t> order = {0, 1, 2, 3};
  json expected;
  int orders = 0;
  do {
    Host host;
    for (size_t i : order) {
      for (int twice = 0; twice < 2; ++twice) {
        EXPECT_TRUE(host.deliver({.type = "call.status", .body = to_form(callbacks[i]), .headers = {{"Content-Type", kForm}},
                                  .received_at = kArrival}).done());
      }
    }
    json record = json::parse(host.record("calls", kSid)->json);
    if (expected.is_null()) expected = record;
    EXPECT_EQ(record, expected);
    EXPECT_EQ(host.emitted().size(), 1u);
    ++orders;
  } while (std::next_permutation(order.begin(), order.end()));
  EXPECT_EQ(orders, 24);
  EXPECT_EQ(expected["status"], "completed");
  EXPECT_EQ(expected["answered_at"], at(5));
}

TEST_F(Calls, AFinalStatusStays) {
  for (const char* status : {"completed", "busy", "failed", "no-answer", "canceled"}) {
    Host fresh;
    auto deliver_to = [&](const Fields& fields) {
      EXPECT_TRUE(fresh.deliver({.type = "call.status", .body = to_form(fields), .headers = {{"Content-Type", kForm}}}).done());
      return json::parse(fresh.record("calls", kSid)->json);
    };
    deliver_to(final_fields(status, 3, 39));
    EXPECT_EQ(deliver_to(status_fields("ringing", 9, 50))["status"], status);  // late, whatever its number
    EXPECT_EQ(deliver_to(status_fields("something-new", 10, 51))["status"], status);
    json after = deliver_to(final_fields("failed", 2, 52));
    EXPECT_EQ(after["status"], status);
    EXPECT_EQ(after["sequence_number"], 3);
    EXPECT_EQ(fresh.emitted().size(), 1u);
  }
}

TEST_F(Calls, OlderSequenceNumbersDoNotCount) {
  expect_done(status_fields("in-progress", 5, 9));
  expect_done(status_fields("ringing", 4, 20));
  EXPECT_EQ(call()["status"], "in-progress");
  EXPECT_EQ(call()["sequence_number"], 5);
  expect_done(status_fields("ringing", 6, 21));
  EXPECT_EQ(call()["status"], "ringing");
}

TEST_F(Calls, WithoutSequenceNumbersTheStatusDecides) {
  Fields answered = {{"CallSid", kSid}, {"CallStatus", "in-progress"}}, ringing = {{"CallSid", kSid}, {"CallStatus", "ringing"}};
  expect_done(answered);
  expect_done(ringing);
  EXPECT_EQ(call()["status"], "in-progress");
  EXPECT_FALSE(call().contains("sequence_number"));
}

TEST_F(Calls, NothingOfTheSameEventTwice) {
  expect_done(final_fields("completed", 3, 39));
  uint64_t version = host.record("calls", kSid)->version;
  expect_done(final_fields("completed", 3, 39));
  EXPECT_EQ(host.record("calls", kSid)->version, version);
  EXPECT_EQ(host.emitted().size(), 1u);
}

TEST_F(Calls, AConcurrentWriterLosesNothing) {
  expect_done(status_fields("ringing", 1, 2));
  host.before_settle([&] {
    json other = call();
    other["status"] = "busy";
    other["sequence_number"] = 3;
    host.set_record("calls", kSid, other.dump());
  });
  auto settled = deliver(final_fields("completed", 2, 39));
  EXPECT_TRUE(settled.done()) << settled.why;
  EXPECT_EQ(settled.reruns, 1u);
  EXPECT_EQ(call()["status"], "busy");
  EXPECT_EQ(call()["duration_s"], 34);
  EXPECT_TRUE(host.emitted().empty());  // the other one told it
}

TEST_F(Calls, OutboundAndForwarded) {
  expect_done({{"CallSid", kSid}, {"Direction", "outbound-api"}, {"ForwardedFrom", "+14155550101"}});
  EXPECT_EQ(call()["direction"], "outgoing");
  EXPECT_EQ(call()["forwarded_from"], "+14155550101");
  EXPECT_FALSE(call().contains("status"));
}

TEST_F(Calls, FieldsThatAreNone) {
  for (auto [name, value] : {std::pair("SequenceNumber", "-1"), std::pair("SequenceNumber", "99999999999999999999"),
                             std::pair("SequenceNumber", "1x"), std::pair("CallDuration", "1.5"), std::pair("CallDuration", ""),
                             std::pair("Timestamp", "yesterday"), std::pair("Timestamp", "Sun, 99 Nov 2026 10:00:00 +0000"),
                             std::pair("Timestamp", "Sun, 01 Nov 9999 10:00:00 +0000"), std::pair("Direction", "sideways"),
                             std::pair("RecordingDuration", "long")}) {
    Host fresh;
    Fields fields = {{"CallSid", kSid}, {"CallStatus", "ringing"}, {name, value}};
    EXPECT_TRUE(fresh.deliver({.type = "call.status", .body = to_form(fields), .headers = {{"Content-Type", kForm}},
                               .received_at = kArrival}).done());
    EXPECT_EQ(json::parse(fresh.record("calls", kSid)->json),
              (json{{"id", kSid}, {"status", "ringing"}, {"status_at", "2026-11-18T11:06:40.000Z"},
                    {"created_at", "2026-11-18T11:06:40.000Z"}}))
        << name << "=" << value;
  }
}

TEST_F(Calls, HostileTextIsBoundedAndUtf8) {
  expect_done({{"CallSid", kSid},
               {"From", std::string(200'000, 'x')},
               {"To", std::string("\xFF\0<", 3)},
               {"CallStatus", "\x01\xC3"}});
  EXPECT_EQ(call()["from"].get<std::string>().size(), 1024u);
  EXPECT_EQ(call()["to"], json({"\xEF\xBF\xBD<"}));
  EXPECT_EQ(call()["status"], "\xEF\xBF\xBD");
}

TEST_F(Calls, WithoutAUsableCallSidDead) {
  for (const Fields& fields : {Fields{}, Fields{{"CallSid", ""}}, Fields{{"CallSid", std::string(201, 'a')}},
                               Fields{{"CallSid", "a b"}}, Fields{{"CallSid", "\xC3\xA9"}}, Fields{{"callsid", kSid}}}) {
    auto settled = deliver(fields);
    EXPECT_EQ(settled.outcome, POSTERN_DEAD);
    EXPECT_THAT(settled.why, HasSubstr("CallSid"));
  }
  EXPECT_TRUE(host.records().empty());
}

TEST_F(Calls, RecordsOfOtherShapesAreReplaced) {
  host.set_record("calls", kSid, R"(["not ours"])");
  expect_done(status_fields("ringing", 1, 2));
  EXPECT_EQ(call()["status"], "ringing");
  host.set_record("calls", kSid, R"({"status":7,"to":"x","recordings":"y","created_at":[],"sequence_number":"z"})");
  Fields last = final_fields("completed", 3, 39);
  last.emplace_back("RecordingUrl", "https://api.example/1");
  expect_done(last);
  EXPECT_EQ(call()["recordings"], json({{{"url", "https://api.example/1"}}}));
}

TEST_F(Calls, RecordingsAreBoundedAndOnceEach) {
  for (int i = 0; i < 60; ++i) {
    Fields fields = status_fields("in-progress", i, 5);
    fields.emplace_back("RecordingSid", "RE" + std::to_string(i % 55));
    expect_done(fields);
  }
  EXPECT_EQ(call()["recordings"].size(), 50u);
}

}  // namespace
}  // namespace twilio_test
