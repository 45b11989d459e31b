#include "core/cli/output.h"

#include <gmock/gmock.h>
#include <stdlib.h>

#include <algorithm>
#include <ctime>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace postern::cli {
namespace {

// Before the first look at it, so that the tests read the same on a terminal.
[[maybe_unused]] const bool kNoColour = ::setenv("NO_COLOR", "1", 1) == 0;

// What a function prints to stdout.
template <typename Function>
std::string printed(Function function) {
  std::ostringstream text;
  std::streambuf* before = std::cout.rdbuf(text.rdbuf());
  function();
  std::cout.rdbuf(before);
  return text.str();
}

std::string table(const Table& t) {
  return printed([&] { t.print(); });
}

// Local time as in that zone, until the end of the test.
class Zone {
 public:
  explicit Zone(const char* name) {
    if (const char* before = ::getenv("TZ")) before_ = before;
    ::setenv("TZ", name, 1);
    ::tzset();
  }
  ~Zone() {
    before_.empty() ? ::unsetenv("TZ") : ::setenv("TZ", before_.c_str(), 1);
    ::tzset();
  }

 private:
  std::string before_;
};

TEST(Table, LinesUpItsColumns) {
  Table t({"SEQ", "TYPE", "STATE"});
  t.add({"1", "acme.thing.made", "done"});
  t.add({"12345", "x", "dead"});
  EXPECT_EQ(table(t),
            "SEQ    TYPE             STATE\n"
            "1      acme.thing.made  done\n"
            "12345  x                dead\n");
}

TEST(Table, PrintsItsHeadingsAlone) { EXPECT_EQ(table(Table({"A", "B"})), "A  B\n"); }

TEST(Table, CountsCharactersNotBytes) {
  Table t({"NAME", "N"});
  t.add({"Zoë", "1"});
  t.add({"Łódź", "2"});
  EXPECT_EQ(table(t), "NAME  N\nZoë   1\nŁódź  2\n");
}

TEST(Table, TakesEmptyAndMissingCells) {
  Table t({"A", "B"});
  t.add({"", "x"});
  t.add({"y"});
  EXPECT_EQ(table(t), "A  B\n   x\ny\n");
}

TEST(Table, ColoursNothingWithNoColor) {
  Table t({"STATE"});
  t.colour_states(0);
  t.add({"dead"});
  EXPECT_EQ(table(t), "STATE\ndead\n");
  EXPECT_EQ(paint("text", Colour::kRed), "text");
}

TEST(ColourOfState, TellsGoodFromBad) {
  for (const char* state : {"done", "closed", "healthy"}) EXPECT_EQ(colour_of_state(state), Colour::kGreen) << state;
  for (const char* state : {"queued", "running", "half_open", "degraded"})
    EXPECT_EQ(colour_of_state(state), Colour::kYellow) << state;
  for (const char* state : {"dead", "open", "unhealthy"}) EXPECT_EQ(colour_of_state(state), Colour::kRed) << state;
  for (const char* state : {"", "none", "DEAD", "dead "}) EXPECT_EQ(colour_of_state(state), Colour::kNone) << state;
}

TEST(Printable, LeavesTextAlone) {
  for (const char* text : {"", "plain text", "Zoë, Łódź, 日本, 🙂", "a\"b'c\\d"})
    EXPECT_EQ(printable(text), text);
}

// An event's body may hold escape sequences: they would move the cursor, rename the window, or answer as if typed.
TEST(Printable, EscapesWhatSteersATerminal) {
  EXPECT_EQ(printable("\x1b[2J\x1b]0;owned\x07"), "\\x1b[2J\\x1b]0;owned\\x07");
  EXPECT_EQ(printable("one\r\ntwo\ttab"), "one\\x0d\\ntwo\\x09tab");
  EXPECT_EQ(printable(std::string("\0\x7f", 2)), "\\x00\\x7f");
  EXPECT_EQ(printable("\xc2\x9b" "2J"), "\\xc2\\x9b" "2J") << "CSI as one C1 character";
  EXPECT_EQ(printable("\x9b" "2J"), "\\x9b" "2J") << "and as one byte";
}

TEST(Printable, LeavesNoControlByteOfAnyKind) {
  for (int byte = 0; byte < 256; ++byte) {
    std::string out = printable(std::string(1, static_cast<char>(byte)));
    bool control = std::any_of(out.begin(), out.end(), [](char c) {
      auto b = static_cast<unsigned char>(c);
      return b < 0x20 || (b >= 0x7f && b < 0xa0);  // C0, DEL, and C1 of 8-bit terminals
    });
    EXPECT_FALSE(control) << "byte " << byte;
  }
}

TEST(LocalTime, ReadsAsThatZone) {
  Zone zone("UTC-3");  // three hours east
  EXPECT_EQ(local_time(1'763'610'185'999), "2025-11-20 06:43:05");
}

TEST(LocalTime, IsUtcInUtc) {
  Zone zone("UTC");
  EXPECT_EQ(local_time(1'763'610'185'000), "2025-11-20 03:43:05");
  EXPECT_EQ(local_time(1000), "1970-01-01 00:00:01");
}

TEST(LocalTime, IsADashForNever) { EXPECT_EQ(local_time(0), "-"); }

TEST(LocalTime, TakesAnyNumber) {
  Zone zone("UTC");
  EXPECT_EQ(local_time(-1000), "1969-12-31 23:59:59");
  EXPECT_FALSE(local_time(INT64_MAX).empty());
  EXPECT_FALSE(local_time(INT64_MIN).empty());
}

TEST(PrintJson, ReplacesWhatIsNotUtf8) {
  std::string text = printed([] { print_json({{"body", "a\xff\x1b[2J"}}); });
  EXPECT_EQ(text, "{\n  \"body\": \"a\xef\xbf\xbd\\u001b[2J\"\n}\n");
}

}  // namespace
}  // namespace postern::cli
