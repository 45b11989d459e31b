// The plugin's configuration and what it declares.
#include <gmock/gmock.h>

#include <algorithm>

#include "postern/ext/health.h"
#include "postern/ext/routes.h"
#include "tests/unit/twilio/twilio_host.h"

namespace twilio_test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

std::vector<std::string> faults_of(const std::string& config, const std::string& public_url = "https://h.example",
                                   bool trusts_proxies = false) {
  FakeHost host(entry(), {.name = "twilio", .public_url = public_url, .trusts_proxies = trusts_proxies});
  auto started = host.start(config);
  EXPECT_EQ(started.ok(), started.faults.empty()) << config << started.error;
  std::vector<std::string> texts;
  for (const auto& fault : started.faults) texts.push_back(fault.pointer + ": " + fault.text);
  return texts;
}

TEST(TwilioConfig, WhatIsRightIsTaken) {
  EXPECT_THAT(faults_of(kConfig), IsEmpty());
  EXPECT_THAT(faults_of(json{{"auth_tokens", {"a", "b"}}, {"account_sid", kAccount}, {"greeting", "Hello"}}.dump()), IsEmpty());
  EXPECT_THAT(faults_of(R"({"auth_tokens":["a"],"account_sid":null,"greeting":""})"), IsEmpty());
  EXPECT_THAT(faults_of(json{{"auth_tokens", std::vector<std::string>(10, "a")}, {"greeting", std::string(4096, 'x')}}.dump()),
              IsEmpty());
}

TEST(TwilioConfig, AllFaultsAreToldAtOnceWithTheirPlaces) {
  EXPECT_THAT(faults_of(R"({"auth_tokens":["", 5, "a"], "account_sid":"AC12", "greeting":7, "auth_token":"x", "greetings":1,
                            "a/b~c":1})"),
              UnorderedElementsAre(AllOf(HasSubstr("/auth_tokens/0: "), HasSubstr("is empty")),
                                   AllOf(HasSubstr("/auth_tokens/1: "), HasSubstr("must be a string")),
                                   AllOf(HasSubstr("/account_sid: "), HasSubstr("AC and 32 hex digits")),
                                   AllOf(HasSubstr("/greeting: "), HasSubstr("must be a string")),
                                   AllOf(HasSubstr("/auth_token: "), HasSubstr("did you mean 'auth_tokens'?")),
                                   AllOf(HasSubstr("/greetings: "), HasSubstr("did you mean 'greeting'?")),
                                   AllOf(HasSubstr("/a~1b~0c: "), HasSubstr("unknown key"), Not(HasSubstr("did you mean")))));
}

TEST(TwilioConfig, TokensAreNeeded) {
  for (const char* config : {"{}", "null", R"({"auth_tokens":null})", R"({"greeting":"x"})"}) {
    EXPECT_THAT(faults_of(config), ElementsAre(HasSubstr(": auth_tokens is missing"))) << config;
  }
  EXPECT_THAT(faults_of(R"({"auth_tokens":[]})"), ElementsAre(HasSubstr("/auth_tokens: auth_tokens is empty")));
  EXPECT_THAT(faults_of(R"({"auth_tokens":"x"})"), ElementsAre(HasSubstr("/auth_tokens: auth_tokens must be a list")));
  EXPECT_THAT(faults_of(json{{"auth_tokens", std::vector<std::string>(11, "a")}}.dump()),
              ElementsAre(HasSubstr("/auth_tokens: auth_tokens has more than 10")));
}

TEST(TwilioConfig, Bounds) {
  EXPECT_THAT(faults_of(json{{"auth_tokens", {"a"}}, {"greeting", std::string(4097, 'x')}}.dump()),
              ElementsAre(HasSubstr("/greeting: greeting is longer than 4096 bytes")));
  for (std::string sid : {"", "AC", "ac0123456789abcdef0123456789abcdef", "AC0123456789abcdef0123456789abcdeg",
                          "AC0123456789abcdef0123456789abcdef0", "SK0123456789abcdef0123456789abcdef"}) {
    EXPECT_THAT(faults_of(json{{"auth_tokens", {"a"}}, {"account_sid", sid}}.dump()), ElementsAre(HasSubstr("/account_sid: ")))
        << sid;
  }
}

