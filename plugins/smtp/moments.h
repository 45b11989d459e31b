// Moments: points in time, as mails and records have them. Thread-safety: pure functions.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace smtp {

int64_t unix_ms();
// "2026-11-20T07:00:00Z"
std::string iso8601(std::chrono::sys_time<std::chrono::milliseconds> time);
// "2026-11-20 08:00 CET", by this machine's time zone.
std::string local_time(int64_t unix_ms);
// The next moment behind `unix_ms` at which this machine's clocks show so many minutes since midnight.
int64_t next_time_of_day(int64_t unix_ms, int minutes);

}  // namespace smtp
