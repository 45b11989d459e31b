#include "core/cli/selection.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <ctime>
#include <nlohmann/json.hpp>

namespace postern::cli {
namespace {

constexpr int64_t kNow = 1'800'000'000'000;
constexpr int64_t kHour = 3'600'000;

int64_t time_of(const std::string& text) {
  auto time = parse_time(text, kNow);
  return time ? *time : -1;
}

TEST(ParseTime, TakesDatesWithTheirOffset) {
  EXPECT_EQ(time_of("2026-11-20T13:00:00Z"), 1'795'179'600'000);
  EXPECT_EQ(time_of("2026-11-20t13:00:00z"), 1'795'179'600'000);
  EXPECT_EQ(time_of("2026-11-20T14:00:00+01:00"), 1'795'179'600'000);
  EXPECT_EQ(time_of("2026-11-20T08:30:00-04:30"), 1'795'179'600'000);
  EXPECT_EQ(time_of("2026-11-20T13:00:00.123Z"), 1'795'179'600'000);
}

TEST(ParseTime, TakesLocalTimeAsItIsPrinted) {
  ::setenv("TZ", "UTC-2", 1);  // two hours ahead
  ::tzset();
  EXPECT_EQ(time_of("2026-11-20 13:00:00"), 1'795'179'600'000 - 2 * kHour);
  EXPECT_EQ(time_of("2026-11-20 13:00"), 1'795'179'600'000 - 2 * kHour);
  EXPECT_EQ(time_of("2026-11-20"), 1'795'179'600'000 - 15 * kHour);
}

TEST(ParseTime, TakesAges) {
  EXPECT_EQ(time_of("2h"), kNow - 2 * kHour);
  EXPECT_EQ(time_of("3d"), kNow - 72 * kHour);
  EXPECT_EQ(time_of("1h30m"), kNow - kHour * 3 / 2);
}

TEST(ParseTime, RefusesTheRest) {
  for (const char* text : {"", "yesterday", "2026-13-01", "2026-11-20T13:00:00+1", "2026-11-20T13:00:00.Z", "2026-11-20T13:00:00ZZ", "-2h",
                           "2026-11-20T25:00:00Z", "1900-01-01T00:00:00Z", "100000d0h", "2"}) {
    EXPECT_EQ(time_of(text), -1) << text;
  }
}

TEST(Selection, BecomesABody) {
  SelectionOptions options;
  options.plugin = "smtp";
  options.until = "2026-11-20T13:00:00Z";
  nlohmann::json body = nlohmann::json::object();
  ASSERT_TRUE(to_body(options, body).is_ok());
  EXPECT_EQ(body, (nlohmann::json{{"plugin", "smtp"}, {"until", 1'795'179'600'000}}));
  options.since = "soon";
  Status refused = to_body(options, body);
  EXPECT_EQ(refused.code(), Code::kInvalid);
  EXPECT_THAT(refused.message(), ::testing::StartsWith("--since: 'soon' is not a time"));
}

}  // namespace
}  // namespace postern::cli
