// URL Standard, 5.1: "application/x-www-form-urlencoded parsing".
#include "core/http/form.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

namespace postern::http {
namespace {

using namespace std::string_literals;
using Clock = std::chrono::steady_clock;

struct Case {
  std::string body;
  Form form;
};

const Case kCases[] = {
    {"", {}},
    {"a=b", {{"a", "b"}}},
    {"a=b&c=d", {{"a", "b"}, {"c", "d"}}},
    // Without '=' all is name; of several only the first divides.
    {"a", {{"a", ""}}},
    {"a=", {{"a", ""}}},
    {"=", {{"", ""}}},
    {"=b", {{"", "b"}}},
    {"a=b=c", {{"a", "b=c"}}},
    {"==", {{"", "="}}},
    // Empty sequences are passed over, wherever they are.
    {"&", {}},
    {"&&&", {}},
    {"&a=1&&b=2&", {{"a", "1"}, {"b", "2"}}},
    {"a&", {{"a", ""}}},
    // Order and repetition are the body's.
    {"b=1&a=2&b=3&b=1", {{"b", "1"}, {"a", "2"}, {"b", "3"}, {"b", "1"}}},
    // '+' before percent-decoding: an encoded one stays.
    {"a+b=c+d", {{"a b", "c d"}}},
    {"%2B=%2b+", {{"+", "+ "}}},
    {"+", {{" ", ""}}},
    // Dividers that are encoded divide nothing.
    {"a%26b=c%3Dd", {{"a&b", "c=d"}}},
    {"%41%62=%7e%7E", {{"Ab", "~~"}}},
    // Decoded once.
    {"a=%2541", {{"a", "%41"}}},
    {"a=%252B", {{"a", "%2B"}}},
    // A '%' without two hex digits stands for itself.
    {"%", {{"%", ""}}},
    {"%=%", {{"%", "%"}}},
    {"a=100%", {{"a", "100%"}}},
    {"a=%4", {{"a", "%4"}}},
    {"a=%4&b=1", {{"a", "%4"}, {"b", "1"}}},
    {"%4g=%g4", {{"%4g", "%g4"}}},
    {"%%41", {{"%A", ""}}},
    {"%4%41", {{"%4A", ""}}},
    {"%+1", {{"% 1", ""}}},
    {"%-1=%0x", {{"%-1", "%0x"}}},
    {"a=%u0041", {{"a", "%u0041"}}},
    // Any byte, encoded or not.
    {"a=%00b&%00=c", {{"a", "\0b"s}, {"\0"s, "c"}}},
    {"a\0b=c\0&\0=\0"s, {{"a\0b"s, "c\0"s}, {"\0"s, "\0"s}}},
    {"a=%ff\xfe&\xc3\xa9=%C3%A9", {{"a", "\xff\xfe"}, {"\xc3\xa9", "\xc3\xa9"}}},
    {"a=\r\n&b=%0D%0A", {{"a", "\r\n"}, {"b", "\r\n"}}},
    // ';' divided parameters once (HTML 4.01, B.2.2); whoever divides by it reads other parameters than were signed.
    {"a=1;b=2", {{"a", "1;b=2"}}},
    {"?a=1", {{"?a", "1"}}},
};

TEST(Form, IsTakenApartAsTheUrlStandardSays) {
  for (const Case& c : kCases) EXPECT_EQ(parse_form(c.body), c.form) << c.body;
}

// The same bytes in the middle of a larger buffer: what lies behind must not complete a '%'.
TEST(Form, LooksAtNothingBehindItsEnd) {
  const std::string buffer = "a=%41&b=%41";
  EXPECT_EQ(parse_form(std::string_view(buffer).substr(0, 3)), (Form{{"a", "%"}}));
  EXPECT_EQ(parse_form(std::string_view(buffer).substr(0, 4)), (Form{{"a", "%4"}}));
  EXPECT_EQ(parse_form(std::string_view(buffer).substr(0, 5)), (Form{{"a", "A"}}));
  EXPECT_EQ(parse_form(std::string_view(buffer).substr(0, 10)), (Form{{"a", "A"}, {"b", "%4"}}));
}

std::string many(size_t count) {
  std::string body;
  for (size_t i = 0; i < count; ++i) body += "p" + std::to_string(i) + "=%4" + std::to_string(i % 10) + "&";
  return body;
}

TEST(Form, OfManyParametersIsWhole) {
  Form form = parse_form(many(100'000));
  ASSERT_EQ(form.size(), 100'000u);
  EXPECT_EQ(form[0], (std::pair<std::string, std::string>("p0", "@")));
  EXPECT_EQ(form[99'999], (std::pair<std::string, std::string>("p99999", "I")));
}

std::chrono::nanoseconds quickest(const std::string& body) {
  auto best = std::chrono::nanoseconds::max();
  for (int i = 0; i < 3; ++i) {
    auto begin = Clock::now();
    Form form = parse_form(body);
    best = std::min<std::chrono::nanoseconds>(best, Clock::now() - begin);
    EXPECT_FALSE(form.empty());
  }
  return best;
}

// Attack: a body of many tiny parameters. Sixteen times as many may cost sixteen times as much, with room for a busy machine;
// what is quadratic costs 256 times as much.
TEST(Form, CostsNoMoreThanItsLength) {
  auto small = quickest(many(6'250)), large = quickest(many(100'000));
  EXPECT_LT(large.count(), 80 * small.count());
}

TEST(FormType, IsToldWithoutRegardToCaseAndParameters) {
  for (const char* type : {"application/x-www-form-urlencoded", "APPLICATION/X-WWW-Form-UrlEncoded",
                           "application/x-www-form-urlencoded; charset=UTF-8", "application/x-www-form-urlencoded;charset=utf-8",
                           " application/x-www-form-urlencoded ", "application/x-www-form-urlencoded\t;",
                           "application/x-www-form-urlencoded ;a=b;c"}) {
    EXPECT_TRUE(is_form_type(type)) << type;
  }
  for (const char* type : {"", ";", "application/json", "application/x-www-form-urlencode", "application/x-www-form-urlencodedx",
                           "application/x-www-form-urlencoded, application/json", "text/plain; application/x-www-form-urlencoded",
                           "multipart/form-data; boundary=x", "application /x-www-form-urlencoded"}) {
    EXPECT_FALSE(is_form_type(type)) << type;
  }
}

}  // namespace
}  // namespace postern::http
