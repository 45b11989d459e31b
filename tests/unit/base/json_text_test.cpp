#include "core/base/json_text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

namespace postern {
namespace {

const std::string kReplacement = "\xef\xbf\xbd";  // U+FFFD

TEST(JsonText, KeepsValidTextAsItIs) {
  std::string all_ascii;
  for (int c = 0; c < 0x80; ++c) all_ascii += static_cast<char>(c);
  for (const std::string& text : {std::string(), std::string("plain"), std::string("a\"b\\c/d"), all_ascii,
                                  std::string("héllo 世界 \U0001F600"), std::string("\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf")}) {
    EXPECT_EQ(nlohmann::json::parse(json_string(text)), text);
  }
}

TEST(JsonText, ReplacesWhatIsNotUtf8) {
  struct {
    std::string text, read;
  } cases[] = {
      {"a\xff" "b", "a" + kReplacement + "b"},
      {"\x80", kReplacement},
      {"cut \xe2\x82", "cut " + kReplacement},
  };
  for (const auto& one : cases) EXPECT_EQ(nlohmann::json::parse(json_string(one.text)), one.read);
  // Overlong forms, surrogates, beyond the last character: never let through.
  for (const char* text : {"\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80"}) {
    std::string json = json_string(text);
    ASSERT_TRUE(nlohmann::json::accept(json)) << json;
    EXPECT_NE(json.find(kReplacement), std::string::npos);
    EXPECT_EQ(json.find(text), std::string::npos);
  }
}

TEST(JsonText, IsValidWhateverComes) {
  std::mt19937 random(7);
  for (int i = 0; i < 3000; ++i) {
    std::string text(random() % 40, '\0');
    for (char& c : text) c = static_cast<char>(random() % 3 == 0 ? random() : 0x80 + random() % 0x80);
    std::string json = json_string(text);
    ASSERT_TRUE(nlohmann::json::accept(json)) << json;
    EXPECT_EQ(json.find('\n'), std::string::npos);
  }
}

TEST(JsonText, AppendsToWhatIsThere) {
  std::string out = "[";
  append_json_string("a", out);
  out += ',';
  append_json_string("\n", out);
  EXPECT_EQ(out, "[\"a\",\"\\n\"");
}

std::string printable(std::string_view text) {
  std::string out;
  append_printable(text, out);
  return out;
}

TEST(Printable, KeepsText) { EXPECT_EQ(printable("a \"b\" \\ héllo 世界"), "a \"b\" \\ héllo 世界"); }

// Attack: text of a request that begins a line of its own in the log, or moves the cursor over another.
TEST(Printable, EscapesControlCharacters) {
  EXPECT_EQ(printable("a\nb"), "a\\nb");
  EXPECT_EQ(printable("a\rb\tc"), "a\\x0db\\x09c");
  EXPECT_EQ(printable("\x1b[2J\x07\x7f"), "\\x1b[2J\\x07\\x7f");
  EXPECT_EQ(printable(std::string_view("\0", 1)), "\\x00");
}

// The C1 controls steer terminals too: U+009B begins a sequence as ESC [ does, as a character or as a byte.
TEST(Printable, EscapesControlCharactersBeyondAscii) {
  EXPECT_EQ(printable("a\xc2\x9b" "2J").find("\xc2\x9b"), std::string::npos);
  EXPECT_EQ(printable("a\x9b" "2J").find('\x9b'), std::string::npos);
  EXPECT_EQ(printable("\xc2\xa0"), "\xc2\xa0") << "the character after them is none";
  for (const char* cut : {"\xc3", "\xe4\xb8", "\xc0\xaf", "\xed\xa0\x80", "\xf5\x80\x80\x80"}) {
    EXPECT_EQ(printable(cut).substr(0, 2), "\\x") << "no UTF-8";
    EXPECT_EQ(printable(cut).find_first_of("\x80\xaf\xb8\xc0\xc3\xe4\xed\xf5"), std::string::npos);
  }
}

}  // namespace
}  // namespace postern
