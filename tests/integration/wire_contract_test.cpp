// The HTTP contract towards providers, row by row, on the wire.
#include <gmock/gmock.h>

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/integration/openphone_test.h"

namespace postern::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

class WireContractTest : public OpenphoneTest {};

TEST_F(WireContractTest, CommittedEventIsQueued) {
  const std::string id = new_event_id();
  const std::string body = message_body(id, "CN-wire");
  const Response response = gateway().post_signed(id, body);
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(status_of(response), "queued");
  EXPECT_THAT(event_id_of(response), MatchesRegex("evt_[0-9A-Za-z]+"));
  EXPECT_THAT(response.header("Content-Type").value_or(""), HasSubstr("application/json"));
  EXPECT_EQ(json_of(response).size(), 2u) << "a provider's answer carries nothing else: " << response.body;

  const auto rows = gateway().store().rows(
      "SELECT provider, type, order_key, method, target, body, headers, remote FROM event WHERE external_id = ?", {id});
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0][0], "openphone");
  EXPECT_EQ(rows[0][1], "openphone.message.received");
  EXPECT_EQ(rows[0][2], "CN-wire");
  EXPECT_EQ(rows[0][3], "POST");
  EXPECT_EQ(rows[0][4], kOpenphonePath);
  EXPECT_EQ(rows[0][5], body) << "the body is kept byte for byte";
  EXPECT_THAT(rows[0][6], HasSubstr("webhook-id"));
  EXPECT_THAT(rows[0][7], HasSubstr("127.0.0.1"));
}

TEST_F(WireContractTest, EachSchemeIsAccepted) {
  const std::string legacy_id = new_event_id();
  const std::string legacy_body = message_body(legacy_id);
  EXPECT_EQ(
      status_of(gateway().post(sign_legacy(gateway().legacy_key(), unix_milliseconds(), legacy_body), legacy_body)),
      "queued");
  const std::string own_id = new_event_id();
  const std::string own_body = message_body(own_id);
  EXPECT_EQ(status_of(gateway().post(sign_own(gateway().own_secret(), unix_seconds(), own_body), own_body)), "queued");
  for (const auto& id : {legacy_id, own_id}) {
    EXPECT_EQ(gateway().store().number("SELECT count(*) FROM event WHERE external_id = ?", {id}), 1) << id;
  }
}

TEST_F(WireContractTest, DuplicateIsAnsweredWithTheFirstOnesId) {
  const std::string id = new_event_id();
  const std::string body = message_body(id);
  const std::string first = event_id_of(gateway().post_signed(id, body));
  for (int i = 0; i < 3; ++i) {
    const Response again = gateway().post_signed(id, body);
    EXPECT_EQ(status_of(again), "duplicate_ignored");
    EXPECT_EQ(event_id_of(again), first);
  }
  EXPECT_EQ(gateway().store().number("SELECT count(*) FROM event WHERE external_id = ?", {id}), 1);
}

TEST_F(WireContractTest, DuplicatesAreRecognisedInEveryScheme) {
  const std::string body = message_body(new_event_id());
  const auto legacy = [&] {
    return status_of(gateway().post(sign_legacy(gateway().legacy_key(), unix_milliseconds(), body), body));
  };
  EXPECT_EQ(legacy(), "queued");
  EXPECT_EQ(legacy(), "duplicate_ignored");
  const std::string other = message_body(new_event_id());
  const auto own = [&] {
    return status_of(gateway().post(sign_own(gateway().own_secret(), unix_seconds(), other), other));
  };
  EXPECT_EQ(own(), "queued");
  EXPECT_EQ(own(), "duplicate_ignored");
}

TEST_F(WireContractTest, ConcurrentDuplicatesAreOneEvent) {
  const std::string id = new_event_id();
  const std::string body = message_body(id);
  Headers headers = gateway().sign(id, body);
  headers.emplace_back("Content-Type", "application/json");
  const std::string request = request_text("POST", kOpenphonePath, headers, body);
  std::vector<WireClient> clients;
  for (int i = 0; i < 16; ++i) clients.push_back(gateway().connect());
  for (auto& client : clients) client.send(request);
  int queued = 0;
  std::set<std::string> ids;
  for (auto& client : clients) {
    const auto response = client.read_response();
    ASSERT_TRUE(response);
    queued += status_of(*response) == "queued" ? 1 : 0;
    ids.insert(event_id_of(*response));
  }
  EXPECT_EQ(queued, 1);
  EXPECT_EQ(ids.size(), 1u);
}

TEST_F(WireContractTest, WithoutAnIdTheBodyIdentifies) {
  const std::string body =
      R"({"type":"message.received","data":{"object":{"body":"no id"}},"salt":")" + new_event_id() + "\"}";
  const auto post = [&] {
    return gateway().post(sign_legacy(gateway().legacy_key(), unix_milliseconds(), body), body);
  };
  const std::string first = event_id_of(post());
  EXPECT_NE(first, "");
  const Response again = post();
  EXPECT_EQ(status_of(again), "duplicate_ignored");
  EXPECT_EQ(event_id_of(again), first);
}

