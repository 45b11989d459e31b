#include "core/admission/public_urls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postern::admission {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr const char* kPublic = "https://hooks.acme.io";
constexpr const char* kProxy = "127.0.0.1";
constexpr const char* kStranger = "198.51.100.7";

UrlSource source(std::string public_url, const std::vector<std::string>& trusted = {"127.0.0.1/32"}) {
  return {std::move(public_url), std::move(AddressList::parse(trusted).value())};
}

std::vector<std::string> urls(const std::string& headers, const UrlSource& from, const std::string& peer = kProxy,
                              const std::string& target = "/call?a=1") {
  return public_urls(http::Request::from_parts("POST", target, headers, ""), peer, from);
}

// Attack: nginx and haproxy pass on an X-Forwarded-Host, -Port or Forwarded that the client wrote, unless they are told not to.
TEST(PublicUrls, AreTheConfiguredOneAlone) {
  EXPECT_THAT(urls("", source(kPublic, {})), ElementsAre("https://hooks.acme.io/call?a=1"));
  const std::string claims = "X-Forwarded-Host: evil.test\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 444\r\nForwarded: host=evil.test\r\n";
  EXPECT_THAT(urls(claims, source(kPublic)), ElementsAre("https://hooks.acme.io/call?a=1"));
  EXPECT_THAT(urls("", source("https://acme.io/base")), ElementsAre("https://acme.io/base/call?a=1"));
}

// Many proxies pass the Host on as the client wrote it, and without one of ours there is nothing else to go by.
TEST(PublicUrls, TakeTheHostOnlyWhereNothingElseIsKnown) {
  const std::string host = "Host: evil.test\r\nX-Forwarded-Proto: https\r\n";
  EXPECT_THAT(urls(host + "X-Forwarded-Host: a.test\r\n", source("")), ElementsAre("https://a.test/call?a=1"));
  EXPECT_THAT(urls(host, source("")), ElementsAre("https://evil.test/call?a=1"));
}

TEST(PublicUrls, AreNoneWhereNobodyTellsThem) {
  EXPECT_THAT(urls("Host: gateway\r\n", source("", {})), IsEmpty());
  EXPECT_THAT(urls("Host: gateway\r\nX-Forwarded-Host: a.test\r\n", source(""), kStranger), IsEmpty());
}

// Attack: a request that was signed for a URL of somebody else is sent here with that URL in its headers.
TEST(PublicUrls, NeverLookAtWhatAnUntrustedPeerClaims) {
  const std::string claims =
      "Host: evil.test\r\nForwarded: proto=https;host=evil.test\r\nX-Forwarded-Host: evil.test\r\nX-Forwarded-Proto: https\r\n"
      "X-Forwarded-Port: 8443\r\nX-Forwarded-For: 127.0.0.1\r\n";
  for (const char* peer : {kStranger, "2001:db8::1", "", "unknown", "-"}) {
    EXPECT_THAT(urls(claims, source(kPublic), peer), ElementsAre("https://hooks.acme.io/call?a=1")) << peer;
  }
  for (const char* peer : {kProxy, "unix"}) {
    EXPECT_THAT(urls(claims, source(kPublic, {}), peer), ElementsAre("https://hooks.acme.io/call?a=1")) << "nobody is trusted";
  }
}

TEST(PublicUrls, OfAUnixSocketAreBelievedWhereThereAreTrustedProxies) {
  EXPECT_THAT(urls("X-Forwarded-Host: a.test\r\nX-Forwarded-Proto: https\r\n", source(""), "unix"),
              ElementsAre("https://a.test/call?a=1"));
}

struct Case {
  const char* what;
  std::string headers;
  std::vector<std::string> urls;  // without the target
};

