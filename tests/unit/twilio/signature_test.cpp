// The signature: the provider's public vectors, its rules for parameters, URLs and bodies, and headers that are none.
#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>

#include "tests/unit/twilio/twilio_host.h"

namespace twilio_test {
namespace {

constexpr const char* kUrl = "https://mycompany.com/myapp.php?foo=1&bar=2";
const Fields kFields = {{"CallSid", "CA1234567890ABCDE"},
                        {"Caller", "+14158675309"},
                        {"Digits", "1234"},
                        {"From", "+14158675309"},
                        {"To", "+18005551212"}};
constexpr const char* kJsonBody = R"({"property": "value", "boolean": true})";
constexpr const char* kJsonUrl =
    "https://mycompany.com/myapp.php?foo=1&bar=2&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620";

class Signature : public ::testing::Test {
 protected:
  bool accepts_form(const std::string& url, const Fields& fields) {
    return host.accepts(form_request(url, fields, sign(url, fields)));
  }
  // A request to `called`, which the provider signed as `signed_url`.
  bool accepts_url(const std::string& called, const std::string& signed_url) {
    return host.accepts(form_request(called, kFields, sign(signed_url, kFields)));
  }
  Host host;
};

TEST_F(Signature, PublicVectors) {
  EXPECT_TRUE(host.accepts(form_request(kUrl, kFields, "RSOYDt4T1cUTdK1PDd93/VVr8B8=")));
  EXPECT_TRUE(host.accepts(request(kJsonUrl, kJsonBody, "a9nBmqA0ju/hNViExpshrM61xv4=", "application/json")));
  Fields repeated = {{"Sid", "CA123"}, {"SidAccount", "AC123"}, {"Digits", "5678"}, {"Digits", "1234"}, {"Digits", "1234"}};
  EXPECT_TRUE(host.accepts(form_request(kUrl, repeated, "IK+Dwps556ElfBT0I3Rgjkr1wJU=")));
}

TEST_F(Signature, SignsThePublicVectors) {
  auto signature = [&](const Request& request) {
    auto done = host.sign("twilio", request);
    EXPECT_TRUE(done.ok()) << done.error;
    return done.headers;
  };
  using Headers = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(signature(form_request(kUrl, kFields, "")), (Headers{{"X-Twilio-Signature", "RSOYDt4T1cUTdK1PDd93/VVr8B8="}}));
  EXPECT_EQ(signature(request(kJsonUrl, kJsonBody, "", "application/json")),
            (Headers{{"X-Twilio-Signature", "a9nBmqA0ju/hNViExpshrM61xv4="}}));
}

TEST_F(Signature, EveryByteCounts) {
  const std::string good = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = bad[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(host.accepts(form_request(kUrl, kFields, bad))) << bad;
  }
  for (size_t i = 0; i < kFields.size(); ++i) {
    Fields altered = kFields;
    altered[i].second += "x";
    EXPECT_FALSE(host.accepts(form_request(kUrl, altered, good))) << i;
    altered = kFields;
    altered[i].first += "x";
    EXPECT_FALSE(host.accepts(form_request(kUrl, altered, good))) << i;
    altered = kFields;
    altered.erase(altered.begin() + static_cast<ptrdiff_t>(i));
    EXPECT_FALSE(host.accepts(form_request(kUrl, altered, good))) << i;
  }
  EXPECT_FALSE(host.accepts(form_request("https://mycompany.com/myapp.php?foo=1&bar=3", kFields, good)));
  EXPECT_FALSE(host.accepts(form_request("https://mycompany.com/myapp.php?bar=2&foo=1", kFields, good)));
  EXPECT_FALSE(host.accepts(form_request("http://mycompany.com/myapp.php?foo=1&bar=2", kFields, good)));
}

TEST_F(Signature, NamesAreSortedAndThenTheirValuesAppended) {
  // Sorted as name+value the second would come first.
  Fields fields = {{"ReasonConferenceEnded", "a"}, {"Reason", "z"}};
  EXPECT_TRUE(host.accepts(form_request(kUrl, fields, sign(std::string(kUrl) + "ReasonzReasonConferenceEndeda"))));
  fields = {{"callSid", "3"}, {"CallSid", "2"}, {"CALLSID", "1"}};
  EXPECT_TRUE(host.accepts(form_request(kUrl, fields, sign(std::string(kUrl) + "CALLSID1CallSid2callSid3"))));
  fields = {{"b", "1"}, {"\xC3\xA9", "2"}, {"a", "3"}, {"\xF0\x9F\x98\x80", "4"}, {"\xEF\xBF\xBD", "5"}};
  EXPECT_TRUE(host.accepts(form_request(kUrl, fields,
                                        sign(std::string(kUrl) + "a3b1\xC3\xA9" "2\xEF\xBF\xBD" "5\xF0\x9F\x98\x80" "4"))));
}

TEST_F(Signature, RepeatedNames) {
  Fields fields = {{"D", "5678"}, {"A", "x"}, {"D", "1234"}, {"D", ""}, {"D", "1234"}, {"A", "x"}};
  EXPECT_TRUE(host.accepts(form_request(kUrl, fields, sign(std::string(kUrl) + "AxDD1234D5678"))));
  EXPECT_FALSE(host.accepts(form_request(kUrl, fields, sign(std::string(kUrl) + "AxD1234D5678"))));
}

TEST_F(Signature, EmptyValuesBlanksAndBytes) {
  EXPECT_TRUE(host.accepts(form_request(kUrl, {{"B", ""}, {"A", ""}}, sign(std::string(kUrl) + "AB"))));
  EXPECT_TRUE(host.accepts(form_request(kUrl, {{"A", "  two \t"}}, sign(std::string(kUrl) + "A  two \t"))));
  EXPECT_TRUE(host.accepts(request(kUrl, "A&B=", sign(std::string(kUrl) + "AB"), kForm)));
  EXPECT_TRUE(host.accepts(request(kUrl, "=v&&A=b=c", sign(std::string(kUrl) + "vAb=c"), kForm)));
  EXPECT_TRUE(accepts_form(kUrl, {{"A", std::string("\0\x01\xFF\xFE", 4)}, {"\xFF", "\r\n"}}));
}

TEST_F(Signature, FormTypesWithParametersAndInAnyCase) {
  for (const char* type : {kForm, "application/x-www-form-urlencoded; charset=UTF-8", "Application/X-WWW-Form-URLencoded",
                           "application/x-www-form-urlencoded ;charset=utf-8"}) {
    EXPECT_TRUE(host.accepts(request(kUrl, to_form(kFields), sign(kUrl, kFields), type))) << type;
  }
  for (const char* type : {"", "text/plain", "application/json", "application/x-www-form-urlencoded2", "multipart/form-data"}) {
    EXPECT_FALSE(host.accepts(request(kUrl, to_form(kFields), sign(kUrl, kFields), type))) << type;
    EXPECT_FALSE(host.accepts(request(kUrl, to_form(kFields), sign(kUrl), type))) << type;  // nothing signs the body
  }
  Request twice = form_request(kUrl, kFields, sign(kUrl, kFields));
  twice.headers.emplace_back("content-type", "application/json");
  EXPECT_FALSE(host.accepts(twice));
}

TEST_F(Signature, WithoutABodyTheUrlAlone) {
  for (const char* type : {"", kForm, "application/json"}) {
    EXPECT_TRUE(host.accepts(request(kUrl, "", sign(kUrl), type))) << type;
    EXPECT_FALSE(host.accepts(request(kUrl, "", sign(kJsonUrl), type))) << type;
  }
  Request get = request(kUrl, "", sign(kUrl), "");
  get.method = "GET";
  EXPECT_TRUE(host.accepts(get));
  get.body = to_form(kFields);
  get.headers.emplace_back("Content-Type", kForm);
  EXPECT_FALSE(host.accepts(get));  // a body that the signature does not cover
  get.headers[0].second = sign(kUrl, kFields);
  EXPECT_FALSE(host.accepts(get));  // a GET is never signed so
}

TEST_F(Signature, PortsAndUsers) {
  EXPECT_TRUE(accepts_url("https://h.example/a", "https://h.example/a"));
  EXPECT_TRUE(accepts_url("https://h.example/a", "https://h.example:443/a"));
  EXPECT_FALSE(accepts_url("https://h.example/a", "https://h.example:80/a"));
  EXPECT_TRUE(accepts_url("http://h.example/a", "http://h.example:80/a"));
  EXPECT_FALSE(accepts_url("http://h.example/a", "http://h.example:443/a"));
  EXPECT_TRUE(accepts_url("wss://h.example/a", "wss://h.example:443/a"));
  EXPECT_TRUE(accepts_url("ws://h.example/a", "ws://h.example:80/a"));
  EXPECT_TRUE(accepts_url("https://h.example:8443/a?b=c:d", "https://h.example/a?b=c:d"));
  EXPECT_TRUE(accepts_url("https://h.example:8443/a", "https://h.example:8443/a"));
  EXPECT_FALSE(accepts_url("https://h.example:8443/a", "https://h.example:443/a"));
  EXPECT_TRUE(accepts_url("https://user:p@ss@h.example:8443/a@b", "https://h.example/a@b"));
  EXPECT_FALSE(accepts_url("https://user@h.example/a", "https://user@h.example/a"));  // the signer leaves the user out
  EXPECT_TRUE(accepts_url("https://[2001:db8::1]:8443/a", "https://[2001:db8::1]/a"));
  EXPECT_TRUE(accepts_url("https://[2001:db8::1]/a", "https://[2001:db8::1]:443/a"));
  EXPECT_TRUE(accepts_url("https://H.Example/a", "https://H.Example/a"));
  EXPECT_FALSE(accepts_url("https://H.Example/a", "https://h.example/a"));
}

TEST_F(Signature, EveryUrlOfTheHostIsTried) {
  Request one = form_request(kUrl, kFields, sign("https://second.example/x", kFields));
  EXPECT_FALSE(host.accepts(one));
  one.urls = {kUrl, "https://second.example/x"};
  EXPECT_TRUE(host.accepts(one));
  one.urls = {"no url", ""};
  EXPECT_FALSE(host.accepts(one));
  Host without("{\"auth_tokens\":[\"12345\"]}", "", true);
  one.urls = {};
  EXPECT_FALSE(without.accepts(one));
}

TEST_F(Signature, TheQueryIsSignedAsItCame) {
  for (const char* query : {"?a=%2B+%20&b=%c3%a9", "?", "?&&a", "?x='\"<>", "?b=1&a=2&b=1", "/;p=1//..?q"}) {
    EXPECT_TRUE(accepts_form(std::string("https://h.example/a") + query, kFields)) << query;
  }
}

TEST_F(Signature, DigestOfOtherBodies) {
  auto with_digest = [](const std::string& digest) { return "https://h.example/a?bodySHA256=" + digest; };
  auto accepts = [&](const std::string& url, const std::string& body, const char* type) {
    return host.accepts(request(url, body, sign(url), type));
  };
  const std::string json_body = R"({"a":1})", right = sha256_hex(json_body);
  EXPECT_TRUE(accepts(with_digest(right), json_body, "application/json"));
  EXPECT_TRUE(accepts(with_digest(right) + "&c=d", json_body, ""));
  EXPECT_FALSE(accepts(with_digest(right), R"({"a":2})", "application/json"));
  EXPECT_FALSE(accepts(with_digest(right), json_body + "\n", "application/json"));
  EXPECT_FALSE(accepts("https://h.example/a?c=d", json_body, "application/json"));
  EXPECT_FALSE(accepts("https://h.example/a?xbodySHA256=" + right, json_body, "application/json"));
  EXPECT_FALSE(accepts(with_digest(right) + "&bodySHA256=" + right, json_body, "application/json"));
  EXPECT_FALSE(accepts(with_digest(""), json_body, "application/json"));
  EXPECT_FALSE(accepts(with_digest(right.substr(0, 63)), json_body, "application/json"));
  EXPECT_FALSE(accepts("https://h.example/a?bodySHA256", json_body, "application/json"));
}

TEST_F(Signature, ADigestCountsForFormsAndEmptyBodiesToo) {
  const std::string body = to_form(kFields);
  for (bool right : {true, false}) {
    std::string url = "https://h.example/a?bodySHA256=" + sha256_hex(right ? body : body + "&");
    EXPECT_EQ(accepts_form(url, kFields), right);
    url = "https://h.example/a?bodySHA256=" + sha256_hex(right ? "" : "x");
    EXPECT_EQ(host.accepts(request(url, "", sign(url), "application/json")), right);
  }
  std::string twice = "https://h.example/a?bodySHA256=" + sha256_hex(body) + "&bodySHA256=" + sha256_hex(body);
  EXPECT_FALSE(accepts_form(twice, kFields));
}

TEST(SignatureTokens, AnyOfThemAndTheFirstSigns) {
  Host host(R"({"auth_tokens":["new token","old token"]})");
  for (const char* token : {"new token", "old token"}) {
    EXPECT_TRUE(host.accepts(form_request(kUrl, kFields, sign(kUrl, kFields, token)))) << token;
  }
  EXPECT_FALSE(host.accepts(form_request(kUrl, kFields, sign(kUrl, kFields, "other token"))));
  auto done = host.sign("twilio", form_request(kUrl, kFields, ""));
  ASSERT_TRUE(done.ok());
  EXPECT_EQ(done.headers.at(0).second, sign(kUrl, kFields, "new token"));
}

TEST_F(Signature, WrongHeaders) {
  const std::string good = sign(kUrl, kFields);
  for (std::string wrong : {std::string(), good.substr(0, 27), good + "=", " " + good.substr(0, 27), good.substr(0, 27) + " ",
                            good.substr(0, 24), good.substr(0, 26) + "==", std::string(28, '='), std::string(28, 'A'),
                            std::string(4096, 'A'), good + "," + good, "sha1=" + good}) {
    EXPECT_FALSE(host.accepts(form_request(kUrl, kFields, wrong))) << wrong;
  }
  Request none = form_request(kUrl, kFields, good);
  none.headers.pop_back();
  EXPECT_FALSE(host.accepts(none));
  Request twice = form_request(kUrl, kFields, good);
  twice.headers.emplace_back("X-Twilio-Signature", good);
  EXPECT_FALSE(host.accepts(twice));
}

// Standard base64 alone, and each digest in one way only: the last character's two spare bits must be 0.
TEST_F(Signature, UrlSafeAndLooseBase64) {
  int url_safe = 0;
  for (int i = 0; i < 200; ++i) {
    Fields fields = {{"n", std::to_string(i)}};
    std::string good = sign(kUrl, fields), safe = good;
    std::replace(safe.begin(), safe.end(), '+', '-');
    std::replace(safe.begin(), safe.end(), '/', '_');
    EXPECT_TRUE(host.accepts(form_request(kUrl, fields, good)));
    if (safe != good) {
      ++url_safe;
      EXPECT_FALSE(host.accepts(form_request(kUrl, fields, safe))) << safe;
    }
    std::string loose = good;
    ++loose[26];
    EXPECT_FALSE(host.accepts(form_request(kUrl, fields, loose))) << loose;
  }
  EXPECT_GT(url_safe, 50);
}

TEST(SignatureAccount, OnlyTheConfiguredOne) {
  Host host(json{{"auth_tokens", {kToken}}, {"account_sid", kAccount}}.dump());
  auto accepts = [&](const Fields& fields) { return host.accepts(form_request(kUrl, fields, sign(kUrl, fields))); };
  EXPECT_TRUE(accepts({{"AccountSid", kAccount}, {"A", "b"}}));
  EXPECT_TRUE(accepts({{"AccountSid", kAccount}, {"AccountSid", kAccount}}));
  EXPECT_FALSE(accepts({{"AccountSid", "AC0123456789abcdef0123456789abcdee"}}));
  EXPECT_FALSE(accepts({{"AccountSid", ""}}));
  EXPECT_FALSE(accepts({{"accountsid", kAccount}}));
  EXPECT_FALSE(accepts({{"AccountSid", kAccount}, {"AccountSid", "AC1"}}));
  EXPECT_FALSE(accepts(kFields));
  const std::string url = std::string("https://h.example/a?AccountSid=") + kAccount;
  EXPECT_TRUE(host.accepts(request(url, "", sign(url), "")));
  EXPECT_FALSE(host.accepts(form_request(url, kFields, sign(url, kFields))));  // the form's counts
}

TEST_F(Signature, SigningSaysWhatItLacks) {
  Request json_body = request("https://h.example/a", "{}", "", "application/json");
  EXPECT_LT(host.sign("twilio", json_body).status, 0);
  EXPECT_THAT(host.sign("twilio", json_body).error, ::testing::HasSubstr("bodySHA256"));
  Host without(kConfig, "", true);
  Request nowhere = form_request(kUrl, kFields, "");
  nowhere.urls = {};
  EXPECT_THAT(without.sign("twilio", nowhere).error, ::testing::HasSubstr("gateway.public_url"));
}

// 10,000 parameters, and as many as a body of 256 KiB can hold: the time grows with the size and not faster.
TEST_F(Signature, ManyParametersAreBounded) {
  Fields many;
  for (int i = 0; i < 10'000; ++i) many.emplace_back("name" + std::to_string(i * 7919 % 10'000), std::to_string(i % 13));
  EXPECT_TRUE(accepts_form(kUrl, many));
  Fields same(10'000, {"name", "value"});
  EXPECT_TRUE(host.accepts(form_request(kUrl, same, sign(std::string(kUrl) + "namevalue"))));
  std::string tiny;
  while (tiny.size() < 256 * 1024) tiny += "a&";
  auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(host.accepts(request(kUrl, tiny, sign(std::string(kUrl) + "a"), kForm)));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
}

}  // namespace
}  // namespace twilio_test