TEST(TwilioConfig, StreamPath) {
  EXPECT_THAT(faults_of(R"({"auth_tokens":["a"],"stream_path":"/calls/stream%20a"})"), IsEmpty());
  EXPECT_THAT(faults_of(R"({"auth_tokens":["a"],"stream_path":7})"), ElementsAre(HasSubstr("/stream_path: stream_path must be a string")));
  for (const char* path : {"", "stream", "wss://h.example/a"}) {
    EXPECT_THAT(faults_of(json{{"auth_tokens", {"a"}}, {"stream_path", path}}.dump()), ElementsAre(HasSubstr("must begin with '/'"))) << path;
  }
  for (const std::string& path : std::vector<std::string>{"/a?b=c", "/a#b", "/a b", "/\xC3\xA9", "/a\n", "/<b>", "/" + std::string(1024, 'x')}) {
    EXPECT_THAT(faults_of(json{{"auth_tokens", {"a"}}, {"stream_path", path}}.dump()), ElementsAre(HasSubstr("is not the path of a URL")))
        << path;
  }
}

TEST(TwilioConfig, ApiUrl) {
  for (const char* url : {"https://api.twilio.com", "https://api.dublin.ie1.twilio.com/", "http://127.0.0.1:8081", "http://[::1]:80/x",
                          "http://localhost"}) {
    EXPECT_THAT(faults_of(json{{"auth_tokens", {"a"}}, {"account_sid", kAccount}, {"api_url", url}}.dump()), IsEmpty()) << url;
  }
  for (const char* url : {"", "api.twilio.com", "http://api.twilio.com", "http://127.0.0.1.example.com", "http://localhost.example.com/",
                          "https://", "https://a:b@api.twilio.com", "https://h.example/?a", "https://h.example/#a", "https://h .example",
                          "ftp://127.0.0.1"}) {
    EXPECT_THAT(faults_of(json{{"auth_tokens", {"a"}}, {"account_sid", kAccount}, {"api_url", url}}.dump()),
                ElementsAre(HasSubstr("/api_url: api_url is not an address")))
        << url;
  }
}

TEST(TwilioConfig, ApiKey) {
  auto faults = [](const json& key, bool account = true) {
    json config = {{"auth_tokens", {"a"}}, {"api_key", key}};
    if (account) config["account_sid"] = kAccount;
    return faults_of(config.dump());
  };
  const std::string sid = "SK0123456789abcdef0123456789abcdef";
  EXPECT_THAT(faults({{"sid", sid}, {"secret", "hunter2"}}), IsEmpty());
  EXPECT_THAT(faults({{"sid", sid}, {"secret", "hunter2"}}, false), ElementsAre(HasSubstr("/api_key: api_key needs account_sid beside it")));
  EXPECT_THAT(faults("hunter2"), ElementsAre("/api_key: api_key must be a mapping: {sid: SK…, secret: …}"));
  EXPECT_THAT(faults({{"sid", sid}}), ElementsAre("/api_key: api_key needs its secret"));
  EXPECT_THAT(faults({{"secret", "hunter2"}}), ElementsAre("/api_key: api_key needs its sid"));
  EXPECT_THAT(faults({{"sid", "hunter2"}, {"secret", ""}}),
              UnorderedElementsAre("/api_key/sid: api_key.sid is not SK and 32 hex digits",
                                   "/api_key/secret: api_key.secret must be a string that is not empty"));
  EXPECT_THAT(faults({{"sid", sid}, {"secret", "hunter2"}, {"secrets", "hunter2"}}),
              ElementsAre(AllOf(HasSubstr("/api_key/secrets: "), HasSubstr("did you mean 'secret'?"), Not(HasSubstr("hunter2")))));
}

TEST(TwilioConfig, WhatIsNoMappingIsRefused) {
  for (const char* config : {"[]", "7", "\"x\"", "{", ""}) {
    EXPECT_THAT(faults_of(config), ElementsAre(": config must be a mapping")) << config;
  }
}

TEST(TwilioConfig, NoFaultQuotesASecret) {
  auto faults = faults_of(R"({"auth_tokens":"hunter2","account_sid":"hunter2","greeting":["hunter2"]})");
  EXPECT_EQ(faults.size(), 3u);
  for (const std::string& fault : faults) EXPECT_THAT(fault, Not(HasSubstr("hunter2")));
}

TEST(TwilioConfig, TheUrlThatIsCalledMustBeKnown) {
  EXPECT_THAT(faults_of(kConfig, ""), ElementsAre(HasSubstr(": gateway.public_url is needed: Twilio signs the URL")));
  EXPECT_THAT(faults_of(kConfig, "", true), IsEmpty());
}

