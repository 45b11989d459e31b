// ActiveCalls: the calls that have a stream now: one for each. Thread-safety: any thread.
#pragma once

#include <mutex>
#include <set>
#include <string>
#include <string_view>

namespace openai_realtime {

class ActiveCalls {
 public:
  // False: the call has a stream already.
  bool enter(std::string_view call_sid) {
    const std::lock_guard lock(mutex_);
    return calls_.emplace(call_sid).second;
  }
  void leave(std::string_view call_sid) {
    const std::lock_guard lock(mutex_);
    if (auto found = calls_.find(call_sid); found != calls_.end()) calls_.erase(found);
  }
  size_t size() const {
    const std::lock_guard lock(mutex_);
    return calls_.size();
  }

 private:
  mutable std::mutex mutex_;
  std::set<std::string, std::less<>> calls_;
};

}  // namespace openai_realtime
