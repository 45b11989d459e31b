// A plugin's own scheme, with lambdas in the plugin's place.
#include "core/signature/function_scheme.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/signature/scheme_support.h"

namespace postern::signature {
namespace {

using ::testing::ElementsAre;
using testing::kNow;
using testing::request;
using Secrets = FunctionScheme::Secrets;

const std::vector<std::string> kUrls = {"https://hooks.acme.io/hook", "http://hooks.acme.io/hook"};

class FunctionSchemeTest : public ::testing::Test {
 protected:
  // What the plugin says, and what it was asked.
  Status answer_;
  int asked_ = 0;
  Secrets secrets_seen_;

  FunctionScheme::Functions functions() {
    FunctionScheme::Functions functions;
    functions.verify = [this](const http::RequestView&, int64_t, const Secrets& secrets, Explanation*) {
      ++asked_;
      secrets_seen_ = secrets;
      return answer_;
    };
    return functions;
  }
  static std::shared_ptr<const FunctionScheme> made(FunctionScheme::Functions functions, Secrets secrets = {"one secret"}) {
    auto result = FunctionScheme::make("odd", "X-Odd", std::move(secrets), std::move(functions));
    if (!result) throw std::runtime_error(result.status().message());
    return *result;
  }
  static Verdict verdict(const Scheme& scheme, const testing::Headers& headers, Explanation* explanation = nullptr) {
    return scheme.verify({request(headers, "body"), kNow, kUrls, "192.0.2.1"}, explanation);
  }
};

// ---- make

TEST_F(FunctionSchemeTest, IsWhatItWasMadeOf) {
  auto scheme = made(functions());
  EXPECT_EQ(scheme->name(), "odd");
  EXPECT_EQ(scheme->header(), "X-Odd");
  EXPECT_TRUE(scheme->runs_plugin()) << "never on an event loop";
  EXPECT_TRUE(scheme->applies_to(request({{"x-ODD", ""}}, "")));
  EXPECT_FALSE(scheme->applies_to(request({{"x-od", "1"}}, "")));
}

TEST_F(FunctionSchemeTest, RefusesAHeaderThatIsNone) {
  for (const char* header : {"", "x odd", "x-odd:", "x-odd\r\n", "\xc3\xa4"}) {
    auto scheme = FunctionScheme::make("odd", header, {"s"}, functions());
    EXPECT_EQ(scheme.status().code(), Code::kInvalid) << header;
    EXPECT_EQ(scheme.status().message(), "scheme 'odd': header is not a header name");
  }
}

TEST_F(FunctionSchemeTest, RefusesNoSecretsAndEmptyOnes) {
  EXPECT_EQ(FunctionScheme::make("odd", "x-odd", {}, functions()).status().message(), "scheme 'odd' has no secret");
  EXPECT_EQ(FunctionScheme::make("odd", "x-odd", {""}, functions()).status().message(), "secret 1 of scheme 'odd' is empty");
  auto scheme = FunctionScheme::make("odd", "x-odd", {"first of them", "", "third"}, functions());
  EXPECT_EQ(scheme.status().message(), "secret 2 of scheme 'odd' is empty") << "and tells none of the others";
  EXPECT_EQ(scheme.status().code(), Code::kInvalid);
}

// ---- verify

TEST_F(FunctionSchemeTest, NeedsItsHeaderOnce) {
  auto scheme = made(functions());
  EXPECT_EQ(verdict(*scheme, {}), Verdict::kMissing);
  EXPECT_EQ(verdict(*scheme, {{"X-Other", "1"}}), Verdict::kMissing);
  EXPECT_EQ(verdict(*scheme, {{"X-Odd", "1"}, {"x-odd", "1"}}), Verdict::kDoubled) << "though both say the same";
  EXPECT_EQ(verdict(*scheme, {{"X-Odd", ""}, {"X-Odd", "1"}}), Verdict::kDoubled);
  EXPECT_EQ(asked_, 0) << "the plugin is not given what it could get wrong";
  EXPECT_EQ(verdict(*scheme, {{"x-ODD", ""}}), Verdict::kAccepted) << "what an empty one means is the plugin's to say";
  EXPECT_EQ(asked_, 1);
}

TEST_F(FunctionSchemeTest, TakesThePluginsWord) {
  auto scheme = made(functions());
  const testing::Headers headers = {{"X-Odd", "1"}};
  EXPECT_EQ(verdict(*scheme, headers), Verdict::kAccepted);
  answer_ = {Code::kDenied, "not genuine"};
  EXPECT_EQ(verdict(*scheme, headers), Verdict::kWrong);
}

// A plugin that fails has neither accepted nor refused: the sender must try again, and an attacker must not get in.
TEST_F(FunctionSchemeTest, ThatCannotTellIsUnknown) {
  auto scheme = made(functions());
  for (Code code : {Code::kInvalid, Code::kNotFound, Code::kConflict, Code::kLimit, Code::kTimeout, Code::kGone,
                    Code::kUnavailable, Code::kIo, Code::kCorrupt, Code::kInternal}) {
    answer_ = {code, "exception: out of luck"};
    Explanation explanation;
    EXPECT_EQ(verdict(*scheme, {{"X-Odd", "1"}}, &explanation), Verdict::kUnknown) << static_cast<int>(code);
    EXPECT_EQ(explanation.lines().back(), "the plugin could not tell: exception: out of luck");
  }
}

TEST_F(FunctionSchemeTest, ShowsThePluginTheWholeRequest) {
  FunctionScheme::Functions functions;
  functions.verify = [](const http::RequestView& view, int64_t now_ms, const Secrets& secrets, Explanation* explanation) {
    EXPECT_EQ(view.method, "POST");
    EXPECT_EQ(view.target, "/hook");
    EXPECT_EQ(view.body, std::string_view("b\0y", 3));
    EXPECT_EQ(view.remote, "192.0.2.1");
    EXPECT_EQ(view.header("x-odd", 0), "signature");
    EXPECT_EQ(view.header("X-Twice", 1), "2");
    EXPECT_EQ(view.urls, &kUrls);
    EXPECT_EQ(view.path, nullptr);
    EXPECT_EQ(now_ms, kNow);
    EXPECT_THAT(secrets, ElementsAre("new", "old"));
    EXPECT_EQ(explanation, nullptr) << "nobody reads it in service";
    return Status::ok();
  };
  auto scheme = made(functions, {"new", "old"});
  http::Request r = request({{"X-Odd", "signature"}, {"X-Twice", "1"}, {"X-Twice", "2"}}, std::string("b\0y", 3));
  EXPECT_EQ(scheme->verify({r, kNow, kUrls, "192.0.2.1"}, nullptr), Verdict::kAccepted);
}

TEST_F(FunctionSchemeTest, LetsThePluginExplain) {
  FunctionScheme::Functions functions;
  functions.verify = [](const http::RequestView&, int64_t, const Secrets&, Explanation* explanation) {
    explanation->add("tried 2 URLs");
    return Status(Code::kDenied, "");
  };
  auto scheme = made(functions);
  Explanation explanation;
  EXPECT_EQ(verdict(*scheme, {{"X-Odd", "1"}}, &explanation), Verdict::kWrong);
  EXPECT_THAT(explanation.lines(), ElementsAre("header X-Odd: there", "tried 2 URLs"));
  Explanation missing, doubled;
  verdict(*scheme, {}, &missing);
  EXPECT_THAT(missing.lines(), ElementsAre("header X-Odd: missing"));
  verdict(*scheme, {{"X-Odd", "1"}, {"X-Odd", "2"}}, &doubled);
  EXPECT_THAT(doubled.lines(), ElementsAre("header X-Odd: there more than once: refused"));
}

// ---- with_secrets

TEST_F(FunctionSchemeTest, WithOtherSecretsIsTheSameOtherwise) {
  auto scheme = made(functions(), {"configured"});
  auto other = scheme->with_secrets({"tried", "too"});
  ASSERT_TRUE(other.is_ok()) << other.status().message();
  EXPECT_EQ((*other)->name(), "odd");
  EXPECT_EQ((*other)->header(), "X-Odd");
  EXPECT_EQ(verdict(**other, {{"X-Odd", "1"}}), Verdict::kAccepted);
  EXPECT_THAT(secrets_seen_, ElementsAre("tried", "too"));
  EXPECT_EQ(verdict(*scheme, {{"X-Odd", "1"}}), Verdict::kAccepted);
  EXPECT_THAT(secrets_seen_, ElementsAre("configured")) << "the first one keeps its own";
  EXPECT_EQ(scheme->with_secrets({}).status().code(), Code::kInvalid);
  EXPECT_EQ(scheme->with_secrets({"a", ""}).status().code(), Code::kInvalid);
}

// ---- sign

TEST_F(FunctionSchemeTest, ThatCannotSignSaysSo) {
  http::Request draft = request({}, "body");
  auto added = made(functions())->sign({draft, "id", kNow, kUrls});
  EXPECT_EQ(added.status().code(), Code::kInvalid);
  EXPECT_EQ(added.status().message(), "scheme 'odd' only verifies; its plugin does not sign");
}

TEST_F(FunctionSchemeTest, SignsWithTheFirstSecret) {
  FunctionScheme::Functions both = functions();
  both.sign = [](const http::RequestView& view, int64_t now_ms, const std::string& secret, Headers& added) {
    EXPECT_EQ(view.method, "POST");
    EXPECT_EQ(view.header("content-type", 0), "application/json");
    EXPECT_EQ(view.body, "body");
    EXPECT_EQ(view.urls, &kUrls);
    added.emplace_back("X-Odd", secret + "@" + std::to_string(now_ms));
    added.emplace_back("X-More", "1");
    return Status::ok();
  };
  http::Request draft = request({}, "body");
  auto added = made(both, {"new", "old"})->sign({draft, "id", kNow, kUrls});
  ASSERT_TRUE(added.is_ok()) << added.status().message();
  EXPECT_THAT(*added, ElementsAre(std::pair("X-Odd", "new@1700000000000"), std::pair("X-More", "1")));
}

TEST_F(FunctionSchemeTest, TellsWhyItCouldNotSign) {
  FunctionScheme::Functions both = functions();
  both.sign = [](const http::RequestView&, int64_t, const std::string&, Headers& added) {
    added.emplace_back("X-Half", "1");
    return Status(Code::kInternal, "exception: no URL");
  };
  http::Request draft = request({}, "body");
  EXPECT_EQ(made(both)->sign({draft, "id", kNow, kUrls}).status().message(), "exception: no URL");
}

// ---- Explanation

TEST(Explanation, IsBounded) {
  Explanation explanation;
  explanation.add(std::string(1 << 20, 'x'));
  for (int i = 0; i < 100'000; ++i) explanation.add("line");
  EXPECT_EQ(explanation.lines().size(), 200u);
  EXPECT_EQ(explanation.lines()[0].size(), 2000u);
}

}  // namespace
}  // namespace postern::signature