TEST_F(WireContractTest, WithoutATypeItIsUnknown) {
  const std::string id = new_event_id();
  EXPECT_EQ(status_of(gateway().post_signed(id, "{}")), "queued");
  EXPECT_EQ(
      gateway().store().number("SELECT count(*) FROM event WHERE external_id = ? AND type = 'openphone.unknown'", {id}),
      1);
}

// Everything that can be wrong with a signature. The answers must not tell which it was.
std::vector<std::pair<std::string, Headers>> bad_signatures(const Gateway& gateway, const std::string& body) {
  const std::string id = new_event_id();
  const Headers good = gateway.sign(id, body);
  const auto with = [&good](size_t i, const std::string& value) {
    Headers headers = good;
    headers[i].second = value;
    return headers;
  };
  const auto without = [&good](size_t i) {
    Headers headers = good;
    headers.erase(headers.begin() + static_cast<std::ptrdiff_t>(i));
    return headers;
  };
  const auto doubled = [&good](size_t i) {
    Headers headers = good;
    headers.push_back(good[i]);
    return headers;
  };
  const auto at = [&](int64_t offset) {
    return sign_standard(gateway.standard_secret(), id, unix_seconds(offset), body);
  };
  const std::string signature = good[2].second;
  const std::string ms = unix_milliseconds();
  const std::string legacy = sign_legacy(gateway.legacy_key(), ms, body)[0].second;
  return {
      {"no signature headers", {}},
      {"no signature", without(2)},
      {"no timestamp", without(1)},
      {"no id", without(0)},
      {"empty signature", with(2, "")},
      {"garbage signature", with(2, "nonsense")},
      {"no version", with(2, signature.substr(3))},
      {"unknown version", with(2, "v9," + signature.substr(3))},
      {"truncated signature", with(2, signature.substr(0, signature.size() - 4))},
      {"longer signature", with(2, signature + "AAAA")},
      {"not base64", with(2, "v1,!" + signature.substr(4))},
      {"other id", with(0, new_event_id())},
      {"empty id", with(0, "")},
      {"other timestamp", with(1, unix_seconds(-1))},
      {"timestamp with a sign", with(1, "+" + good[1].second)},
      {"timestamp of letters", with(1, "yesterday")},
      {"timestamp beyond 64 bits", with(1, "99999999999999999999999")},
      {"empty timestamp", with(1, "")},
      {"too old", at(-310)},
      {"too far ahead", at(310)},
      {"the beginning of time", sign_standard(gateway.standard_secret(), id, "0", body)},
      {"other secret", sign_standard(new_standard_secret(), id, unix_seconds(), body)},
      {"other body", gateway.sign(id, body + " ")},
      {"doubled signature", doubled(2)},
      {"doubled timestamp", doubled(1)},
      {"doubled id", doubled(0)},
      {"legacy with another key", sign_legacy(new_legacy_key(), ms, body)},
      {"legacy, too old", sign_legacy(gateway.legacy_key(), unix_milliseconds(-310), body)},
      {"legacy, too far ahead", sign_legacy(gateway.legacy_key(), unix_milliseconds(310), body)},
      {"legacy with another version", {{"openphone-signature", "hmac;2;" + legacy.substr(7)}}},
      {"legacy with a fifth field", {{"openphone-signature", legacy + ";x"}}},
      {"legacy with three fields", {{"openphone-signature", "hmac;1;" + ms}}},
      {"legacy doubled", {{"openphone-signature", legacy}, {"openphone-signature", legacy}}},
      {"own with another secret", sign_own(new_own_secret(), unix_seconds(), body)},
      {"own, too old", sign_own(gateway.own_secret(), unix_seconds(-310), body)},
      {"own, too far ahead", sign_own(gateway.own_secret(), unix_seconds(310), body)},
      {"own without a timestamp", {sign_own(gateway.own_secret(), unix_seconds(), body)[0]}},
      {"own, odd number of digits", {{"X-OpenPhone-Signature", "abc"}, {"X-OpenPhone-Timestamp", unix_seconds()}}},
  };
}

TEST_F(WireContractTest, EveryBadSignatureHasTheSameAnswer) {
  const std::string body = message_body(new_event_id());
  EXPECT_TRUE(stores_nothing([&] {
    std::set<std::string> bodies;
    for (const auto& [name, headers] : bad_signatures(gateway(), body)) {
      const Response response = gateway().post(headers, body);
      EXPECT_EQ(response.status, 401) << name;
      bodies.insert(response.body);
      EXPECT_EQ(bodies.size(), 1u) << name << " is told apart: " << response.body;
    }
  }));
}

TEST_F(WireContractTest, TimestampsWithinTheToleranceAreAccepted) {
  for (const int64_t offset : {-290, 290}) {
    const std::string id = new_event_id();
    const std::string body = message_body(id);
    EXPECT_EQ(
        status_of(gateway().post(sign_standard(gateway().standard_secret(), id, unix_seconds(offset), body), body)),
        "queued");
  }
}

TEST_F(WireContractTest, AnyEntryOfASignatureListMayMatch) {
  const std::string id = new_event_id();
  const std::string body = message_body(id);
  Headers headers = gateway().sign(id, body);
  headers[2].second = "v1a,AAAA v1," + base64(random_bytes(32)) + " " + headers[2].second;
  EXPECT_EQ(status_of(gateway().post(headers, body)), "queued");
}

