// Where whole URLs may lead, by their text and by the address that they come to.
#include <gmock/gmock.h>
#include <netinet/in.h>

#include <cstdlib>

#include "core/client/address_guard.h"
#include "core/client/url.h"
#include "tests/unit/client/client_harness.h"

namespace postern::client {
namespace {

using ::testing::HasSubstr;

TEST(AddressGuardTest, OnlyPublicAddressesPass) {
  for (const char* address : {"8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1", "192.0.1.1",
                              "223.255.255.255", "2606:4700:4700::1111", "2a00:1450:4001:800::200e", "2001:4860:4860::8888"}) {
    EXPECT_TRUE(is_public(std::string(address))) << address;
  }
  for (const char* address :
       {"127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
        "100.64.0.1", "100.100.100.200", "100.127.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.19.255.255",
        "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "168.63.129.16", "::", "::1",
        "::ffff:8.8.8.8", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::8.8.8.8", "64:ff9b:1::1", "2002:7f00:1::", "2002:808:808::1",
        "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1", "3fff::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1",
        "ff02::1", "100::1", "5f00::1", "not an address", "", "127.1", "fe80::1%lo"}) {
    EXPECT_FALSE(is_public(std::string(address))) << address;
  }
}

TEST(AddressGuardTest, OtherFamiliesDoNotPass) {
  sockaddr unix_address{};
  unix_address.sa_family = AF_UNIX;
  EXPECT_FALSE(is_public(&unix_address));
}

Upstream allowing(std::vector<std::string> hosts) {
  Upstream upstream;
  upstream.name = "media";
  upstream.allow_hosts = std::move(hosts);
  return upstream;
}

Code refusal(const Upstream& upstream, const std::string& url) { return destination(upstream, url).status().code(); }

TEST(UrlTest, WhatIsNoWebAddressIsInvalid) {
  Upstream any;
  any.any_host = any.allow_http = true;
  for (const char* url :
       {"", "example.com", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "//example.com/", "https://",
        "https://user@example.com/", "https://user:pass@example.com/", "https://:pass@example.com/", "https://example.com:0/",
        "https://example.com:99999/", "https://exa mple.com/", "https://example.com/a b", "https://example.com/\r\nX: y",
        "https://example.com\\@127.0.0.1/", "https://[::1", "javascript:alert(1)", "https://example.com:abc/"}) {
    EXPECT_EQ(refusal(any, url), Code::kInvalid) << url;
  }
  EXPECT_EQ(refusal(any, "https://example.com/" + std::string(9000, 'x')), Code::kInvalid);
  EXPECT_EQ(refusal(any, "https://example.com/a?b#c"), Code::kOk);
  EXPECT_EQ(destination(any, "https://Example.COM./a?b#c")->url.whole, "https://example.com/a?b");
}

TEST(UrlTest, OnlyAllowedHostsAndPorts) {
  Upstream media = allowing({"api.example.com", "*.cdn.example.com", "odd.example.com:8443"});
  for (const char* url : {"https://api.example.com/x", "https://API.example.com./x", "https://a.cdn.example.com/",
                          "https://a.b.cdn.example.com/", "https://odd.example.com:8443/", "https://api.example.com:80/"}) {
    EXPECT_EQ(refusal(media, url), Code::kOk) << url;
  }
  for (const char* url : {"http://api.example.com/x", "https://example.com/", "https://cdn.example.com/", "https://xcdn.example.com/",
                          "https://api.example.com.evil.test/", "https://evil.test/api.example.com", "https://api.example.com:8080/",
                          "https://odd.example.com/", "https://127.0.0.1/", "https://evil.test?api.example.com",
                          "https://evil.test#api.example.com"}) {
    EXPECT_EQ(refusal(media, url), Code::kDenied) << url;
  }
  EXPECT_EQ(refusal(media, "/x"), Code::kInvalid) << "there is no base URL";
  media.allow_http = true;
  EXPECT_EQ(refusal(media, "http://api.example.com/x"), Code::kOk);
}

TEST(UrlTest, WithoutAListOnlyTheBaseUrlsOwn) {
  Upstream api;
  api.base_url = "https://api.example.com:8443/v1/";
  EXPECT_EQ(destination(api, "/a?b=c")->url.whole, "https://api.example.com:8443/v1/a?b=c");
  EXPECT_FALSE(destination(api, "/a")->guarded);
  ASSERT_TRUE(destination(api, "https://api.example.com:8443/v1/next"));
  EXPECT_TRUE(destination(api, "https://api.example.com:8443/v1/next")->guarded);
  for (const char* url : {"https://api.example.com/", "http://api.example.com:8443/", "https://other.example.com:8443/", "//evil.test/"}) {
    EXPECT_FALSE(destination(api, url)) << url;
  }
}

// A part of the path may have come from outside: it must not reach what is beside the base URL.
TEST(UrlTest, APathStaysBehindTheBaseUrl) {
  Upstream api;
  api.base_url = "https://api.example.com/v1/accounts";
  for (const char* path : {"/../admin", "/a/../../admin", "/..", "/a/..", "/./a", "/.", "/%2e%2e/admin", "/%2E./admin", "/.%2e?x", "/..#x",
                           "/..%2fadmin", "/a%2F..%2Fadmin", "/%2e%2e%5cadmin", "/..%5Cadmin"}) {
    EXPECT_EQ(refusal(api, path), Code::kDenied) << path;
  }
  for (const char* path : {"/", "/a", "/a.b", "/..a/b..", "/...", "/a?next=/../b", "/a#/../b", "/%2e%2ea", "/a%2fb"}) {
    ASSERT_EQ(refusal(api, path), Code::kOk) << path;
    EXPECT_TRUE(destination(api, path)->url.whole.starts_with("https://api.example.com/v1/accounts/")) << path;
  }
}

TEST(UrlTest, AHostIsAscii) {
  Upstream media = allowing({"*.example.com"});
  media.any_host = true;
  for (const char* url : {"https://\xc3\xbc.example.com/", "https://\xff.example.com/", "https://127\xe3\x80\x82" "0.0.1/",
                          "https://%c3%bc.example.com/"}) {
    EXPECT_EQ(refusal(media, url), Code::kInvalid) << url;
  }
  EXPECT_EQ(refusal(media, "https://xn--tda.example.com/\xc3\xbc"), Code::kOk);
}

TEST(UrlTest, AnyHostMeansTheUsualPorts) {
  Upstream any;
  any.any_host = true;
  EXPECT_EQ(refusal(any, "https://example.com/"), Code::kOk);
  EXPECT_EQ(refusal(any, "https://example.com:6379/"), Code::kDenied);
  EXPECT_EQ(refusal(any, "http://example.com/"), Code::kDenied);
}

TEST(UrlTest, IsShownWithoutItsQuery) { EXPECT_EQ(parse_url("https://a.example/b?token=c")->shown(), "https://a.example/b"); }

TEST(UpstreamTest, WhatIsWrongIsSaid) {
  Upstream fine;
  fine.name = "api";
  fine.base_url = "https://api.example.com";
  EXPECT_TRUE(check(fine));
  auto wrong = [&](auto change) {
    Upstream upstream = fine;
    change(upstream);
    return check(upstream).message();
  };
  EXPECT_THAT(wrong([](Upstream& u) { u.name = "A b"; }), HasSubstr("name"));
  EXPECT_THAT(wrong([](Upstream& u) { u.base_url = ""; }), HasSubstr("needs a base URL"));
  EXPECT_THAT(wrong([](Upstream& u) { u.base_url = "api.example.com"; }), HasSubstr("base URL"));
  EXPECT_THAT(wrong([](Upstream& u) { u.base_url = "https://a.example/?q"; }), HasSubstr("query"));
  EXPECT_THAT(wrong([](Upstream& u) { u.allow_hosts = {"https://a.example"}; }), HasSubstr("is no host"));
  EXPECT_THAT(wrong([](Upstream& u) { u.allow_hosts = {"*"}; }), HasSubstr("is no host"));
  EXPECT_THAT(wrong([](Upstream& u) { u.allow_hosts = {"a.example:x"}; }), HasSubstr("is no host"));
  EXPECT_THAT(wrong([](Upstream& u) { u.attempts = 0; }), HasSubstr("attempts"));
  EXPECT_THAT(wrong([](Upstream& u) { u.backoff.factor = 0; }), HasSubstr("attempts"));
  EXPECT_THAT(wrong([](Upstream& u) { u.backoff.base_ms = -1; }), HasSubstr("waits"));
  EXPECT_THAT(wrong([](Upstream& u) { u.deadline_ms = 0; }), HasSubstr("times"));
  EXPECT_THAT(wrong([](Upstream& u) { u.max_in_flight = 0; }), HasSubstr("in flight"));
  EXPECT_THAT(wrong([](Upstream& u) { u.max_redirects = 11; }), HasSubstr("redirects"));
  EXPECT_THAT(wrong([](Upstream& u) { u.max_response = 0; }), HasSubstr("answer"));
}

TEST(RetryAfterTest, SecondsDatesAndGarbage) {
  constexpr int64_t kNow = 1'792'000'000'000;  // Wed, 14 Oct 2026 17:46:40 GMT
  EXPECT_EQ(parse_retry_after("0", kNow), 0);
  EXPECT_EQ(parse_retry_after(" 120 ", kNow), 120'000);
  EXPECT_EQ(parse_retry_after("999999999", kNow), 24 * 3600 * 1000);
  EXPECT_EQ(parse_retry_after("99999999999999999999999999", kNow), 24 * 3600 * 1000);
  EXPECT_EQ(parse_retry_after("Wed, 14 Oct 2026 17:47:40 GMT", kNow), 60'000);
  EXPECT_EQ(parse_retry_after("Wednesday, 14-Oct-26 17:47:40 GMT", kNow), 60'000);
  EXPECT_EQ(parse_retry_after("Wed, 14 Oct 2026 17:45:40 GMT", kNow), 0);
  EXPECT_EQ(parse_retry_after("Fri, 31 Dec 2199 23:59:59 GMT", kNow), 24 * 3600 * 1000);
  for (const char* garbage : {"", " ", "-1", "1.5", "1e3", "soon", "12 seconds", "0x10", "Wed, 99 Oct 2026 99:99:99 GMT", "14 Oct"}) {
    EXPECT_EQ(parse_retry_after(garbage, kNow), std::nullopt) << garbage;
  }
  EXPECT_EQ(parse_retry_after(std::string(1000, '9'), kNow), std::nullopt);
}

// ---- with sockets

class GuardTest : public ClientTest {
 protected:
  // Whole URLs may lead to these hosts, on the server's port, over http.
  Upstream guarded(const std::string& host) const {
    Upstream upstream = quick();
    upstream.base_url.clear();
    upstream.allow_hosts = {host + ":" + std::to_string(server_->port())};
    upstream.allow_http = true;
    return upstream;
  }
  std::string to(const std::string& host) const { return "http://" + host + ":" + std::to_string(server_->port()) + "/"; }
};

TEST_F(GuardTest, APrivateAddressIsNotReached) {
  serve([](Conversation& c) { c.answer(200, "inner secret"); });
  Outcome answer = get(add(guarded("127.0.0.1")), to("127.0.0.1"));
  EXPECT_EQ(answer.kind, Kind::kRefused);
  EXPECT_EQ(answer.verdict(), Outcome::Verdict::kDead);
  EXPECT_THAT(answer.error, HasSubstr("leads to 127.0.0.1"));
  EXPECT_EQ(answer.body, "");
  EXPECT_EQ(server_->connections(), 0u);
  EXPECT_EQ(status().failures, 0u);
}

TEST_F(GuardTest, OtherSpellingsOfItNeither) {
  serve([](Conversation& c) { c.answer(200); });
  Upstream upstream = guarded("*.any");
  std::string port = ":" + std::to_string(server_->port());
  for (const char* host :
       {"127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost", "127.0.0.1.", "[::ffff:127.0.0.1]", "[::1]", "0"}) {
    upstream.allow_hosts.push_back(std::string(host) + port);
  }
  upstream.allow_hosts.push_back("127.0.0.1" + port);
  upstream.allow_hosts.push_back("0.0.0.0" + port);
  upstream.attempts = 1;
  upstream.breaker_failures = 100;
  auto api = add(upstream);
  for (const char* host :
       {"127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost", "127.0.0.1.", "[::ffff:127.0.0.1]", "[::1]", "0"}) {
    Outcome answer = get(api, to(host));
    EXPECT_NE(answer.kind, Kind::kOk) << host;
    EXPECT_NE(answer.kind, Kind::kConnect) << host << ": " << answer.error;
  }
  EXPECT_EQ(server_->connections(), 0u);
}

TEST_F(GuardTest, ANameThatResolvesToAPrivateAddressNeither) {
  serve([](Conversation& c) { c.answer(200, "inner secret"); });
  Client::Options options;
  options.pins = {"rebound.test:" + std::to_string(server_->port()) + ":127.0.0.1"};
  start(options);
  Outcome answer = get(add(guarded("rebound.test")), to("rebound.test"));
  EXPECT_EQ(answer.kind, Kind::kRefused);
  EXPECT_EQ(server_->connections(), 0u);
}

// The connection in the pool was opened for a request by path, to which the guard does not apply.
TEST_F(GuardTest, APooledConnectionIsCheckedAgain) {
  serve([](Conversation& c) { c.answer(200, "inner secret"); });
  Upstream upstream = guarded("127.0.0.1");
  upstream.base_url = server_->url();
  auto api = add(upstream);
  ASSERT_EQ(get(api, "/").kind, Kind::kOk);
  EXPECT_EQ(get(api, to("127.0.0.1")).kind, Kind::kRefused);
  EXPECT_EQ(server_->requests().size(), 1u);
}

TEST_F(GuardTest, ARedirectIsTheAnswer) {
  UpstreamServer inner([](Conversation& c) { c.answer(200, "inner secret"); });
  serve([&](Conversation& c) { c.answer(302, "", "Location: " + inner.url() + "/?token=hidden\r\n"); });
  Upstream following = quick();
  following.max_redirects = 5;
  auto follows = add(following);
  auto does_not = add(quick());
  for (auto api : {follows, does_not}) {
    Outcome answer = get(api);
    EXPECT_EQ(answer.kind, Kind::kRejected);
    EXPECT_EQ(answer.status, 302);
    EXPECT_EQ(answer.attempts, 1u);
    EXPECT_THAT(answer.error, HasSubstr("leads to http://127.0.0.1 and is not followed"));
  }
  EXPECT_EQ(inner.connections(), 0u);
}

TEST_F(GuardTest, RedirectsStayWithTheirOrigin) {
  serve([](Conversation& c) {
    if (c.request.target == "/start") return c.answer(307, "", "Location: next?x=1\r\n");
    if (c.request.target == "/other") return c.answer(301, "", "Location: http://localhost:1/\r\n");
    if (c.request.target == "/scheme") return c.answer(301, "", "Location: ftp://127.0.0.1/\r\n");
    if (c.request.target == "/user") return c.answer(301, "", "Location: http://a:b@" + c.request.header("Host") + "/\r\n");
    if (c.request.target == "/round") return c.answer(302, "", "Location: /round\r\n");
    if (c.request.target == "/form") return c.answer(303, "", "Location: /seen\r\n");
    c.answer(200, c.request.method + " " + c.request.target + " " + c.request.body + c.request.header("Authorization"));
  });
  Upstream upstream = quick();
  upstream.max_redirects = 3;
  auto api = add(upstream);
  Request request;
  request.method = "POST";
  request.headers = {{"Authorization", "s3cret"}};
  request.body = "body,";
  request.url = "/start";
  EXPECT_EQ(client_->call(api, request).body, "POST /next?x=1 body,s3cret");
  request.url = "/form";
  EXPECT_EQ(client_->call(api, request).body, "GET /seen s3cret");
  request.url = "/other";
  EXPECT_EQ(client_->call(api, request).status, 301) << "a POST is not repeated as something else";
  for (const char* path : {"/other", "/scheme", "/user", "/round"}) {
    size_t before = server_->requests().size();
    Outcome answer = get(api, path);
    EXPECT_EQ(answer.kind, Kind::kRejected) << path;
    EXPECT_EQ(server_->requests().size() - before, path == std::string("/round") ? 4u : 1u) << path;
  }
}

TEST_F(GuardTest, TheEnvironmentsProxyIsNotUsed) {
  UpstreamServer proxy([](Conversation& c) { c.answer(200, "by the proxy"); });
  serve([](Conversation& c) { c.answer(200, "straight"); });
  ::setenv("http_proxy", proxy.url().c_str(), 1);
  ::setenv("ALL_PROXY", proxy.url().c_str(), 1);
  EXPECT_EQ(get(add(quick())).body, "straight");
  ::unsetenv("http_proxy");
  ::unsetenv("ALL_PROXY");
  EXPECT_EQ(proxy.connections(), 0u);
}

}  // namespace
}  // namespace postern::client
