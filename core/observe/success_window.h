// SuccessWindow: which share of the handlers' runs within the last minutes succeeded, told by looks at counters that only grow. So nothing
// is kept for each run.
// Thread-safety: one thread at a time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>

namespace postern::observe {

class SuccessWindow {
 public:
  explicit SuccessWindow(int64_t length_ms) : length_ms_(length_ms) {}

  int64_t length_ms() const { return length_ms_; }
  // Another length, from now on: what came before does not count.
  void begin_again(int64_t length_ms, int64_t now_ms, uint64_t succeeded, uint64_t failed) {
    length_ms_ = length_ms;
    looks_.assign(1, {now_ms, succeeded, failed});
  }

  struct Seen {
    uint64_t succeeded = 0, failed = 0;
    uint64_t runs() const { return succeeded + failed; }
    // 1 where nothing ran: nothing failed.
    double share() const { return runs() == 0 ? 1 : static_cast<double>(succeeded) / static_cast<double>(runs()); }
  };

  // A look at the counters at `now_ms` (steady); what has come since the look that is a window's length old. Looks may come at any pace:
  // a hundredth of the window is how exact it gets, and a hundred or so of them are kept.
  Seen look(int64_t now_ms, uint64_t succeeded, uint64_t failed) {
    while (looks_.size() > 1 && looks_[1].at_ms <= now_ms - length_ms_) looks_.pop_front();
    Look before = looks_.empty() ? Look{now_ms, 0, 0} : looks_.front();  // the counters began at 0 with the window
    if (looks_.empty()) looks_.push_back(before);
    if (now_ms - looks_.back().at_ms >= std::max<int64_t>(1, length_ms_ / kLooks)) looks_.push_back({now_ms, succeeded, failed});
    return {succeeded - before.succeeded, failed - before.failed};
  }

  size_t kept() const { return looks_.size(); }

 private:
  static constexpr int64_t kLooks = 100;
  struct Look {
    int64_t at_ms;
    uint64_t succeeded, failed;
  };
  int64_t length_ms_;
  std::deque<Look> looks_;
};

}  // namespace postern::observe
