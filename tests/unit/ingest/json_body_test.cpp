#include "core/ingest/json_body.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <tuple>

#include "core/ingest/json_pointer.h"
#include "core/ingest/json_stream.h"
#include "tests/support/sanitizer.h"

namespace postern::ingest {
namespace {

constexpr const char* kLongNumber = "123456789012345678901234567890";

PointerTokens at(std::string_view pointer) { return *parse_pointer(pointer); }

// Each question is asked twice: of a text that simdjson takes, and of the same text made so that only the second parser
// does.
class JsonBodyTest : public ::testing::TestWithParam<bool> {
 protected:
  const JsonBody& parse(std::string members) {
    text_ = GetParam() ? "{" + members + ",\"zz\":" + kLongNumber + "}" : "{" + members + "}";
    const auto result = parser_.parse(text_);
    if (!result) throw std::runtime_error(result.status().message() + ": " + text_);
    return **result;
  }

  JsonParser parser_;
  std::string text_;
};
INSTANTIATE_TEST_SUITE_P(BothParsers, JsonBodyTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "second" : "simdjson"; });

TEST_P(JsonBodyTest, ScalarsAsText) {
  const JsonBody& json =
      parse(R"("s":"a\u00e9\n\ud83d\ude00","e":"","i":-7,"z":0,"u":18446744073709551615,"min":-9223372036854775808,)"
            R"("t":true,"f":false,"n":null,"o":{},"a":[])");
  EXPECT_EQ(json.scalar(at("/s")), "a\xc3\xa9\n\xf0\x9f\x98\x80");
  EXPECT_EQ(json.scalar(at("/e")), "");
  EXPECT_EQ(json.scalar(at("/i")), "-7");
  EXPECT_EQ(json.scalar(at("/z")), "0");
  EXPECT_EQ(json.scalar(at("/u")), "18446744073709551615");
  EXPECT_EQ(json.scalar(at("/min")), "-9223372036854775808");
  EXPECT_EQ(json.scalar(at("/t")), "true");
  EXPECT_EQ(json.scalar(at("/f")), "false");
  for (const char* none : {"/n", "/o", "/a", "/absent", ""}) EXPECT_EQ(json.scalar(at(none)), std::nullopt) << none;
}

TEST_P(JsonBodyTest, NumbersAsWritten) {
  const JsonBody& json = parse(R"("a":1.10,"b":1E5,"c":0.12345678901234567890123,"d":-0.0,"e":1e-400,"f":-0)");
  EXPECT_EQ(json.scalar(at("/a")), "1.10");
  EXPECT_EQ(json.scalar(at("/b")), "1E5");
  EXPECT_EQ(json.scalar(at("/c")), "0.12345678901234567890123");
  EXPECT_EQ(json.scalar(at("/d")), "-0.0");
  EXPECT_EQ(json.scalar(at("/e")), "1e-400");
  EXPECT_EQ(json.scalar(at("/f")), "0");
}

TEST_P(JsonBodyTest, Pointers) {
  const JsonBody& json =
      parse(R"("a":[{"b":"zero"},[1,[2,"deep"]],"two"],"m~n":"tilde","x/y":"slash","":"empty","0":"key",)"
            R"("\u0071uote":"escaped","o":{"a":{"p":1},"b":{"p":2}})");
  EXPECT_EQ(json.scalar(at("/a/0/b")), "zero");
  EXPECT_EQ(json.scalar(at("/a/1/1/1")), "deep");
  EXPECT_EQ(json.scalar(at("/a/2")), "two");
  EXPECT_EQ(json.scalar(at("/m~0n")), "tilde");
  EXPECT_EQ(json.scalar(at("/x~1y")), "slash");
  EXPECT_EQ(json.scalar(at("/")), "empty");
  EXPECT_EQ(json.scalar(at("/0")), "key");
  EXPECT_EQ(json.scalar(at("/quote")), "escaped");
  EXPECT_EQ(json.scalar(at("/o/b/p")), "2");
  for (const char* none : {"/a/3", "/a/-", "/a/00", "/a/02", "/a/+1", "/a/ 1", "/a/", "/a/99999999999999999999", "/a/x",
                           "/a/2/0", "/o/c/p", "/o/a/p/q", "/p"}) {
    EXPECT_EQ(json.scalar(at(none)), std::nullopt) << none;
    EXPECT_FALSE(json.exists(at(none))) << none;
  }
}

TEST(JsonPointer, RefusesWhatIsNone) {
  for (const char* none : {"a", "/m~n", "/m~2n", "/m~"}) EXPECT_FALSE(parse_pointer(none)) << none;
}

TEST_P(JsonBodyTest, Exists) {
  const JsonBody& json = parse(R"("s":"","o":{"n":null},"a":[null,false])");
  for (const char* there : {"", "/s", "/o", "/a", "/a/1"}) EXPECT_TRUE(json.exists(at(there))) << there;
  for (const char* none : {"/o/n", "/a/0", "/a/2", "/x"}) EXPECT_FALSE(json.exists(at(none))) << none;
  EXPECT_TRUE(json.is_object());
}

TEST_P(JsonBodyTest, OfEqualKeysTheFirstCounts) {
  const JsonBody& json = parse(R"("a":1,"a":2,"b":{"x":1},"b":{"y":2},"c":3,"c":{"d":4})");
  EXPECT_EQ(json.scalar(at("/a")), "1");
  EXPECT_EQ(json.scalar(at("/b/x")), "1");
  EXPECT_EQ(json.scalar(at("/b/y")), std::nullopt);
  EXPECT_EQ(json.scalar(at("/c/d")), std::nullopt);
}

std::string nested(size_t levels, const std::string& inner) {
  return std::string(levels, '[') + inner + std::string(levels, ']');
}

std::string nested_objects(size_t levels, const std::string& inner) {
  std::string text;
  for (size_t i = 0; i < levels; ++i) text += "{\"a\":";
  return text + inner + std::string(levels, '}');
}

bool parses(const std::string& text) {
  JsonParser parser;
  return parser.parse(text).is_ok();
}

TEST(JsonParserTest, SixtyFourLevelsAndNoMore) {
  for (const std::string inner : {"1", "\"x\"", kLongNumber, ""}) {
    for (const size_t levels : {1, 62, 63, 64}) EXPECT_TRUE(parses(nested(levels, inner))) << levels << inner;
    for (const size_t levels : {65, 66, 1000, 10'000, 1'000'000})
      EXPECT_FALSE(parses(nested(levels, inner))) << levels << inner;
  }
  EXPECT_TRUE(parses(nested_objects(64, "null")));
  EXPECT_FALSE(parses(nested_objects(65, "null")));
  EXPECT_FALSE(parses(nested_objects(65, kLongNumber)));
  EXPECT_FALSE(parses(std::string(10'000, '[')));

  JsonParser parser;
  const std::string deepest = nested_objects(64, "\"there\"");
  std::string pointer;
  for (int i = 0; i < 64; ++i) pointer += "/a";
  const auto json = parser.parse(deepest);
  ASSERT_TRUE(json);
  EXPECT_EQ((*json)->scalar(at(pointer)), "there");
}

TEST(JsonParserTest, WhatIsNotOneJsonTextIsRefused) {
  const std::string bad[] = {"",
                             "  ",
                             "{",
                             "}",
                             "{}x",
                             "{} {}",
                             "[1,]",
                             "{\"a\":1,}",
                             "{'a':1}",
                             "{a:1}",
                             "nul",
                             "NaN",
                             "Infinity",
                             "01",
                             "1.",
                             "+1",
                             "[1 2]",
                             "// x\n1",
                             "\"\t\"",
                             "\"\\x\"",
                             "\"\\ud800\"",
                             "\"\xff\"",
                             "\"\xc0\x80\"",
                             "\"\xed\xa0\x80\"",
                             "\xef\xbb\xbf{}",
                             std::string("{}\0", 3),
                             std::string("\"\0\"", 3)};
  for (const std::string& text : bad) {
    EXPECT_FALSE(parses(text)) << text;
    EXPECT_FALSE(parses(std::string("[") + kLongNumber + "," + text)) << text;
  }
  EXPECT_FALSE(parses(std::string("[") + kLongNumber + "]x"));
  EXPECT_FALSE(parses(std::string("[") + kLongNumber + ",\"\xff\"]"));
  EXPECT_FALSE(parses(std::string("[") + kLongNumber + ",01]"));
}

// nlohmann-json takes it for the end of the text.
TEST(JsonParserTest, NothingBehindANul) {
  JsonParser parser;
  for (const std::string number : {"1", kLongNumber}) {
    for (const std::string tail : {"", "{}", "\"", " "}) {
      const std::string text = "{\"n\":" + number + "}" + std::string(1, '\0') + tail;
      EXPECT_FALSE(parser.parse(text).is_ok()) << number << tail;
      EXPECT_FALSE(check_json(text).is_ok()) << number << tail;
      EXPECT_FALSE(is_json(text)) << number << tail;
    }
  }
}

TEST(JsonParserTest, NumbersBeyondADoubleAreJson) {
  EXPECT_TRUE(is_json("{\"n\":1e999}"));
  EXPECT_TRUE(is_json("[" + std::string(kLongNumber) + "]"));
}

TEST(JsonParserTest, NumbersOfAnySize) {
  JsonParser parser;
  for (const std::string number : {kLongNumber, "-123456789012345678901234567890", "18446744073709551616", "1e999",
                                   "-1e999", "1E+400", "0.000000000000000000000000000000000001", "1e-5000"}) {
    const std::string text = "{\"id\":" + number + "}";
    const auto json = parser.parse(text);
    ASSERT_TRUE(json) << number;
    EXPECT_EQ((*json)->scalar(at("/id")), number);
  }
  const std::string root = kLongNumber;
  const auto json = parser.parse(root);
  ASSERT_TRUE(json);
  EXPECT_EQ((*json)->scalar(at("")), root);
  EXPECT_FALSE((*json)->is_object());
}

TEST(JsonParserTest, EveryKindOfRoot) {
  JsonParser parser;
  for (const auto& [text, object, scalar] :
       {std::tuple(std::string("{}"), true, false), std::tuple(std::string("[]"), false, false),
        std::tuple(std::string("null"), false, false), std::tuple(std::string("\"a\""), false, true),
        std::tuple(std::string(" 1 "), false, true)}) {
    const auto json = parser.parse(text);
    ASSERT_TRUE(json) << text;
    EXPECT_EQ((*json)->is_object(), object) << text;
    EXPECT_EQ((*json)->scalar(at("")).has_value(), scalar) << text;
    EXPECT_EQ((*json)->exists(at("")), text != "null") << text;
  }
}

// The same text, whatever room its string has behind it.
TEST(JsonParserTest, AnyCapacity) {
  JsonParser parser;
  for (size_t size = 0; size < 300; ++size) {
    std::string text = "{\"k\":\"" + std::string(size, 'x') + "\"}";
    for (const size_t extra : {0, 1, 63, 64, 65, 500}) {
      std::string roomy;
      roomy.reserve(text.size() + extra);
      roomy.assign(text);
      const auto json = parser.parse(roomy);
      ASSERT_TRUE(json);
      ASSERT_EQ((*json)->scalar(at("/k"))->size(), size);
    }
  }
}

TEST(JsonParserTest, OneParserAfterAnother) {
  JsonParser parser;
  const std::string good = "{\"a\":1}", bad = "{\"a\":", slow = std::string("{\"a\":") + kLongNumber + "}";
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ((*parser.parse(good))->scalar(at("/a")), "1");
    EXPECT_FALSE(parser.parse(bad));
    EXPECT_EQ((*parser.parse(slow))->scalar(at("/a")), kLongNumber);
  }
}

#if !POSTERN_ASAN && !POSTERN_TSAN
size_t allocated() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

TEST(JsonParserTest, ABigBodyIsNotPaidForEver) {
  const std::string small = "{\"a\":1}";
  const std::string big = "[\"" + std::string(8 << 20, 'x') + "\"]";
  JsonParser parser;
  ASSERT_TRUE(parser.parse(small));
  const size_t before = allocated();
  ASSERT_TRUE(parser.parse(big));
  ASSERT_GT(allocated(), before + (8u << 20));
  ASSERT_TRUE(parser.parse(small));
  EXPECT_LT(allocated(), before + (1u << 20));
  const std::string many_numbers = "[" + std::string(kLongNumber) + [] {
    std::string text;
    for (int i = 0; i < 500'000; ++i) text += ",1";
    return text;
  }() + "]";
  const size_t between = allocated();
  ASSERT_EQ((*parser.parse(many_numbers))->scalar(at("/500000")), "1");
  ASSERT_TRUE(parser.parse(small));
  EXPECT_LT(allocated(), between + (1u << 20));
}
#endif

TEST(JsonPointerTest, Tokens) {
  EXPECT_EQ(parse_pointer(""), PointerTokens{});
  EXPECT_EQ(parse_pointer("/"), PointerTokens{""});
  EXPECT_EQ(parse_pointer("/a~1b/~01/"), (PointerTokens{"a/b", "~1", ""}));
  for (const char* bad : {"a", "~", "/~", "/~2", "/a~"}) EXPECT_EQ(parse_pointer(bad), std::nullopt) << bad;
}

TEST(JsonPointerTest, Indexes) {
  EXPECT_EQ(array_index("0"), 0u);
  EXPECT_EQ(array_index("120"), 120u);
  for (const char* bad : {"", "-", "-1", "01", "1 ", "1x", "18446744073709551616"})
    EXPECT_EQ(array_index(bad), std::nullopt) << bad;
}

}  // namespace
}  // namespace postern::ingest
