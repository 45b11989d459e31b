#include "core/http/router.h"

#include <gtest/gtest.h>

namespace postern::http {
namespace {

using Kind = Router::Match::Kind;

class RouterTest : public ::testing::Test {
 protected:
  void add(std::string_view method, std::string_view path_template, Router::Id id) {
    const Status status = router_.add(method, path_template, id);
    ASSERT_TRUE(status.is_ok()) << status.message();
  }
  void SetUp() override {
    add("GET", "/health", 1);
    add("GET", "/api/health/", 2);
    add("GET", "/api/health/{name}", 3);
    add("POST", "/api/calls/{call_id}/webhook", 4);
    add("GET", "/api/calls/{call_id}", 5);
    add("GET", "/api/calls/latest", 6);
    add("PUT", "/api/calls/{id}", 7);
    add("DELETE", "/api/calls/{_x1}", 8);
    add("GET", "/{a}/{b}/{c}/end", 9);
    add("GET", "/", 10);
  }

  Router router_;
};

TEST_F(RouterTest, Finds) {
  struct Case {
    const char* method;
    const char* path;
    Router::Id id;
    PathParameters parameters;
  };
  const Case cases[] = {
      {"GET", "/", 10, {}},
      {"GET", "/health", 1, {}},
      {"GET", "/he%61lth", 1, {}},
      {"GET", "/api/health/", 2, {}},
      {"GET", "/api/health/x-y", 3, {{"name", "x-y"}}},
      {"POST", "/api/calls/CA%31/webhook", 4, {{"call_id", "CA1"}}},
      {"POST", "/api/calls/latest/webhook", 4, {{"call_id", "latest"}}},
      {"GET", "/api/calls/7", 5, {{"call_id", "7"}}},
      {"GET", "/api/calls/a%20b", 5, {{"call_id", "a b"}}},
      {"GET", "/api/calls/latest", 6, {}},
      {"GET", "/api/calls/l%61test", 6, {}},
      {"GET", "/api/calls/latests", 5, {{"call_id", "latests"}}},
      {"PUT", "/api/calls/7", 7, {{"id", "7"}}},
      {"DELETE", "/api/calls/7", 8, {{"_x1", "7"}}},
      {"GET", "/api/calls/7/end", 9, {{"a", "api"}, {"b", "calls"}, {"c", "7"}}},
  };
  for (const Case& c : cases) {
    const Router::Match match = router_.match(c.method, c.path);
    EXPECT_EQ(match.kind, Kind::kFound) << c.path;
    EXPECT_EQ(match.id, c.id) << c.path;
    EXPECT_EQ(match.parameters, c.parameters) << c.path;
  }
}

TEST_F(RouterTest, NoPath) {
  for (const char* path : {"/x", "/health/", "/Health", "/api/health", "/api", "/api/calls", "/api/calls/", "//health",
                           "/api/calls//webhook", "/api/calls/1/webhook/", "/api/calls/1/2/3", "*"}) {
    EXPECT_EQ(router_.match("GET", path).kind, Kind::kNoPath) << path;
  }
}

TEST_F(RouterTest, NoMethodListsThoseOfThePath) {
  const Router::Match match = router_.match("POST", "/api/calls/7");
  EXPECT_EQ(match.kind, Kind::kNoMethod);
  EXPECT_EQ(match.allow, "DELETE, GET, PUT");
  EXPECT_TRUE(match.parameters.empty());
  EXPECT_EQ(router_.match("HEAD", "/health").allow, "GET");
  EXPECT_EQ(router_.match("get", "/health").kind, Kind::kNoMethod) << "methods are case-sensitive";
  EXPECT_EQ(router_.match("PUT", "/api/calls/latest").allow, "GET") << "the literal route is the one that is meant";
}

TEST_F(RouterTest, BadPath) {
  for (const char* path : {"", "health", "/../health", "/api/%2e%2e/health", "/api%2fhealth/", "/api/calls/%00",
                           "/api/calls/%ff", "/api/calls/%252e", "/api\\calls\\1", "/x/."}) {
    EXPECT_EQ(router_.match("GET", path).kind, Kind::kBadPath) << path;
  }
}

TEST_F(RouterTest, RefusesASecondRouteForTheSame) {
  EXPECT_EQ(router_.add("GET", "/health", 20).code(), Code::kConflict);
  EXPECT_EQ(router_.add("GET", "/api/calls/{other}", 20).code(), Code::kConflict);
  EXPECT_EQ(router_.match("GET", "/health").id, 1U);
  EXPECT_TRUE(router_.add("POST", "/health", 20).is_ok());
  EXPECT_EQ(router_.match("POST", "/health").id, 20U);
}

TEST(RouterTemplates, Refused) {
  for (const char* path_template :
       {"",     "a",      "a/b",      "*",          "//",    "/a//b",     "//a",        "/a//",
        "/{}",  "/{1a}",  "/{a-b}",   "/{a b}",     "/{a}x", "/x{a}",     "/{a}{b}",    "/{a",
        "/a}",  "/{{a}}", "/{a}/{a}", "/{a}/b/{a}", "/.",    "/..",       "/a/../b",    "/a%20b",
        "/a b", "/a?b",   "/a#b",     "/a\\b",      "/a\n",  "/\xc3\xa9", "/{\xc3\xa9}"}) {
    Router router;
    EXPECT_EQ(router.add("GET", path_template, 1).code(), Code::kInvalid) << path_template;
  }
  for (const char* method : {"", "G T", "GET,POST", "GE\n"}) {
    Router router;
    EXPECT_EQ(router.add(method, "/a", 1).code(), Code::kInvalid) << method;
  }
}

TEST(RouterTemplates, FaultsNameTheTemplate) {
  Router router;
  EXPECT_EQ(router.add("GET", "/a/{b}/{b}", 1).message(), "route \"/a/{b}/{b}\": has two parameters \"b\"");
}

TEST(RouterTemplates, EmptyRouterFindsNothing) { EXPECT_EQ(Router().match("GET", "/").kind, Kind::kNoPath); }

TEST(RouterTemplates, AVeryLongPathIsCheap) {
  Router router;
  ASSERT_TRUE(router.add("GET", "/{a}/{b}", 1).is_ok());
  std::string path;
  for (int i = 0; i < 4000; ++i) path += "/a";
  EXPECT_EQ(router.match("GET", path).kind, Kind::kNoPath);
}

}  // namespace
}  // namespace postern::http
