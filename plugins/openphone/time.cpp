#include "time.h"

#include <chrono>

namespace openphone {
namespace {

using namespace std::chrono;

// Takes a number of exactly `width` digits off the front.
std::optional<int> take_number(std::string_view& text, size_t width) {
  if (text.size() < width) return std::nullopt;
  int value = 0;
  for (size_t i = 0; i < width; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(width);
  return value;
}

bool take(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text[0]) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

// ".123456" → 123; the digits after the third are dropped.
std::optional<int> take_milliseconds(std::string_view& text) {
  if (!take(text, ".")) return 0;
  int value = 0;
  size_t digits = 0;
  for (; !text.empty() && text[0] >= '0' && text[0] <= '9'; text.remove_prefix(1), ++digits) {
    if (digits < 3) value = value * 10 + (text[0] - '0');
  }
  if (digits == 0 || digits > 9) return std::nullopt;
  for (; digits < 3; ++digits) value *= 10;
  return value;
}

std::optional<minutes> take_zone(std::string_view& text) {
  if (take(text, "Zz")) return minutes(0);
  if (text.empty() || (text[0] != '+' && text[0] != '-')) return std::nullopt;
  int sign = text[0] == '+' ? 1 : -1;
  text.remove_prefix(1);
  auto hour = take_number(text, 2);
  if (!hour || !take(text, ":")) return std::nullopt;
  auto minute = take_number(text, 2);
  if (!minute || *hour > 23 || *minute > 59) return std::nullopt;
  return sign * minutes(*hour * 60 + *minute);
}

// Writes a number over the `width` characters in front of `end`.
void put_number(char* end, int width, int64_t number) {
  for (; width > 0; --width, number /= 10) *--end = static_cast<char>('0' + number % 10);
}

}  // namespace

std::optional<int64_t> parse_time(std::string_view text) {
  auto y = take_number(text, 4);
  if (!y || !take(text, "-")) return std::nullopt;
  auto m = take_number(text, 2);
  if (!m || !take(text, "-")) return std::nullopt;
  auto d = take_number(text, 2);
  if (!d || !take(text, "Tt ")) return std::nullopt;
  auto hour = take_number(text, 2);
  if (!hour || !take(text, ":")) return std::nullopt;
  auto minute = take_number(text, 2);
  if (!minute || !take(text, ":")) return std::nullopt;
  auto second = take_number(text, 2);
  auto fraction = second ? take_milliseconds(text) : std::nullopt;
  auto zone = fraction ? take_zone(text) : std::nullopt;
  if (!zone || !text.empty()) return std::nullopt;
  year_month_day date(year(*y), month(static_cast<unsigned>(*m)), day(static_cast<unsigned>(*d)));
  if (!date.ok() || *y < 1970 || *y > 2999 || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  auto point = sys_days(date) + hours(*hour) + minutes(*minute) + seconds(*second) + milliseconds(*fraction) - *zone;
  int64_t unix_ms = duration_cast<milliseconds>(point.time_since_epoch()).count();
  return unix_ms < 0 ? std::nullopt : std::optional(unix_ms);
}

std::string format_time(int64_t unix_ms) {
  auto point = sys_time<milliseconds>(milliseconds(unix_ms));
  auto midnight = floor<days>(point);
  year_month_day date(midnight);
  hh_mm_ss clock(point - midnight);
  std::string text = "0000-00-00T00:00:00.000Z";
  put_number(&text[4], 4, static_cast<int>(date.year()));
  put_number(&text[7], 2, static_cast<unsigned>(date.month()));
  put_number(&text[10], 2, static_cast<unsigned>(date.day()));
  put_number(&text[13], 2, clock.hours().count());
  put_number(&text[16], 2, clock.minutes().count());
  put_number(&text[19], 2, clock.seconds().count());
  put_number(&text[23], 3, clock.subseconds().count());
  return text;
}

}  // namespace openphone