const Case kCases[] = {
    {"scheme and host", "X-Forwarded-Proto: https\r\nX-Forwarded-Host: a.test\r\n", {"https://a.test"}},
    {"any case", "x-FORWARDED-proto: https\r\nx-forwarded-HOST: a.test\r\n", {"https://a.test"}},
    {"the Host that the proxy kept", "Host: a.test:8443\r\nX-Forwarded-Proto: https\r\n", {"https://a.test:8443"}},
    {"no scheme: both", "Host: a.test\r\n", {"https://a.test", "http://a.test"}},
    {"a forwarded host stands before Host",
     "Host: gateway.internal\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a.test\r\n",
     {"https://a.test"}},
    {"a port",
     "X-Forwarded-Proto: https\r\nX-Forwarded-Host: a.test\r\nX-Forwarded-Port: 8443\r\n",
     {"https://a.test:8443", "https://a.test"}},
    {"a port beside one in the host",
     "X-Forwarded-Proto: https\r\nX-Forwarded-Host: a.test:444\r\nX-Forwarded-Port: 8443\r\n",
     {"https://a.test:444"}},
    {"a port with Host",
     "Host: a.test\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\n",
     {"http://a.test:80", "http://a.test"}},
    {"IPv6",
     "X-Forwarded-Proto: https\r\nX-Forwarded-Host: [2001:db8::1]\r\nX-Forwarded-Port: 444\r\n",
     {"https://[2001:db8::1]:444", "https://[2001:db8::1]"}},
    {"IPv6 with its port",
     "X-Forwarded-Proto: https\r\nX-Forwarded-Host: [2001:db8::1]:8443\r\nX-Forwarded-Port: 444\r\n",
     {"https://[2001:db8::1]:8443"}},
    {"Forwarded", "Forwarded: for=192.0.2.1;proto=https;host=a.test\r\n", {"https://a.test"}},
    {"Forwarded, quoted", "Forwarded: Proto=\"https\"; Host=\"a.test:8443\"\r\n", {"https://a.test:8443"}},
    {"Forwarded without a host", "Host: a.test\r\nForwarded: for=192.0.2.1;proto=https\r\n", {"https://a.test"}},
    {"Forwarded without a scheme", "Forwarded: host=a.test\r\n", {"https://a.test", "http://a.test"}},
    {"Forwarded and the others",
     "Forwarded: proto=https;host=a.test\r\nX-Forwarded-Host: b.test\r\nX-Forwarded-Proto: http\r\n",
     {"https://a.test", "https://b.test", "http://a.test", "http://b.test"}},
    {"a chain",
     "X-Forwarded-Proto: https, http\r\nX-Forwarded-Host: a.test, b.test\r\n",
     {"https://a.test", "https://b.test", "http://a.test", "http://b.test"}},
    {"the same twice",
     "X-Forwarded-Proto: https, https\r\nX-Forwarded-Host: a.test\r\nX-Forwarded-Host: a.test\r\n",
     {"https://a.test"}},
    {"the first port",
     "X-Forwarded-Proto: https\r\nX-Forwarded-Host: a.test\r\nX-Forwarded-Port: 8443, 80\r\n",
     {"https://a.test:8443", "https://a.test"}},
    // What cannot be a scheme, host or port is as if it were not there.
    {"bad schemes",
     "X-Forwarded-Proto: javascript, wss, https://, \r\nX-Forwarded-Host: a.test\r\n",
     {"https://a.test", "http://a.test"}},
    {"bad scheme in Forwarded", "Forwarded: proto=ftp;host=a.test\r\n", {"https://a.test", "http://a.test"}},
    {"bad hosts",
     "X-Forwarded-Proto: https\r\nX-Forwarded-Host: , a b, a.test/x, u@a.test, a.test?, a.test:, a.test:0, a.test:99999, [::1, "
     "a.test#\r\n",
     {}},
    {"bad hosts before Host",
     "Host: a.test\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a.test/x\r\nForwarded: host=\"u@b.test\"\r\n",
     {"https://a.test"}},
    {"bad Host", "Host: a.test, b.test\r\nX-Forwarded-Proto: https\r\n", {}},
    {"bad ports", "X-Forwarded-Proto: https\r\nX-Forwarded-Host: a.test\r\nX-Forwarded-Port: 80x\r\n", {"https://a.test"}},
    {"empty port", "X-Forwarded-Proto: https\r\nX-Forwarded-Host: a.test\r\nX-Forwarded-Port: \r\n", {"https://a.test"}},
    {"long port", "X-Forwarded-Proto: https\r\nX-Forwarded-Host: a.test\r\nX-Forwarded-Port: 000443\r\n", {"https://a.test"}},
    {"nothing at all", "", {}},
};

