#include "core/http/target.h"

#include <gtest/gtest.h>

namespace postern::http {
namespace {

using namespace std::string_literals;
using Segments = std::vector<std::string>;

TEST(DecodePath, Decodes) {
  const std::pair<std::string, Segments> cases[] = {
      {"/", {""}},
      {"/a", {"a"}},
      {"/a/", {"a", ""}},
      {"/a//b", {"a", "", "b"}},
      {"//", {"", ""}},
      {"/api/calls/CA%31/webhook", {"api", "calls", "CA1", "webhook"}},
      {"/%41%6a%6A", {"Ajj"}},
      {"/a%20b", {"a b"}},
      {"/a+b", {"a+b"}},
      {"/100%25", {"100%"}},
      {"/%25zz", {"%zz"}},
      {"/%c3%a9\xc3\xa9", {"\xc3\xa9\xc3\xa9"}},
      {"/%f0%9f%98%80", {"\xf0\x9f\x98\x80"}},
      {"/...", {"..."}},
      {"/.a/..b/a..", {".a", "..b", "a.."}},
      {"/~a;b=c,d:e@f!$&'()*", {"~a;b=c,d:e@f!$&'()*"}},
  };
  for (const auto& [path, segments] : cases) EXPECT_EQ(decode_path(path), segments) << path;
}

TEST(DecodePath, Refuses) {
  const std::string cases[] = {
      "",
      "a",
      "a/b",
      "*",
      "/.",
      "/..",
      "/a/../b",
      "/a/./b",
      "/../etc/passwd",
      "/a/..",
      "/%2e",
      "/%2e%2e",
      "/%2E%2e/a",
      "/.%2e/a",
      "/%2e./a",
      "/a%2fb",
      "/a%2Fb",
      "/%2f",
      "/a%5cb",
      "/a%5Cb",
      "/a\\b",
      "/..\\a",
      "/%00",
      "/a%00.json",
      "/%01",
      "/%0a",
      "/%0d%0a",
      "/%1f",
      "/%7f",
      "/a\0b"s,
      "/a\nb",
      "/%",
      "/%2",
      "/%zz",
      "/%2g",
      "/a%",
      "/%%41",
      "/% 41",
      "/%-1",
      "/%0x",
      "/%252e%252e",
      "/%252f",
      "/%25%32%66",
      "/%2541",
      "/%255c",
      "/%2500",
      "/a%25%30%30",
      "/%ff",
      "/%c3",
      "/%c3%28",
      "/%c0%af",
      "/%c0%ae%c0%ae",
      "/%e0%80%af",
      "/%ed%a0%80",
      "/%f4%90%80%80",
      "/%f8%88%80%80%80",
      "/%80",
      "/%c3/%a9",
      "/\xff",
  };
  for (const std::string& path : cases) EXPECT_EQ(decode_path(path), std::nullopt) << path;
}

TEST(DecodePath, DoesNotLookBehindTheEnd) {
  const std::string_view more = "/%41";
  EXPECT_EQ(decode_path(more.substr(0, 3)), std::nullopt);
}

TEST(DecodeComponent, Cases) {
  EXPECT_EQ(decode_component(""), "");
  EXPECT_EQ(decode_component("a+b%20c%2Bd"), "a b c+d");
  EXPECT_EQ(decode_component("%2f%2e%25"), "/.%");
  EXPECT_EQ(decode_component("%c3%a9"), "\xc3\xa9");
  EXPECT_EQ(decode_component("%00"), "\0"s);
  for (const char* bad : {"%", "%1", "%g1", "%1g", "a%", "%+1", "%ff", "%c0%80", "%ed%a0%80"}) {
    EXPECT_EQ(decode_component(bad), std::nullopt) << bad;
  }
}

TEST(QueryParameter, Cases) {
  EXPECT_EQ(query_parameter("a=1&b=2", "b"), "2");
  EXPECT_EQ(query_parameter("a=1&a=2", "a"), "1");
  EXPECT_EQ(query_parameter("a=b=c&d", "a"), "b=c");
  EXPECT_EQ(query_parameter("a=b=c&d", "d"), "");
  EXPECT_EQ(query_parameter("%61=x+y", "a"), "x y");
  EXPECT_EQ(query_parameter("&&a=1&", "a"), "1");
  EXPECT_EQ(query_parameter("A=1", "a"), std::nullopt);
  EXPECT_EQ(query_parameter("", "a"), std::nullopt);
  EXPECT_EQ(query_parameter("ab=1&b", "a"), std::nullopt);
  EXPECT_EQ(query_parameter("%zz=1&a=2", "a"), "2");
  EXPECT_EQ(query_parameter("a=%ff&a=2", "a"), std::nullopt) << "the first is malformed";
}

TEST(IsUtf8, Cases) {
  for (const std::string& good : {""s, "a"s, "\x7f"s, "\0"s, "\xc2\x80"s, "\xef\xbf\xbd"s, "\xf4\x8f\xbf\xbf"s,
                                  std::string(1000, 'a') + "\xc3\xa9"}) {
    EXPECT_TRUE(is_utf8(good));
  }
  for (const std::string& bad : {"\x80"s, "\xc0\x80"s, "\xc1\xbf"s, "\xc2"s, "\xe0\x9f\xbf"s, "\xed\xa0\x80"s,
                                 "\xed\xbf\xbf"s, "\xf0\x8f\xbf\xbf"s, "\xf4\x90\x80\x80"s, "\xf5\x80\x80\x80"s,
                                 "\xff"s, "\xe2\x82"s, std::string(1000, 'a') + "\xc3"}) {
    EXPECT_FALSE(is_utf8(bad));
  }
}

TEST(SplitTarget, KeepsViewsInsideTheTarget) {
  const std::string target = "http://a.test?x=1";
  const auto parts = split_target("GET", target);
  ASSERT_TRUE(parts);
  EXPECT_EQ(parts->path, "/");
  EXPECT_GE(parts->path.data(), target.data());
  EXPECT_LT(parts->path.data(), target.data() + target.size());
  EXPECT_EQ(parts->query, "x=1");
}

}  // namespace
}  // namespace postern::http