TEST(TwilioDeclarations, SchemeAndRoutes) {
  Host host;
  ASSERT_EQ(host.schemes().size(), 1u);
  EXPECT_EQ(host.schemes()[0].name, "twilio");
  EXPECT_EQ(host.schemes()[0].header, "X-Twilio-Signature");
  EXPECT_TRUE(host.schemes()[0].functions && host.schemes()[0].can_sign);
  ASSERT_EQ(host.routes().size(), 2u);
  const auto& incoming = host.routes()[0];
  EXPECT_EQ(incoming.path, "/api/v1/webhooks/incoming-call");
  EXPECT_EQ(incoming.kind, static_cast<uint32_t>(POSTERN_ROUTE_REPLY));
  EXPECT_EQ(incoming.flags, static_cast<uint32_t>(POSTERN_ROUTE_RECORDED));
  EXPECT_EQ(incoming.type_from, "const:call.incoming");
  EXPECT_EQ(incoming.deadline_ms, 10'000u);
  EXPECT_THAT(incoming.schemes, ElementsAre(std::pair("twilio", "form:CallSid")));
  const auto& status = host.routes()[1];
  EXPECT_EQ(status.path, "/api/v1/webhooks/call-status");
  EXPECT_EQ(status.kind, static_cast<uint32_t>(POSTERN_ROUTE_EVENT));
  EXPECT_EQ(status.type_from, "const:call.status");
  EXPECT_THAT(status.schemes, ElementsAre(std::pair("twilio", "form:CallSid+form:CallStatus+form:SequenceNumber")));
  for (const auto& route : host.routes()) {
    EXPECT_EQ(route.method, "POST");
    EXPECT_EQ(route.content_types, kForm);
    EXPECT_EQ(route.required, "form:CallSid");
    EXPECT_EQ(route.order_key_from, "form:CallSid");
    EXPECT_EQ(route.max_body, 256u * 1024);
  }
}

TEST(TwilioDeclarations, HealthCountsTokensAndShowsNone) {
  Host host(R"({"auth_tokens":["hunter2","hunter3"]})");
  auto health = host.health();
  ASSERT_EQ(health.size(), 1u);
  EXPECT_EQ(health[0].name, "twilio");
  EXPECT_EQ(health[0].status, static_cast<uint32_t>(POSTERN_CONFIGURED));
  EXPECT_EQ(json::parse(health[0].details_json), (json{{"auth_tokens", 2}, {"account_sid_set", false}}));
  EXPECT_THAT(health[0].message + health[0].details_json, Not(HasSubstr("hunter")));
}

// The samples, filled in and signed as `postern send` does, are genuine, carry what the routes need, and are answered or handled.
TEST(TwilioDeclarations, EverySampleGoesTheWholeWay) {
  Host host(json{{"auth_tokens", {kToken}}, {"account_sid", kAccount}}.dump());
  std::vector<std::string> names;
  for (const auto& sample : host.samples()) {
    names.push_back(sample.name);
    std::string body = sample.body;
    for (size_t i; (i = body.find("{{id}}")) != body.npos;) body.replace(i, 6, "1a2b3c4d5e6f1a2b3c4d5e6f");
    ASSERT_EQ(body.find("{{"), body.npos) << body;
    Request one{.target = sample.target, .headers = {{"Content-Type", sample.content_type}}, .body = body};
    auto done = host.sign("twilio", one);
    ASSERT_TRUE(done.ok()) << done.error;
    one.headers.insert(one.headers.end(), done.headers.begin(), done.headers.end());
    EXPECT_TRUE(host.accepts(one)) << sample.name;
    if (sample.name == "incoming-call") {
      EXPECT_EQ(host.reply(one).status, 200u);
    }
    auto settled = host.deliver({.type = sample.name == "incoming-call" ? "call.incoming" : "call.status",
                                 .body = body,
                                 .headers = {{"Content-Type", sample.content_type}}});
    EXPECT_TRUE(settled.done()) << settled.why;
  }
  EXPECT_THAT(names, ElementsAre("incoming-call", "call-status"));
  auto record = host.record("calls", "CA1a2b3c4d5e6f1a2b3c4d5e6f00000000");
  ASSERT_TRUE(record);
  EXPECT_EQ(json::parse(record->json)["status"], "completed");
}

TEST(TwilioDeclarations, OtherEventsAreLoggedAndStoredOnly) {
  Host host;
  auto settled = host.deliver({.type = "something.else"});
  EXPECT_TRUE(settled.done());
  EXPECT_TRUE(host.records().empty());
  ASSERT_FALSE(host.log().empty());
  EXPECT_THAT(host.log().back().text, HasSubstr("twilio.something.else"));
}

}  // namespace
}  // namespace twilio_test
