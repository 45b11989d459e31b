#include "moments.h"

#include <ctime>

namespace smtp {
namespace {

tm local(int64_t unix_ms) {
  const time_t seconds = unix_ms / 1000;
  tm parts{};
  localtime_r(&seconds, &parts);
  return parts;
}

}  // namespace

int64_t unix_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

std::string iso8601(std::chrono::sys_time<std::chrono::milliseconds> time) {
  const time_t seconds = std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
  tm parts{};
  char text[32];
  gmtime_r(&seconds, &parts);
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

std::string local_time(int64_t unix_ms) {
  const tm parts = local(unix_ms);
  char text[64];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M %Z", &parts)};
}

// Where clocks are put forward over that time, mktime() takes the one beyond; where they show it twice, one of both.
int64_t next_time_of_day(int64_t unix_ms, int minutes) {
  for (int day = 0;; ++day) {
    tm parts = local(unix_ms);
    parts.tm_mday += day;
    parts.tm_hour = minutes / 60;
    parts.tm_min = minutes % 60;
    parts.tm_sec = 0;
    parts.tm_isdst = -1;
    const int64_t at = static_cast<int64_t>(mktime(&parts)) * 1000;
    if (at > unix_ms) return at;
  }
}

}  // namespace smtp
