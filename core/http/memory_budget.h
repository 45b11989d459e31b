// MemoryBudget: how much all connections together may hold of requests that are not whole yet, and of what was read ahead of one's turn.
//
// Attack: thousands of connections, each with a body held back one byte before its end. Limits of one request do not add up to a
// bound; this does. Nobody may hold more than is still free afterwards: n equal hogs leave a share of 1/(n+1), and a webhook of a few
// KiB finds room beside a thousand bodies of 256 KiB. So one alone gets half.
// Thread-safety: any thread.
#pragma once

#include <atomic>
#include <cstdint>

namespace postern::http {

class MemoryBudget {
 public:
  explicit MemoryBudget(uint64_t bytes) : limit_(bytes) {}

  // `more` bytes for one who holds `held` of them already. False, and nothing taken, when that would be too much.
  bool take(uint64_t held, uint64_t more) {
    const uint64_t used = used_.fetch_add(more, std::memory_order_relaxed) + more;
    if (used <= limit_ && held + more <= limit_ - used) return true;
    give(more);
    return false;
  }
  void give(uint64_t bytes) { used_.fetch_sub(bytes, std::memory_order_relaxed); }
  uint64_t used() const { return used_.load(std::memory_order_relaxed); }

 private:
  const uint64_t limit_;
  std::atomic<uint64_t> used_{0};
};

}  // namespace postern::http
