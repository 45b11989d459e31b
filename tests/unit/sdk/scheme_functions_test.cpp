// Signature schemes as functions of the plugin: verify, sign and explain in the C++ wrapper.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scripted.h"

namespace {

using postern::SchemeFunctions;
using postern::Signing;
using postern::Verification;
using postern::testing::Request;
using postern::testing::Signed;
using postern::testing::Verified;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

const Request kSigned{.target = "/r", .headers = {{"X-Sig", "good"}}};

class SchemeFunctionsTest : public postern::testing::ScriptedTest {
 protected:
  using Verify = std::function<bool(const Verification&)>;
  using Sign = std::function<void(Signing&)>;

  postern::testing::Started start_scheme(Verify verify, Sign sign = {}) {
    return start([=, this](postern::Setup& setup, std::string_view) {
      setup.scheme_functions({.name = "s", .header = "x-sig", .secrets = secrets, .verify = verify, .sign = sign});
    });
  }
  static bool true_for_good(const Verification& v) { return v.header("x-sig") == "good"; }

  std::vector<std::string> secrets = {"first secret", "second secret"};
};

TEST_F(SchemeFunctionsTest, DeclarationsArrive) {
  ASSERT_TRUE(start_scheme(&true_for_good, [](Signing&) {}).ok());
  const auto& scheme = host->schemes().at(0);
  EXPECT_EQ(scheme.name, "s");
  EXPECT_EQ(scheme.header, "x-sig");
  EXPECT_EQ(scheme.secrets, secrets);
  EXPECT_TRUE(scheme.functions);
  EXPECT_TRUE(scheme.can_sign);
  ASSERT_TRUE(start_scheme(&true_for_good).ok());
  EXPECT_FALSE(host->schemes().at(0).can_sign);
}

TEST_F(SchemeFunctionsTest, OfOtherPluginsMustBeToldToTheHost) {
  auto init = [](postern::Setup& setup, std::string_view) { setup.route({.path = "/a", .schemes = {{"other:s", "header:x-id"}}}); };
  EXPECT_FALSE(start(init).ok());
  EXPECT_THAT(host->routes(), ::testing::SizeIs(1)) << "the script's own";
  postern::testing::Options options;
  options.foreign_schemes = {"other:s"};
  auto started = start(init, options);
  ASSERT_TRUE(started.ok()) << started.error;
  EXPECT_THAT(host->routes().back().schemes, ElementsAre(Pair("other:s", "header:x-id")));
}

TEST_F(SchemeFunctionsTest, RefusedDeclarations) {
  auto started = start([](postern::Setup& setup, std::string_view) {
    std::vector<std::string> none, empty = {""}, one = {"a"};
    setup.scheme_functions({.name = "bare", .header = "x", .secrets = none, .verify = &true_for_good});
    setup.scheme_functions({.name = "blank", .header = "x", .secrets = empty, .verify = &true_for_good});
    setup.scheme_functions({.name = "headless", .secrets = one, .verify = &true_for_good});
    setup.scheme_functions({.name = "idle", .header = "x", .secrets = one});
    setup.scheme_functions({.name = "twice", .header = "x", .secrets = one, .verify = &true_for_good});
    setup.scheme({.name = "twice", .header = "x", .secrets = one});
    setup.reply({.path = "/a", .schemes = {{"twice", "form:CallSid"}}, .wait = std::chrono::seconds(1)},
                [](postern::Exchange&) {});
    setup.route({.path = "/b", .schemes = {{"twice", "form:CallSid+form:CallStatus"}}, .recorded = true});
    setup.route({.path = "/c", .schemes = {{"twice", "from:CallSid"}}});
    setup.route({.path = "/d", .schemes = {{"twice", "form:CallSid"}}, .deadline = std::chrono::seconds(1)});
    setup.route({.path = "/e", .schemes = {{"twice", "form:CallSid"}}});
  });
  EXPECT_EQ(started.status, POSTERN_E_INVALID);
  EXPECT_THAT(started.refusals,
              ElementsAre(HasSubstr("no secret"), HasSubstr("an empty secret"), HasSubstr("no header"),
                          HasSubstr("no verify function"), HasSubstr("name is empty or taken"), HasSubstr("/a: a reply route"),
                          HasSubstr("/b: POSTERN_ROUTE_RECORDED"), HasSubstr("/c: not an expression"),
                          HasSubstr("/d: an event route")));
}

TEST_F(SchemeFunctionsTest, TrueIsGenuineFalseIsDeniedAnExceptionIsNeither) {
  ASSERT_TRUE(start_scheme([](const Verification& v) {
                if (v.body() == "throw") throw std::runtime_error("no engine");
                return true_for_good(v);
              }).ok());
  EXPECT_TRUE(host->verify("s", kSigned).genuine());
  EXPECT_EQ(host->verify("s", {.headers = {{"x-sig", "bad"}}}).status, POSTERN_E_DENIED);
  Verified thrown = host->verify("s", {.headers = {{"x-sig", "good"}}, .body = "throw"});
  EXPECT_EQ(thrown.status, POSTERN_E_INTERNAL);
  EXPECT_EQ(thrown.error, "no engine");
  EXPECT_THAT(host->misuses(), IsEmpty());
}

TEST_F(SchemeFunctionsTest, OnlyARequestWithOneHeaderOfTheSchemeIsAskedAbout) {
  int asked = 0;
  ASSERT_TRUE(start_scheme([&asked](const Verification&) { return ++asked > 0; }).ok());
  EXPECT_EQ(host->verify("s", {}).status, POSTERN_E_DENIED);
  EXPECT_EQ(host->verify("s", {.headers = {{"x-sig", "a"}, {"X-Sig", "a"}}}).status, POSTERN_E_DENIED);
  EXPECT_EQ(asked, 0);
  EXPECT_EQ(host->verify("other", kSigned).status, POSTERN_E_NOT_FOUND);
  EXPECT_TRUE(host->verify("s", kSigned).genuine());
  EXPECT_EQ(asked, 1);
}

TEST_F(SchemeFunctionsTest, SecretsTimeAndRequestArrive) {
  std::vector<std::string> expected = secrets;
  ASSERT_TRUE(start_scheme([&expected](const Verification& v) {
                EXPECT_EQ(v.now().time_since_epoch().count(), 1234567);
                EXPECT_EQ(v.form("a"), "1");
                EXPECT_THAT(v.urls(), ElementsAre("https://h/r"));
                EXPECT_EQ(v.target(), "/r");
                return std::equal(v.secrets().begin(), v.secrets().end(), expected.begin(), expected.end());
              }).ok());
  Request request{.target = "/r",
                  .headers = {{"x-sig", "good"}, {"Content-Type", "application/x-www-form-urlencoded"}},
                  .body = "a=1",
                  .urls = {"https://h/r"}};
  EXPECT_TRUE(host->verify("s", request, std::nullopt, 1234567).genuine());
  expected = {"given"};
  EXPECT_TRUE(host->verify("s", request, {{"given"}}, 1234567).genuine());
}

TEST_F(SchemeFunctionsTest, ExplainsWhenSomebodyAsks) {
  std::vector<bool> explaining;
  ASSERT_TRUE(start_scheme([&](const Verification& v) {
                explaining.push_back(v.explaining());
                v.explain("tried 2 secrets");
                v.explain("none fits");
                return false;
              }).ok());
  EXPECT_THAT(host->verify("s", kSigned).lines, ElementsAre("tried 2 secrets", "none fits"));
  EXPECT_THAT(host->verify("s", kSigned, std::nullopt, 0, false).lines, IsEmpty());
  EXPECT_THAT(explaining, ElementsAre(true, false));
  EXPECT_THAT(host->misuses(), IsEmpty());
}

TEST_F(SchemeFunctionsTest, ASecretThatIsShownIsNoted) {
  ASSERT_TRUE(start_scheme([](const Verification& v) -> bool {
                if (v.body() == "throw") throw std::runtime_error("wrong: " + std::string(v.secrets()[1]));
                v.explain("tried " + std::string(v.secrets()[0]));
                return true;
              }).ok());
  host->verify("s", kSigned);
  EXPECT_THAT(host->misuses(), ElementsAre(HasSubstr("secret")));
  host->verify("s", {.headers = {{"x-sig", "good"}}, .body = "throw"});
  EXPECT_EQ(host->misuses().size(), 2u);
}

TEST_F(SchemeFunctionsTest, ARequestUsedAfterVerifyIsNoted) {
  std::optional<Verification> kept;
  ASSERT_TRUE(start_scheme([&kept](const Verification& v) {
                kept.emplace(v);
                return true;
              }).ok());
  host->verify("s", kSigned);
  EXPECT_THAT(host->misuses(), IsEmpty());
  EXPECT_EQ(kept->target(), "/r");
  kept->explain("late");
  EXPECT_THAT(host->misuses(), ElementsAre(HasSubstr("after verify"), HasSubstr("explain() after verify")));
}

TEST_F(SchemeFunctionsTest, SignAddsHeaders) {
  ASSERT_TRUE(start_scheme(&true_for_good, [](Signing& s) {
                EXPECT_EQ(s.target(), "/r");
                EXPECT_EQ(s.now().time_since_epoch().count(), 1234567);
                EXPECT_EQ(s.secret(), "first secret");
                EXPECT_THROW(s.add_header("X-Sig", "a\r\nb"), postern::Error);
                EXPECT_THROW(s.add_header("", "a"), postern::Error);
                s.add_header("X-Sig", "good");
                s.add_header("X-Time", "1234567");
              }).ok());
  Signed done = host->sign("s", {.target = "/r"}, 1234567);
  EXPECT_TRUE(done.ok());
  EXPECT_THAT(done.headers, ElementsAre(Pair("X-Sig", "good"), Pair("X-Time", "1234567")));
  EXPECT_TRUE(host->verify("s", {.headers = done.headers}).genuine());
  EXPECT_THAT(host->misuses(), IsEmpty());
}

TEST_F(SchemeFunctionsTest, WhatCannotSignSaysSo) {
  ASSERT_TRUE(start_scheme(&true_for_good).ok());
  EXPECT_EQ(host->sign("s", {}).status, POSTERN_E_UNSUPPORTED);
  EXPECT_EQ(host->sign("other", {}).status, POSTERN_E_NOT_FOUND);
  ASSERT_TRUE(start_scheme(&true_for_good, [](Signing&) { throw std::runtime_error("no engine"); }).ok());
  Signed failed = host->sign("s", {});
  EXPECT_EQ(failed.status, POSTERN_E_INTERNAL);
  EXPECT_EQ(failed.error, "no engine");
  host->stop();
  EXPECT_EQ(host->sign("s", {}).status, POSTERN_E_STATE);
  EXPECT_EQ(host->verify("s", kSigned).status, POSTERN_E_STATE);
}

}  // namespace
