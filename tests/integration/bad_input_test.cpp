// Hostile and broken input: a clear refusal, nothing stored, the gateway unharmed.
#include <gmock/gmock.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/integration/openphone_test.h"

namespace postern::testing {
namespace {

using ::testing::AnyOf;

class BadInputTest : public OpenphoneTest {
 protected:
  int status_of_signed(const std::string& body) { return gateway().post_signed(new_event_id(), body).status; }

  static std::string nested(size_t levels) {  // of arrays, in one object: levels + 1 in all
    return R"({"id":"EV1","type":"message.received","deep":)" + std::string(levels, '[') + std::string(levels, ']') +
           "}";
  }
};

TEST_F(BadInputTest, MalformedBodiesAreRefusedAfterVerification) {
  const std::vector<std::pair<const char*, std::string>> bodies = {
      {"empty", ""},
      {"white space", "  "},
      {"cut off", R"({"id":"EV1","type")"},
      {"something after the end", R"({"id":"EV1","type":"x"} x)"},
      {"two texts", R"({"id":"EV1","type":"x"}{"id":"EV2","type":"x"})"},
      {"single quotes", "{'id':'EV1'}"},
      {"trailing comma", R"({"id":"EV1",})"},
      {"comment", R"({"id":"EV1"/**/})"},
      {"raw control character", "{\"id\":\"EV\n1\"}"},
      {"raw NUL", std::string("{\"id\":\"EV\0001\"}", 13)},
      {"NUL at the end", std::string("{\"id\":\"EV1\"}\0", 13)},
      {"invalid UTF-8", "{\"id\":\"EV\xff\"}"},
      {"overlong UTF-8", "{\"id\":\"EV\xc0\xaf\"}"},
      {"UTF-8 surrogate", "{\"id\":\"EV\xed\xa0\x80\"}"},
      {"half an escaped surrogate", R"({"id":"EV\ud800"})"},
      {"number of a plus", R"({"id":"EV1","n":+1})"},
      {"not a number", R"({"id":"EV1","n":NaN})"},
      {"a number", "12"},
      {"a string", "\"EV1\""},
      {"null", "null"},
      {"an array", R"([{"id":"EV1","type":"x"}])"},
      {"form", "id=EV1&type=message.received"},
      {"10,000 levels", nested(10'000)},
      {"65 levels", nested(64)},
      {"200,000 open brackets", std::string(200'000, '[')},
  };
  EXPECT_TRUE(stores_nothing([&] {
    for (const auto& [name, body] : bodies) {
      EXPECT_EQ(status_of_signed(body), 422) << name;
      EXPECT_EQ(gateway().post({}, body).status, 401) << name << ": an unsigned one learns nothing of the body";
    }
  }));
}

TEST_F(BadInputTest, UnusualBodiesAreAccepted) {
  EXPECT_EQ(status_of_signed(nested(63)), 200) << "64 levels";
  EXPECT_EQ(status_of_signed(R"({"id":"EV1","type":"x","n":123456789012345678901234567890})"), 200);
  EXPECT_EQ(status_of_signed("\r\n { \"id\" : \"EV1\" , \"type\" : \"x\" } \n"), 200);
  EXPECT_EQ(status_of_signed(R"({"id":"\u0000\ud83d\ude00","type":"message.received"})"), 200);
  EXPECT_EQ(status_of_signed(R"({"id":{"a":1},"type":["x"],"data":"text"})"), 200)
      << "unknown shapes are kept, not lost";
}

// Valid JSON of the wrong shape must not hurt the handler either.
TEST_F(BadInputTest, HandlersStandTheWrongShape) {
  for (const char* type : {"message.received", "message.delivered", "call.completed"}) {
    for (const char* data : {"null", "[]", "\"x\"", "{}", R"({"object":[]})", R"({"resource":7,"context":[]})",
                             R"({"object":{"from":{},"to":[[1]],"body":9,"conversationId":{}}})"}) {
      const std::string id = new_event_id();
      const std::string body = R"({"id":")" + id + R"(","type":")" + type + R"(","data":)" + data + "}";
      EXPECT_EQ(status_of(gateway().post_signed(id, body)), "queued") << body;
    }
  }
  EXPECT_TRUE(eventually(milliseconds(20000), [&] {
    return gateway().store().number(
               "SELECT count(*) FROM delivery WHERE state = 'queued' AND attempts = 0 OR state = 'running'") == 0;
  })) << "every delivery was tried";
}

TEST_F(BadInputTest, HugeHeaders) {
  EXPECT_TRUE(stores_nothing([&] {
    EXPECT_EQ(refusal_of("GET /health HTTP/1.1\r\nHost: a\r\nX: " + std::string(1 << 20, 'a') + "\r\n\r\n"), 431);
    EXPECT_EQ(refusal_of("GET /health HTTP/1.1\r\nHost: a\r\n" + std::string(1 << 20, 'a')), 431) << "without an end";
    EXPECT_THAT(refusal_of("GET /" + std::string(1 << 20, 'a')), AnyOf(414, 431));
    EXPECT_THAT(refusal_of(std::string(1 << 20, 'a')), AnyOf(400, 414, 431)) << "no request line at all";
  }));
}

TEST_F(BadInputTest, LyingLengths) {
  const std::string body = message_body(new_event_id());
  const auto request = [&](const std::string& length, const std::string& text) {
    Headers headers = gateway().sign(new_event_id(), body);
    headers.insert(headers.end(), {{"Content-Type", "application/json"}, {"Content-Length", length}});
    return request_text("POST", kOpenphonePath, headers) + text;
  };
  EXPECT_TRUE(stores_nothing([&] {
    // Shorter than the body: what is left is not a request, and the body is not the one that was signed.
    WireClient client = gateway().connect();
    client.send(request(std::to_string(body.size() - 10), body));
    const auto first = client.read_response();
    ASSERT_TRUE(first);
    EXPECT_EQ(first->status, 401);
    const auto second = client.read_response();
    EXPECT_TRUE(!second || second->status == 400);
    EXPECT_THAT(refusal_of(request("18446744073709551616", body)), AnyOf(400, 413)) << "2^64";
    EXPECT_THAT(refusal_of(request("9223372036854775808", body)), AnyOf(400, 413)) << "2^63";
    EXPECT_EQ(refusal_of(request("4294967297", body)), 413) << "2^32 + 1";
  }));
}

TEST_F(BadInputTest, HeaderValuesAreKeptAsTheyAre) {
  const std::string id = "EV \xe2\x82\xac =?utf-8?Q?x?= \"'<>&;%00" + new_event_id();
  const std::string body = message_body(new_event_id());
  EXPECT_EQ(status_of(gateway().post_signed(id, body)), "queued") << "what was signed is what was sent";
  EXPECT_EQ(gateway().store().number("SELECT count(*) FROM event WHERE external_id = ?", {id}), 1);
}

TEST_F(BadInputTest, LongIdsAreKeptOrRefusedWhole) {
  const std::string id = std::string(5000, 'i') + new_event_id();
  const std::string body = message_body(new_event_id());
  const int status = gateway().post_signed(id, body).status;
  EXPECT_THAT(status, AnyOf(200, 422));
  EXPECT_EQ(gateway().store().number("SELECT count(*) FROM event WHERE external_id = ?", {id}), status == 200 ? 1 : 0);
}

TEST_F(BadInputTest, SecretsAreNotInTheLog) {
  const std::string id = new_event_id();
  const std::string body = message_body(id);
  const Headers forged = sign_standard(new_standard_secret(), id, unix_seconds(), body);
  EXPECT_EQ(gateway().post(forged, body).status, 401);
  const Headers good = gateway().sign(id, body);
  EXPECT_EQ(gateway().post(good, body).status, 200);
  const std::string log = gateway().log();
  for (const auto& secret : {gateway().standard_secret(), gateway().standard_secret().substr(6), gateway().legacy_key(),
                             gateway().own_secret(), good[2].second.substr(3), forged[2].second.substr(3)}) {
    EXPECT_EQ(log.find(secret), std::string::npos) << secret;
  }
}

TEST_F(BadInputTest, ConnectionsThatComeAndGo) {
  EXPECT_TRUE(stores_nothing([&] {
    for (int i = 0; i < 300; ++i) {
      WireClient client = gateway().connect();
      if (i % 3 != 0) client.send("POST /api/v1/webhooks/openphone HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{");
      if (i % 2 == 0) client.abort();
    }
  }));
}

}  // namespace
}  // namespace postern::testing
