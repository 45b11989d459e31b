// Payloads that no provider sends: dead with a reason, never a crash, and nothing of them is kept.
#include <gmock/gmock.h>

#include <random>

#include "tests/unit/openphone/openphone_host.h"

namespace openphone_test {
namespace {

using ::testing::HasSubstr;

class Hostile : public OpenPhoneTest {
 protected:
  void expect_dead(const std::string& type, const std::string& body, const char* reason) {
    Settled settled = deliver_text(type, body);
    EXPECT_EQ(settled.outcome, POSTERN_DEAD) << body.substr(0, 200);
    EXPECT_THAT(settled.why, HasSubstr(reason)) << body.substr(0, 200);
    EXPECT_TRUE(host.records().empty()) << body.substr(0, 200);
  }
};

TEST_F(Hostile, Shapes) {
  for (const char* type : {"message.received", "call.completed", "call.summary.completed"}) {
    expect_dead(type, "", "not JSON");
    expect_dead(type, "{", "not JSON");
    expect_dead(type, "{\"data\":\"\xff\xfe\"}", "not JSON");
    expect_dead(type, "[]", "must be an object");
    expect_dead(type, "7", "must be an object");
    expect_dead(type, "{}", "/data: is missing");
    expect_dead(type, R"({"data":null})", "/data: is missing");
    expect_dead(type, R"({"data":[]})", "/data: must be an object");
    expect_dead(type, R"({"data":{}})", "/data: is empty");
    expect_dead(type, R"({"data":{"resource":"x"}})", "/data/resource: must be an object");
    expect_dead(type, R"({"data":{"object":7}})", "/data/object: must be a string");
    expect_dead(type, R"({"id":{},"data":{"id":"a"}})", "/id: must be a string");
    expect_dead(type, R"({"data":{"id":7}})", ": must be a string");
  }
}

TEST_F(Hostile, FieldsOfAMessage) {
  auto with = [](const char* name, json value) {
    json event = current_message("AC1", "Hello", 1);
    event["data"]["resource"][name] = std::move(value);
    return event.dump();
  };
  expect_dead("message.received", with("text", 7), "/data/resource/text: must be a string");
  expect_dead("message.received", with("to", {1, 2}), "/data/resource/to: must be a list of strings");
  expect_dead("message.received", with("to", json::object()), "/data/resource/to");
  expect_dead("message.received", with("media", "x"), "/data/resource/media: must be a list of objects");
  expect_dead("message.received", with("media", {1}), "/data/resource/media");
  expect_dead("message.received", with("media", json::array({{{"url", 1}}})), "/data/resource/media/0/url");
  expect_dead("message.received", with("direction", "sideways"), "/data/resource/direction");
  expect_dead("message.received", with("createdAt", 5), "/data/resource/createdAt");
  expect_dead("message.received", with("errorCode", 1.5), "/data/resource/errorCode");
  expect_dead("message.received", with("id", std::string(201, 'a')), "id is longer");
  expect_dead("message.received", with("id", "a b"), "not plain ASCII");
  expect_dead("message.received", with("id", std::string("a\0b", 3)), "not plain ASCII");
  json context = current_message("AC1", "Hello", 1);
  context["data"]["context"] = "x";
  expect_dead("message.received", context.dump(), "/data/context: must be an object");
}

TEST_F(Hostile, FieldsOfACall) {
  auto with = [](const char* name, json value) {
    json event = current_call("AC1", "call.completed", "answered", 1);
    event["data"]["resource"][name] = std::move(value);
    return event.dump();
  };
  expect_dead("call.completed", with("duration", "long"), "/data/resource/duration: must be a number");
  expect_dead("call.completed", with("duration", -1), "/data/resource/duration");
  expect_dead("call.completed", with("duration", 1e300), "/data/resource/duration");
  expect_dead("call.completed", with("hasVoicemail", "no"), "/data/resource/hasVoicemail");
  expect_dead("call.completed", with("voicemail", true), "/data/resource/voicemail");
  expect_dead("call.summary.completed", R"({"data":{"resource":{"summary":["x"]}}})", "no id is given");
  expect_dead("call.transcript.completed", R"({"data":{"resource":{"callId":"a","dialogue":{}}}})", "/dialogue");
}

TEST_F(Hostile, ACrowdOfRecipients) {
  json event = current_message("AC1", "Hello", 1);
  event["type"] = "message.delivered";
  event["data"]["resource"]["direction"] = "outgoing";
  json& to = event["data"]["context"]["recipientIdentifiers"];
  to = json::array();
  for (int i = 0; i < 10000; ++i) to.push_back("+1415" + std::to_string(1000000 + i));
  expect_dead("message.delivered", event.dump(), "more than 50 numbers");
}

TEST_F(Hostile, DepthAndSize) {
  std::string deep =
      R"({"data":{"resource":{"id":"AC1","x":)" + std::string(100000, '[') + std::string(100000, ']') + "}}}";
  EXPECT_TRUE(deliver_text("message.received", deep).handled);  // what is not read may be as it is
  EXPECT_TRUE(deliver(current_message("AC2", std::string(1 << 20, 'x'), 1)).done());
  json huge = current_message("AC3", std::string(5 << 20, 'x'), 1);
  Settled settled = deliver(huge);
  EXPECT_EQ(settled.outcome, POSTERN_DEAD);
  EXPECT_THAT(settled.why, HasSubstr("bound"));
}

// 2^64, -2^63 - 1 and a fraction that no double holds exactly, next to their neighbours within 64 bits.
TEST_F(Hostile, NumbersOfAnySize) {
  auto with = [](const std::string& field) { return R"({"data":{"resource":{"id":"AC1",)" + field + "}}}"; };
  const std::string wide = R"("x":[18446744073709551616,-9223372036854775809,0.1234567890123456789012],)"
                           R"("y":"\"18446744073709551616")";
  EXPECT_TRUE(deliver_text("message.received", with(wide)).done());
  EXPECT_TRUE(deliver_text("message.received", with(wide + R"(,"errorCode":18446744073709551615)")).done());
  EXPECT_EQ(message("AC1")["error_code"], "18446744073709551615");
  host.set_record("messages", "AC1", "{}");
  EXPECT_TRUE(deliver_text("message.received", with(R"("errorCode":-9223372036854775808)")).done());
  EXPECT_EQ(message("AC1")["error_code"], "-9223372036854775808");
  std::string deep = with(wide + ",\"z\":" + std::string(5000, '[') + "99999999999999999999" + std::string(5000, ']'));
  EXPECT_TRUE(deliver_text("message.received", deep).done());
}

TEST_F(Hostile, NumbersThatAreNone) {
  for (const char* number : {"1e999", "-", "01", "1.", ".5", "+1", "1e", "0x1", "018446744073709551616",
                             "18446744073709551616e", "18446744073709551616x", "- 1"}) {
    expect_dead("message.received", R"({"data":{"resource":{"id":"AC1","x":)" + std::string(number) + "}}}",
                "not JSON");
  }
  expect_dead("message.received", R"({"data":{"resource":{"id":"AC1","errorCode":18446744073709551616}}})",
              "/data/resource/errorCode: must be a string");
  expect_dead("call.completed", R"({"data":{"resource":{"id":"AC1","duration":18446744073709551616}}})",
              "/data/resource/duration: must be a duration");
  expect_dead("message.received", "18446744073709551616", "must be an object");
}

TEST_F(Hostile, OfTwoFieldsOfOneNameTheLastOneCounts) {
  EXPECT_TRUE(deliver_text("message.received", R"({"data":7,"data":{"resource":{"id":7,"text":"a","id":"AC1",)"
                                               R"("te\u0078t":"b","status":"sent","status":null}}})")
                  .done());
  EXPECT_EQ(message("AC1")["text"], "b");
  EXPECT_EQ(message("AC1")["status"], "received");
}

TEST_F(Hostile, TimesThatAreNone) {
  for (const char* time :
       {"yesterday", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
        "2026-11-01T10:00:00", "2026-11-01T25:00:00Z", "2026-11-01T10:00:00.Z", "2026-11-01T10:00:00+99:00", ""}) {
    json event = current_message("AC1", "Hello", 1);
    event["createdAt"] = time;
    event["data"]["resource"]["createdAt"] = time;
    ASSERT_TRUE(deliver(event).done()) << time;
    EXPECT_EQ(message("AC1")["status_at"].get<std::string>().substr(0, 7), "2026-11") << time;  // its arrival
    EXPECT_FALSE(message("AC1").contains("created_at")) << time;
  }
  json zoned = current_message("AC2", "Hello", 1);
  zoned["createdAt"] = "2026-11-01T12:30:00.1234567+02:30";
  ASSERT_TRUE(deliver(zoned).done());
  EXPECT_EQ(message("AC2")["status_at"], "2026-11-01T10:00:00.123Z");
}

// Well-formed events with parts replaced, removed and renamed at random: each ends done or dead with a reason.
class Mutator {
 public:
  explicit Mutator(uint32_t seed) : random_(seed) {}

