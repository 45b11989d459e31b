#include "core/http/request.h"

#include <gtest/gtest.h>

#include <utility>

namespace postern::http {
namespace {

TEST(Request, HeadersByNameAndNumber) {
  const Request r = Request::from_parts("GET", "/", "X: 1\r\nY: 2\r\nx: 3\r\n", "");
  EXPECT_EQ(r.header_count(), 3U);
  EXPECT_EQ(r.header("X"), "1");
  EXPECT_EQ(r.header("x", 1), "3");
  EXPECT_EQ(r.header("x", 2), std::nullopt);
  EXPECT_EQ(r.header("z"), std::nullopt);
  EXPECT_EQ(r.count("X"), 2U);
  EXPECT_EQ(r.count("z"), 0U);
  EXPECT_EQ(r.header_name(2), "x");
  EXPECT_EQ(r.header_value(1), "2");
}

TEST(Request, PartsAreTakenApart) {
  const Request r = Request::from_parts("POST", "https://a.test/p/q?x=1", "A: b:c\r\nEmpty: \r\n", "body");
  EXPECT_EQ(r.method(), "POST");
  EXPECT_EQ(r.target(), "https://a.test/p/q?x=1");
  EXPECT_EQ(r.path(), "/p/q");
  EXPECT_EQ(r.query(), "x=1");
  EXPECT_EQ(r.header("a"), "b:c");
  EXPECT_EQ(r.header("empty"), "");
  EXPECT_EQ(r.body(), "body");
  EXPECT_EQ(r.headers_text(), "A: b:c\r\nEmpty: \r\n");
}

TEST(Request, PartsThatAreDamagedDoNoHarm) {
  const Request r = Request::from_parts("", "", "no colon\r\nA: b", "");
  EXPECT_EQ(r.path(), "");
  EXPECT_EQ(r.header_count(), 1U);
  EXPECT_EQ(r.header("A"), "b");
  EXPECT_EQ(Request::from_parts("GET", "/", "", "").headers_text(), "");
}

TEST(Request, ViewsFollowAMove) {
  Request r = Request::from_parts("GET", "/a?b", "X: y\r\n", "c");
  const Request moved = std::move(r);
  const Request copy = moved;  // NOLINT: the copy is what is tested
  for (const Request* each : {&moved, &copy}) {
    EXPECT_EQ(each->path(), "/a");
    EXPECT_EQ(each->header("x"), "y");
  }
}

TEST(EqualsIgnoringCase, OnlyLettersFold) {
  EXPECT_TRUE(equals_ignoring_case("Content-Length", "cONTENT-lENGTH"));
  EXPECT_TRUE(equals_ignoring_case("", ""));
  EXPECT_FALSE(equals_ignoring_case("a", "ab"));
  EXPECT_FALSE(equals_ignoring_case("^", "~"));
  EXPECT_FALSE(equals_ignoring_case("@", "`"));
  EXPECT_FALSE(equals_ignoring_case("\xc9", "\xe9"));
}

}  // namespace
}  // namespace postern::http
