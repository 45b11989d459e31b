// The two clocks: one that can be told to people, one that only goes forward. Thread-safety: any thread.
#pragma once

#include <chrono>
#include <cstdint>

namespace openai_realtime {

inline int64_t unix_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}
inline int64_t steady_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace openai_realtime
