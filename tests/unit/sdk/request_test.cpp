// What a plugin sees of a request: path parameters, forms and URLs; through the C++ wrapper.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scripted.h"

namespace {

using postern::Exchange;
using postern::Response;
using postern::testing::Request;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

using Pairs = std::vector<std::pair<std::string, std::string>>;

class RequestViews : public postern::testing::ScriptedTest {
 protected:
  // The form as a plugin sees it.
  Pairs form_of(std::string body, std::string content_type = "application/x-www-form-urlencoded") {
    Pairs seen;
    start_reply([&seen](Exchange& exchange) {
      for (const auto& [name, value] : exchange.form()) seen.emplace_back(name, value);
      return Response{};
    });
    EXPECT_TRUE(host->reply({.target = "/r", .headers = {{"Content-Type", content_type}}, .body = body}).sent);
    return seen;
  }
};

TEST_F(RequestViews, EverythingOfARequest) {
  ASSERT_TRUE(start([](postern::Setup& setup, std::string_view) {
                setup.reply({.method = "PUT", .path = "/a/{b}/{c}", .without_signature = true}, [](Exchange& exchange) {
                  EXPECT_EQ(exchange.method(), "PUT");
                  EXPECT_EQ(exchange.target(), "/a/x%2Fy+z/1?b=2");
                  EXPECT_EQ(exchange.body(), std::string_view("a\0b", 3));
                  EXPECT_EQ(exchange.remote(), "2001:db8::1");
                  EXPECT_EQ(exchange.header("X-A", 1), "2");
                  EXPECT_EQ(exchange.header("x-a", 2), std::nullopt);
                  EXPECT_EQ(exchange.path_parameter("b"), "x/y+z");
                  EXPECT_EQ(exchange.path_parameter("c"), "1");
                  EXPECT_EQ(exchange.path_parameter("d"), std::nullopt);
                  EXPECT_THAT(exchange.form(), IsEmpty());
                  return Response{};
                });
              }).ok());
  EXPECT_TRUE(host->reply({.method = "PUT",
                           .target = "/a/x%2Fy+z/1?b=2",
                           .headers = {{"x-A", "1"}, {"X-a", "2"}},
                           .body = std::string("a\0b", 3),
                           .remote = "2001:db8::1"})
                  .sent);
}

TEST_F(RequestViews, ALiteralSegmentIsPreferredToAParameter) {
  auto answer = [](std::string text) { return [text](Exchange&) { return Response{.body = text}; }; };
  ASSERT_TRUE(start([&](postern::Setup& setup, std::string_view) {
                setup.reply({.path = "/a/{b}", .without_signature = true}, answer("parameter"));
                setup.reply({.path = "/a/latest", .without_signature = true}, answer("literal"));
              }).ok());
  EXPECT_EQ(host->reply({.target = "/a/latest"}).body, "literal");
  EXPECT_EQ(host->reply({.target = "/a/other"}).body, "parameter");
  EXPECT_EQ(host->reply({.target = "/a/"}).status, 404u);
}

// URL Standard §5.1.
TEST_F(RequestViews, Forms) {
  EXPECT_THAT(form_of("a=1&b=2&a=3"), ElementsAre(Pair("a", "1"), Pair("b", "2"), Pair("a", "3")));
  EXPECT_THAT(form_of("&&a=1&&&b&"), ElementsAre(Pair("a", "1"), Pair("b", "")));
  EXPECT_THAT(form_of("a=b=c&=&=x"), ElementsAre(Pair("a", "b=c"), Pair("", ""), Pair("", "x")));
  EXPECT_THAT(form_of("From=%2B15550100&q=a+b%20c"), ElementsAre(Pair("From", "+15550100"), Pair("q", "a b c")));
  EXPECT_THAT(form_of("a=%&b=%4&c=%zz&d=%4g%41%"),
              ElementsAre(Pair("a", "%"), Pair("b", "%4"), Pair("c", "%zz"), Pair("d", "%4gA%")));
  EXPECT_THAT(form_of("%2b=%c3%28&n=%00"), ElementsAre(Pair("+", "\xc3("), Pair("n", std::string(1, '\0'))));
  EXPECT_THAT(form_of("a=1\r\n;b=2"), ElementsAre(Pair("a", "1\r\n;b=2")));
  EXPECT_THAT(form_of(""), IsEmpty());
}

TEST_F(RequestViews, OnlyAFormBodyHasParameters) {
  EXPECT_THAT(form_of("a=1", "Application/X-WWW-Form-Urlencoded ; charset=UTF-8"), ElementsAre(Pair("a", "1")));
  for (const char* other : {"", " ", ";", "application/json", "multipart/form-data", "application/x-www-form-urlencoded2"}) {
    EXPECT_THAT(form_of("a=1", other), IsEmpty()) << other;
  }
}

TEST_F(RequestViews, AParameterByItsName) {
  start_reply([](Exchange& exchange) {
    EXPECT_EQ(exchange.form("a"), "1");  // the first one
    EXPECT_EQ(exchange.form("b"), "");
    EXPECT_EQ(exchange.form("A"), std::nullopt);
    return Response{};
  });
  Request request{.target = "/r", .body = "a=1&a=2&b"};
  request.headers = {{"content-type", "application/x-www-form-urlencoded"}};
  EXPECT_TRUE(host->reply(request).sent);
}

TEST_F(RequestViews, UrlsAndThePublicUrl) {
  std::vector<std::string> seen;
  auto look = [&seen](Exchange& exchange) {
    for (std::string_view url : exchange.urls()) seen.emplace_back(url);
    return Response{};
  };
  std::string public_url;
  bool proxies = false;
  auto with = [&](postern::testing::Options options) {
    EXPECT_TRUE(start(
                    [&](postern::Setup& setup, std::string_view) {
                      public_url = setup.public_url();
                      proxies = setup.trusts_proxies();
                      setup.reply({.path = "/r", .without_signature = true}, look);
                    },
                    std::move(options))
                    .ok());
  };
  with({});
  EXPECT_EQ(public_url, "");
  EXPECT_FALSE(proxies);
  host->reply({.target = "/r?a=%20"});
  EXPECT_THAT(seen, IsEmpty());
  with({.public_url = "https://hooks.example.com/base/", .trusts_proxies = true});
  EXPECT_EQ(public_url, "https://hooks.example.com/base");
  EXPECT_TRUE(proxies);
  host->reply({.target = "/r?a=%20"});
  EXPECT_THAT(seen, ElementsAre("https://hooks.example.com/base/r?a=%20"));
  seen.clear();
  host->reply({.target = "/r", .urls = {"https://a/r", "http://b:1/r"}});
  EXPECT_THAT(seen, ElementsAre("https://a/r", "http://b:1/r"));
}

TEST_F(RequestViews, ADeliveryHasFormsButNoUrls) {
  ASSERT_TRUE(start(
                  [](postern::Setup& setup, std::string_view) {
                    setup.on("e", [](postern::Delivery& d) {
                      EXPECT_EQ(d.request().form("a"), "1");
                      EXPECT_THAT(d.request().urls(), IsEmpty());
                      EXPECT_EQ(d.request().path_parameter("b"), std::nullopt);
                    });
                  },
                  {.public_url = "https://hooks.example.com"})
                  .ok());
  EXPECT_TRUE(host->deliver({.type = "e",
                             .body = "a=1",
                             .headers = {{"Content-Type", "application/x-www-form-urlencoded"}},
                             .target = "/a/b"})
                  .done());
}

}  // namespace