  void mutate(json& value) {
    if (below(6) == 0) {
      value = anything(0);
    } else if (value.is_object() && !value.empty()) {
      auto it = std::next(value.begin(), static_cast<int64_t>(below(value.size())));
      if (below(8) == 0) {
        value.erase(it);
      } else {
        mutate(it.value());
      }
    } else if (value.is_array() && !value.empty()) {
      mutate(value[below(value.size())]);
    } else {
      value = anything(0);
    }
  }

  size_t below(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random_); }

 private:
  json anything(int depth) {
    switch (below(depth > 3 ? 8 : 10)) {
      case 0:
        return nullptr;
      case 1:
        return below(2) == 0;
      case 2:
        return -static_cast<int64_t>(below(1000));
      case 3:
        return UINT64_MAX;
      case 4:
        return 1e308;
      case 5:
        return "";
      case 6:
        return std::string(below(300), static_cast<char>(1 + below(126)));
      case 7:
        return below(2) == 0 ? "+14155550177" : "STOP";
      case 8: {
        json list = json::array();
        for (size_t i = below(5); i > 0; --i) list.push_back(anything(depth + 1));
        return list;
      }
      default: {
        constexpr const char* kNames[] = {"id",       "from",  "to",  "text", "object",
                                          "resource", "media", "url", "at",   "duration"};
        json object = json::object();
        for (size_t i = below(5); i > 0; --i) object[kNames[below(std::size(kNames))]] = anything(depth + 1);
        return object;
      }
    }
  }
  std::mt19937 random_;
};

