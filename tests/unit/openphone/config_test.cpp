// The plugin's configuration and what it declares.
#include <gmock/gmock.h>

#include <algorithm>
#include <cstring>

#include "postern/ext/health.h"
#include "tests/unit/openphone/openphone_host.h"

namespace openphone_test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr const char* kWhsec = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
constexpr const char* kSigningKey = "R2ZLM2o0bFhBNVpyUnU2NG9mYXQ1MHNyR3pvSUhIVVg=";

std::vector<std::string> faults_of(const std::string& config) {
  FakeHost host(entry(), {.name = "openphone"});
  auto started = host.start(config);
  EXPECT_EQ(started.ok(), started.faults.empty()) << config;
  std::vector<std::string> texts;
  for (const auto& fault : started.faults) texts.push_back(fault.pointer + ": " + fault.text);
  return texts;
}

TEST(OpenPhoneConfig, OneSecretOfAnyKindIsEnough) {
  EXPECT_THAT(faults_of(json{{"webhook_secrets", {kWhsec}}}.dump()), IsEmpty());
  EXPECT_THAT(faults_of(json{{"webhook_secrets", {"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}}}.dump()), IsEmpty());
  EXPECT_THAT(faults_of(json{{"signing_keys", {kSigningKey}}}.dump()), IsEmpty());
  EXPECT_THAT(faults_of(json{{"shared_secrets", {"any text"}}}.dump()), IsEmpty());
  EXPECT_THAT(faults_of(json{{"shared_secrets", {"a"}}, {"signing_keys", nullptr}}.dump()), IsEmpty());
}

TEST(OpenPhoneConfig, NoSecretIsRefused) {
  EXPECT_THAT(faults_of("{}"), ElementsAre(HasSubstr(": no secret")));
  EXPECT_THAT(faults_of("null"), ElementsAre(HasSubstr(": no secret")));
  EXPECT_THAT(faults_of(R"({"webhook_secrets":[]})"), ElementsAre(HasSubstr(": no secret")));
}

TEST(OpenPhoneConfig, AllFaultsAreToldAtOnceWithTheirPlaces) {
  EXPECT_THAT(faults_of(R"({"webhook_secrets":["", "whsec_*", 5, "whsec_"], "signing_keys":"abc", "shared_secrets":[""],
                            "webhook_secret":[], "a/b~c":1})"),
              ::testing::UnorderedElementsAre(
                  AllOf(HasSubstr("/webhook_secrets/0: "), HasSubstr("is empty")),
                  AllOf(HasSubstr("/webhook_secrets/1: "), HasSubstr("whsec_<base64>")),
                  AllOf(HasSubstr("/webhook_secrets/2: "), HasSubstr("must be a string")),
                  AllOf(HasSubstr("/webhook_secrets/3: "), HasSubstr("whsec_<base64>")),
                  AllOf(HasSubstr("/signing_keys: "), HasSubstr("must be a list")),
                  AllOf(HasSubstr("/shared_secrets/0: "), HasSubstr("is empty")),
                  AllOf(HasSubstr("/webhook_secret: "), HasSubstr("did you mean 'webhook_secrets'?")),
                  AllOf(HasSubstr("/a~1b~0c: "), HasSubstr("unknown key"), Not(HasSubstr("did you mean")))));
}

TEST(OpenPhoneConfig, WhatIsNoMappingIsRefused) {
  for (const char* config : {"[]", "7", "\"x\"", "{", ""}) {
    EXPECT_THAT(faults_of(config), ElementsAre(": config must be a mapping")) << config;
  }
}

TEST(OpenPhoneConfig, NoFaultQuotesASecret) {
  for (const std::string& fault : faults_of(R"({"webhook_secrets":["hunter2!"],"signing_keys":["hunter2!"]})")) {
    EXPECT_THAT(fault, Not(HasSubstr("hunter2")));
  }
}

TEST(OpenPhoneDeclarations, OnlySchemesWithSecretsExistInOrderOfAge) {
  FakeHost all(entry());
  ASSERT_TRUE(all.start(json{{"webhook_secrets", {kWhsec}},
                             {"signing_keys", {kSigningKey, kSigningKey}},
                             {"shared_secrets", {"s"}}}
                            .dump())
                  .ok());
  ASSERT_EQ(all.schemes().size(), 3u);
  EXPECT_EQ(all.schemes()[0].name, "standard");
  EXPECT_EQ(all.schemes()[0].header, "webhook-signature");
  EXPECT_EQ(all.schemes()[0].signed_bytes, "{id}.{timestamp}.{body}");
  EXPECT_EQ(all.schemes()[1].format, "hmac;1;{timestamp};{signature}");
  EXPECT_EQ(all.schemes()[1].secrets.size(), 2u);
  EXPECT_EQ(all.schemes()[2].timestamp_header, "x-openphone-timestamp");
  EXPECT_THAT(all.routes().at(0).schemes,
              ElementsAre(std::pair("standard", "header:webhook-id"), std::pair("legacy", "json:/id"),
                          std::pair("shared", "json:/id")));
  FakeHost one(entry());
  ASSERT_TRUE(one.start(R"({"shared_secrets":["s"]})").ok());
  ASSERT_EQ(one.schemes().size(), 1u);
  EXPECT_EQ(one.schemes()[0].name, "shared");
}

TEST(OpenPhoneDeclarations, Route) {
  FakeHost host(entry());
  ASSERT_TRUE(host.start(kConfig).ok());
  const auto& route = host.routes().at(0);
  EXPECT_EQ(route.method, "POST");
  EXPECT_EQ(route.path, "/api/v1/webhooks/openphone");
  EXPECT_EQ(route.content_types, "application/json");
  EXPECT_EQ(route.type_from, "json:/type");
  EXPECT_EQ(route.order_key_from.find("json:/data/context/conversationId|"), 0u);
}

TEST(OpenPhoneDeclarations, HealthCountsSecretsAndShowsNone) {
  FakeHost host(entry());
  ASSERT_TRUE(host.start(R"({"shared_secrets":["hunter2","hunter3"]})").ok());
  auto health = host.health();
  ASSERT_EQ(health.size(), 1u);
  EXPECT_EQ(health[0].name, "openphone");
  EXPECT_EQ(health[0].status, static_cast<uint32_t>(POSTERN_CONFIGURED));
  EXPECT_EQ(json::parse(health[0].details_json),
            (json{{"webhook_secrets", 0}, {"signing_keys", 0}, {"shared_secrets", 2}}));
  EXPECT_EQ((health[0].message + health[0].details_json).find("hunter"), std::string::npos);
}

// The samples, filled in as `postern send` does, go the whole way.
TEST(OpenPhoneDeclarations, EverySampleIsHandled) {
  FakeHost host(entry(), {.name = "openphone"});
  ASSERT_TRUE(host.start(kConfig).ok());
  std::vector<std::string> names;
  for (const auto& sample : host.samples()) {
    std::string body = sample.body;
    for (const auto& [mark, value] : {std::pair("{{id}}", "1a2b"), std::pair("{{now}}", "2026-11-01T10:00:00Z")}) {
      for (size_t i; (i = body.find(mark)) != std::string::npos;) body.replace(i, std::strlen(mark), value);
    }
    ASSERT_EQ(body.find("{{"), std::string::npos) << sample.name;
    postern::testing::Event event;
    event.type = json::parse(body).at("type");
    event.body = body;
    EXPECT_TRUE(host.deliver(event).done()) << sample.name;
    EXPECT_EQ(sample.target, host.routes().at(0).path);
    names.push_back(sample.name);
  }
  EXPECT_THAT(names, ElementsAre("message.received", "message.delivered", "call.completed", "message.received.v3"));
  EXPECT_TRUE(host.record("contacts", kThem).has_value());
  EXPECT_FALSE(host.record("contacts", kUs).has_value());
}

}  // namespace
}  // namespace openphone_test