TEST(PublicUrls, AreThoseThatATrustedProxyForwarded) {
  for (const Case& c : kCases) {
    std::vector<std::string> expected;
    for (const std::string& url : c.urls) expected.push_back(url + "/call?a=1");
    EXPECT_EQ(urls(c.headers, source("")), expected) << c.what;
  }
}

// Schemes are compared without regard to case (RFC 3986 §3.1), but what a provider signs is written small.
TEST(PublicUrls, WriteTheSchemeSmall) {
  EXPECT_THAT(urls("X-Forwarded-Proto: HTTPS\r\nX-Forwarded-Host: a.test\r\n", source("")),
              ElementsAre("https://a.test/call?a=1"));
  EXPECT_THAT(urls("Forwarded: proto=Https;host=a.test\r\n", source("")), ElementsAre("https://a.test/call?a=1"));
}

TEST(PublicUrls, NameNoPortThatThereIsNot) {
  for (const char* port : {"0", "65536", "99999"}) {
    EXPECT_THAT(urls("X-Forwarded-Proto: https\r\nX-Forwarded-Host: a.test\r\nX-Forwarded-Port: " + std::string(port) + "\r\n",
                     source("")),
                ElementsAre("https://a.test/call?a=1"))
        << port;
  }
}

TEST(PublicUrls, KeepTheTargetAsItWasSent) {
  const std::pair<const char*, const char*> targets[] = {
      {"/", "/"},
      {"/a%20b%2Fc/%7e?x=%41+%2b&&y", "/a%20b%2Fc/%7e?x=%41+%2b&&y"},
      {"/a?", "/a?"},  // a lone '?' is part of what was signed
      {"/a??b?", "/a??b?"},
      {"/a?b=/c://d", "/a?b=/c://d"},
      {"//a", "//a"},
      {"/a/", "/a/"},
      // Absolute-form: its host is not trusted, the rest counts.
      {"http://evil.test/a?b=1", "/a?b=1"},
      {"https://evil.test:8443/a%2f?", "/a%2f?"},
      {"http://evil.test", "/"},
      {"http://evil.test?x", "/?x"},
  };
  for (const auto& [target, kept] : targets) {
    EXPECT_THAT(urls("", source(kPublic), kProxy, target), ElementsAre(std::string(kPublic) + kept)) << target;
    EXPECT_THAT(urls("X-Forwarded-Proto: https\r\nHost: a.test\r\n", source(""), kProxy, target),
                ElementsAre("https://a.test" + std::string(kept)))
        << target;
  }
}

// Attack: each URL costs the plugin a MAC over the body.
TEST(PublicUrls, AreFew) {
  std::string hosts, forwarded;
  for (int i = 0; i < 5'000; ++i) {
    hosts += "h" + std::to_string(i) + ".test,";
    forwarded += "proto=http;host=f" + std::to_string(i) + ".test,";
  }
  auto found = urls("Forwarded: " + forwarded + "\r\nX-Forwarded-Host: " + hosts +
                        "\r\nX-Forwarded-Proto: https,http\r\nX-Forwarded-Port: 1\r\n",
                    source(""));
  EXPECT_THAT(found, SizeIs(Le(kMaxUrls)));
  EXPECT_THAT(found, Each(StartsWith("http")));
}

}  // namespace
}  // namespace postern::admission