TEST_F(Hostile, RandomPayloads) {
  constexpr const char* kTypes[] = {"message.received",         "message.delivered",      "call.completed",
                                    "call.recording.completed", "call.summary.completed", "call.transcript.completed",
                                    "call.voicemail.completed"};
  const json models[] = {current_message("AC1", "Hello", 1), legacy_message("v2", "AC2", "STOP"),
                         legacy_message("v4", "AC3", "x"), current_call("AC4", "call.completed", "answered", 3)};
  Mutator mutator(20261120);
  size_t done = 0, dead = 0;
  for (int i = 0; i < 20000; ++i) {
    json event = models[mutator.below(std::size(models))];
    for (size_t n = mutator.below(4); n > 0; --n) mutator.mutate(event);
    std::string body = event.dump(-1, ' ', false, json::error_handler_t::replace);
    if (mutator.below(20) == 0) body.resize(mutator.below(body.size() + 1));
    Settled settled = deliver_text(kTypes[mutator.below(std::size(kTypes))], body);
    ASSERT_TRUE(settled.outcome == POSTERN_OK || settled.outcome == POSTERN_DEAD) << settled.why << " for " << body;
    ASSERT_EQ(settled.outcome == POSTERN_DEAD, !settled.why.empty()) << body;
    (settled.done() ? done : dead) += 1;
  }
  EXPECT_GT(done, 2000u);
  EXPECT_GT(dead, 2000u);
  for (const auto& [key, stored] : host.records()) {
    ASSERT_TRUE(json::accept(stored.json)) << key.second;
    ASSERT_TRUE(key.first != "contacts" || key.second.starts_with('+')) << key.second;
  }
}

}  // namespace
}  // namespace openphone_test
