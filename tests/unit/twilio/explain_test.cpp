// What `postern verify` prints for the scheme: enough to find the mistake, and nothing that could be used.
#include <gmock/gmock.h>

#include "tests/unit/twilio/twilio_host.h"

namespace twilio_test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kLongToken = "0123456789abcdef-the-token";
const Fields kFields = {{"CallSid", "CA1"}, {"From", "+14155550123"}, {"Note", "a b"}};
constexpr const char* kPath = "/api/v1/webhooks/call-status";

class Explain : public ::testing::Test {
 protected:
  // A request that arrives at `target` of the public URL while the provider signed `signed_url` and `signed_fields`.
  std::string lines_for(const std::string& signed_url, const std::string& target, const Fields& arrived,
                        const Fields& signed_fields, std::vector<std::pair<std::string, std::string>> headers = {}) {
    std::string signature = sign(signed_url, signed_fields, kLongToken);
    Request one = form_request("https://hooks.example.org" + target, arrived, signature);
    one.headers.insert(one.headers.end(), headers.begin(), headers.end());
    std::string lines = host.explain(one);
    EXPECT_FALSE(host.accepts(one));
    EXPECT_THAT(lines, HasSubstr("no token and URL give this signature"));
    return lines;
  }
  std::string lines_for(const std::string& signed_url, std::vector<std::pair<std::string, std::string>> headers = {}) {
    return lines_for(signed_url, kPath, kFields, kFields, std::move(headers));
  }

  Host host{json{{"auth_tokens", {kLongToken, "another-auth-token"}}}.dump()};
};

TEST_F(Explain, AMatch) {
  const std::string url = std::string("https://hooks.example.org") + kPath;
  std::string message = url + "CallSidCA1From+14155550123Notea b";
  std::string lines = host.explain(form_request(url, kFields, sign(url, kFields, kLongToken)));
  EXPECT_THAT(lines, AllOf(HasSubstr("form with 3 parameters"), HasSubstr("auth tokens tried: 2"),
                           HasSubstr("tried " + url + ": " + std::to_string(message.size()) + " bytes signed, SHA-256 " +
                                     sha256_hex(message)),
                           HasSubstr("tried https://hooks.example.org:443" + std::string(kPath)),
                           HasSubstr("the signature matches for " + url), Not(HasSubstr("it would match"))));
}

TEST_F(Explain, Bodies) {
  const std::string url = "https://hooks.example.org/a?bodySHA256=" + sha256_hex("{}");
  EXPECT_THAT(host.explain(request(url, "{}", sign(url, {}, kLongToken), "application/json")),
              AllOf(HasSubstr("body that is no form"), HasSubstr("bodySHA256 is the SHA-256"), HasSubstr("matches for")));
  EXPECT_THAT(host.explain(request(url, "[]", sign(url, {}, kLongToken), "application/json")),
              AllOf(HasSubstr("bodySHA256 is not the SHA-256"), HasSubstr("the signature matches for")));
  EXPECT_THAT(host.explain(request(url + "&bodySHA256=", "{}", sign(url), "")), HasSubstr("2 times"));
  EXPECT_THAT(host.explain(request("https://hooks.example.org/a", "{}", sign(url), "text/\x1b[31m")),
              AllOf(HasSubstr("no bodySHA256"), HasSubstr("'text/?[31m'"), Not(HasSubstr("\x1b"))));
  EXPECT_THAT(host.explain(request("https://hooks.example.org/a", "", sign(url), "")), HasSubstr("no body: the URL alone"));
}

TEST_F(Explain, HeadersAndAccounts) {
  EXPECT_THAT(host.explain(form_request("https://h.example/", kFields, "abc")), HasSubstr("3 characters"));
  EXPECT_THAT(host.explain(form_request("https://h.example/", kFields, std::string(44, 'A'))), HasSubstr("44 characters"));
  Host one(json{{"auth_tokens", {kLongToken}}, {"account_sid", kAccount}}.dump());
  const std::string url = "https://h.example/";
  EXPECT_THAT(one.explain(form_request(url, kFields, sign(url, kFields, kLongToken))), HasSubstr("no AccountSid"));
  Fields other = {{"AccountSid", "AC1"}};
  EXPECT_THAT(one.explain(form_request(url, other, sign(url, other, kLongToken))),
              AllOf(HasSubstr("AccountSid is not the configured account_sid"), HasSubstr("the signature matches")));
}

TEST_F(Explain, WithoutUrls) {
  Host without(kConfig, "", true);
  Request one = form_request("https://h.example/a", kFields, sign("https://h.example/a", kFields));
  one.urls = {};
  one.headers.emplace_back("Host", "h.example");
  EXPECT_THAT(without.explain(one), AllOf(HasSubstr("gateway.public_url is not set and no trusted proxy told one"),
                                          HasSubstr("set gateway.public_url to https://h.example")));
}

