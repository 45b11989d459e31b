// eventually: waits for a condition that only another process can make true, and that nothing announces.
// Thread-safety: pure functions.
#pragma once

#include <chrono>
#include <thread>

namespace postern::testing {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// Asks `condition` every few milliseconds until it holds or `timeout` is over; says whether it held.
template <typename Condition>
bool eventually(milliseconds timeout, Condition condition) {
  const auto deadline = Clock::now() + timeout;
  while (!condition()) {
    if (Clock::now() >= deadline) return false;
    std::this_thread::sleep_for(milliseconds(2));
  }
  return true;
}

// Milliseconds until `deadline`, for poll(2): rounded up, never negative.
inline int left_ms(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now()).count();
  return left > 0 ? static_cast<int>(left) : 0;
}

}  // namespace postern::testing
