// The two clocks. Wall time is for people, stored rows and signatures; steady time is for waiting, so that a clock set by
// a day neither stalls nor storms. Thread-safety: any thread.
#pragma once

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

// "2026-11-20T03:43:05Z" (RFC 3339, UTC).
std::string iso8601(int64_t unix_ms);

}  // namespace postern