TEST_F(WireContractTest, ContentTypeIsChecked) {
  const std::string id = new_event_id();
  const std::string body = message_body(id);
  const auto status = [&](const Headers& extra) {
    Headers headers = gateway().sign(id, body);
    headers.insert(headers.end(), extra.begin(), extra.end());
    return gateway().request("POST", kOpenphonePath, headers, body).status;
  };
  EXPECT_TRUE(stores_nothing([&] {
    EXPECT_EQ(status({{"Content-Type", "text/plain"}}), 415);
    EXPECT_EQ(status({{"Content-Type", "application/x-www-form-urlencoded"}}), 415);
    EXPECT_EQ(status({{"Content-Type", "application/jsonx"}}), 415);
    EXPECT_EQ(status({{"Content-Type", "application/json"}, {"Content-Encoding", "gzip"}}), 415);
  }));
  EXPECT_EQ(status({{"Content-Type", "Application/JSON; charset=utf-8"}}), 200);
}

TEST_F(WireContractTest, UnknownPathsAndMethods) {
  EXPECT_EQ(gateway().request("POST", "/no/such/route", {}, "{}").status, 404);
  EXPECT_EQ(gateway().request("GET", "/").status, 404);
  EXPECT_EQ(gateway().request("POST", std::string(kOpenphonePath) + "/", {}, "{}").status, 404);
  const Response response = gateway().request("GET", kOpenphonePath);
  EXPECT_EQ(response.status, 405);
  EXPECT_THAT(response.header("Allow").value_or(""), HasSubstr("POST"));
  const Response health = gateway().request("POST", "/health", {}, "{}");
  EXPECT_EQ(health.status, 405);
  EXPECT_THAT(health.header("Allow").value_or(""), HasSubstr("GET"));
}

TEST_F(WireContractTest, HealthAnswers) {
  EXPECT_EQ(gateway().request("GET", "/health").status, 200);
  for (const char* path : {"/api/health/", "/api/health/openphone"}) {
    const Response response = gateway().request("GET", path);
    EXPECT_EQ(response.status, 200) << path;
    const auto json = json_of(response);
    ASSERT_TRUE(json.is_object()) << response.body;
    EXPECT_TRUE(json.contains("timestamp"));
    EXPECT_TRUE(json.contains("overall_status"));
    ASSERT_TRUE(json.contains("integrations") && json["integrations"].contains("openphone")) << response.body;
    const std::string status = json["integrations"]["openphone"].value("status", "");
    EXPECT_THAT(status, ::testing::AnyOf("healthy", "configured")) << response.body;
    EXPECT_TRUE(json["integrations"]["openphone"].contains("message"));
  }
  EXPECT_EQ(gateway().request("GET", "/api/health/no-such-thing").status, 404);
}

TEST_F(WireContractTest, PathsAreDecodedOnceAndStrictly) {
  const std::string id = new_event_id();
  const std::string body = message_body(id);
  Headers headers = gateway().sign(id, body);
  headers.emplace_back("Content-Type", "application/json");
  const auto status = [&](std::string_view target) { return gateway().request("POST", target, headers, body).status; };
  EXPECT_TRUE(stores_nothing([&] {
    for (const char* target :
         {"/api/v1/webhooks/x/../openphone", "/api/v1/webhooks/./openphone", "/api/v1%2fwebhooks/openphone",
          "/api/v1/webhooks/openphone%00", "/api/v1/webhooks/openphone%ff", "/api/v1/webhooks/openphone%",
          "/api/v1/webhooks/openphone%zz", "/api/v1/webhooks/%2e%2e/webhooks/openphone",
          "/api/v1/webhooks/%256fpenphone", "//api/v1/webhooks/openphone", "api/v1/webhooks/openphone"}) {
      EXPECT_THAT(status(target), ::testing::AnyOf(400, 404)) << target;
    }
  }));
  EXPECT_EQ(status("/api/v1/webhooks/%6fpenphone"), 200);
}

TEST_F(WireContractTest, AbsoluteFormTargetsAreAccepted) {
  const std::string id = new_event_id();
  const std::string body = message_body(id);
  Headers headers = gateway().sign(id, body);
  headers.emplace_back("Content-Type", "application/json");
  const std::string target = "http://somewhere.test" + std::string(kOpenphonePath);
  EXPECT_EQ(status_of(gateway().request("POST", target, headers, body)), "queued");
}

TEST_F(WireContractTest, HeaderNamesInAnyCase) {
  const std::string id = new_event_id();
  const std::string body = message_body(id);
  Headers headers = gateway().sign(id, body);
  headers[0].first = "Webhook-Id";
  headers[1].first = "WEBHOOK-TIMESTAMP";
  headers[2].first = "weBHook-signATure";
  headers.emplace_back("content-TYPE", "application/json");
  EXPECT_EQ(status_of(gateway().request("POST", kOpenphonePath, headers, body)), "queued");
}

}  // namespace
}  // namespace postern::testing
