// The clocks. Wall time is for people, stored rows and signatures; steady time is for waiting, so that a clock set by
// a day neither stalls nor storms; boot time is steady too, and counts what the machine slept. Thread-safety: any thread.
#pragma once

#include <time.h>

#include <chrono>
#include <cstdint>
#include <string>

namespace postern {

// Unix milliseconds.
inline int64_t wall_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

// Milliseconds and microseconds since some fixed moment of this boot.
inline int64_t steady_us() {
  using namespace std::chrono;
  return duration_cast<microseconds>(steady_clock::now().time_since_epoch()).count();
}
inline int64_t steady_ms() { return steady_us() / 1000; }

// Milliseconds since the boot, with the time in which the machine was suspended.
inline int64_t boot_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

// "2026-11-20T03:43:05Z" (RFC 3339, UTC).
std::string iso8601(int64_t unix_ms);

}  // namespace postern
