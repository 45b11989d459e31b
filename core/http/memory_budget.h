// MemoryBudget: how much all connections together may hold of requests that are not whole yet.
//
// Attack: thousands of connections, each with a body held back one byte before its end. Limits of one request do not add up to a
// bound; this does. Nothing is verified yet, so whoever comes last is turned away.
// Thread-safety: any thread.
#pragma once

#include <atomic>
#include <cstdint>

namespace postern::http {

class MemoryBudget {
 public:
  explicit MemoryBudget(uint64_t bytes) : limit_(bytes) {}

  // False, and nothing taken, when it would be too much.
  bool take(uint64_t bytes) {
    if (used_.fetch_add(bytes, std::memory_order_relaxed) + bytes <= limit_) return true;
    give(bytes);
    return false;
  }
  void give(uint64_t bytes) { used_.fetch_sub(bytes, std::memory_order_relaxed); }
  uint64_t used() const { return used_.load(std::memory_order_relaxed); }

 private:
  const uint64_t limit_;
  std::atomic<uint64_t> used_{0};
};

}  // namespace postern::http