TEST_F(Explain, AnotherHostOrScheme) {
  const std::string path = kPath;
  EXPECT_THAT(lines_for("https://real.example" + path, {{"Host", "real.example"}}),
              HasSubstr("it would match for https://real.example" + path +
                        ": the provider calls this URL; set gateway.public_url to https://real.example\n"));
  EXPECT_THAT(lines_for("http://real.example" + path, {{"Host", "real.example"}}),
              HasSubstr("public_url to http://real.example\n"));
  EXPECT_THAT(lines_for("http://hooks.example.org" + path, {{"Host", "hooks.example.org"}}),
              HasSubstr("public_url to http://hooks.example.org\n"));
  EXPECT_THAT(lines_for("https://outer.example" + path, {{"Host", "10.0.0.1:8080"},
                                                         {"X-Forwarded-Host", "outer.example, inner.example"},
                                                         {"X-Forwarded-Proto", "https"}}),
              HasSubstr("set gateway.public_url to https://outer.example\n"));
  EXPECT_THAT(lines_for("https://nowhere.example" + path, {{"Host", "real.example"}}),
              AllOf(Not(HasSubstr("it would match")), HasSubstr("primary one")));
  EXPECT_THAT(lines_for("https://real.example/no/host" + path, {{"Host", "real.example/no/host"}}),
              Not(HasSubstr("it would match")));
}

TEST_F(Explain, AlteredOnTheWay) {
  const std::string base = "https://hooks.example.org";
  std::string slash = lines_for(base + kPath + "/");
  EXPECT_THAT(slash, AllOf(HasSubstr("it would match for " + base + kPath + "/\n"), HasSubstr("takes the '/' off"),
                           Not(HasSubstr("set gateway.public_url"))));
  EXPECT_THAT(lines_for(base + "/a", "/a/", kFields, kFields), HasSubstr("adds the '/'"));
  EXPECT_THAT(lines_for(base + "/a?q=x%20y", "/a?q=x+y", kFields, kFields), HasSubstr("blanks of the query"));
  EXPECT_THAT(lines_for(base + "/a?q=x+y", "/a?q=x%20y", kFields, kFields), HasSubstr("blanks of the query"));
  EXPECT_THAT(lines_for(base + "/a", "/a?utm=1", kFields, kFields), HasSubstr("the query is added on the way"));
  Fields decoded_twice = kFields;
  decoded_twice[1].second = " 14155550123";
  EXPECT_THAT(lines_for(base + kPath, kPath, decoded_twice, kFields), HasSubstr("a proxy decodes the body"));
  EXPECT_THAT(lines_for("https://real.example/a", "/a/", decoded_twice, kFields, {{"Host", "real.example"}}),
              AllOf(HasSubstr("public_url to https://real.example\n"), HasSubstr("adds the '/'"), HasSubstr("decodes the body")));
}

TEST_F(Explain, NeverATokenNorTheRightSignature) {
  const std::string path = kPath;
  std::string all;
  for (const char* origin : {"https://hooks.example.org", "https://real.example", "http://none.example"}) {
    for (const char* host_name : {"real.example", "hooks.example.org"}) {
      Request one = form_request("https://hooks.example.org" + path, kFields, sign(origin + path, kFields, kLongToken));
      one.headers.emplace_back("Host", host_name);
      all += host.explain(one);
      one.headers[1].second = std::string(27, 'A') + "=";
      all += host.explain(one);
    }
  }
  EXPECT_GT(all.size(), 1000u);
  EXPECT_THAT(all, AllOf(Not(HasSubstr(kLongToken)), Not(HasSubstr("another-auth-token"))));
  for (const char* token : {kLongToken, "another-auth-token"}) {
    for (const char* origin : {"https://hooks.example.org", "https://hooks.example.org:443", "https://real.example",
                               "https://real.example:443", "http://real.example", "http://real.example:80"}) {
      EXPECT_THAT(all, Not(HasSubstr(sign(origin + path, kFields, token).substr(0, 20))));
    }
  }
}

TEST_F(Explain, LinesAreBoundedAndPrintable) {
  std::string target = "/" + std::string(5000, 'x') + "?\x1b[2J\xff";
  Request one = form_request("https://hooks.example.org" + target, kFields, sign("https://x.example", kFields));
  one.headers.emplace_back("Host", "h.example");
  for (const std::string& line : host.verify("twilio", one).lines) {
    EXPECT_LT(line.size(), 600u);
    for (char c : line) EXPECT_TRUE(c >= 0x20 && c < 0x7F) << line;
  }
}

// Looking for the reason of a large request ends: what is hashed is bounded.
TEST_F(Explain, LargeRequests) {
  Fields large = {{"a", std::string(250 * 1024, ' ')}};
  Request one = form_request("https://hooks.example.org/a/?b+c", large, sign("https://x.example", large));
  for (int i = 0; i < 20; ++i) one.headers.emplace_back("Host", "h" + std::to_string(i) + ".example");
  EXPECT_THAT(host.explain(one), HasSubstr("too large to look for the reason"));
}

}  // namespace
}  // namespace twilio_test
