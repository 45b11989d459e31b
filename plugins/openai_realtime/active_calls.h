// ActiveCalls: the calls that there are now, each of them once: a second stream or a second control session for one is not begun.
// Thread-safety: any thread.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "meters.h"

namespace openai_realtime {

class ActiveCalls {
 public:
  // Who has ended a call, or sent it elsewhere, while only its peer tells that it is over.
  struct Note {
    Ended ended_by;
    std::string reason;
  };

  // False: the call is there already.
  bool enter(std::string_view call_sid) {
    const std::lock_guard lock(mutex_);
    return calls_.try_emplace(std::string(call_sid)).second;
  }
  // The first one counts; nothing happens where there is no such call.
  void note(std::string_view call_sid, Note note) {
    const std::lock_guard lock(mutex_);
    if (auto found = calls_.find(call_sid); found != calls_.end() && !found->second) found->second = std::move(note);
  }
  // What was noted.
  std::optional<Note> leave(std::string_view call_sid) {
    const std::lock_guard lock(mutex_);
    auto found = calls_.find(call_sid);
    if (found == calls_.end()) return std::nullopt;
    std::optional<Note> note = std::move(found->second);
    calls_.erase(found);
    return note;
  }
  size_t size() const {
    const std::lock_guard lock(mutex_);
    return calls_.size();
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::optional<Note>, std::less<>> calls_;
};

}  // namespace openai_realtime
