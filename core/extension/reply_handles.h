// What a postern_reply* stands for. It is a number, not an address: a plugin that answers twice, or long after it should have, is told that
// it is too late instead of using freed memory.
// Thread-safety: any thread.
#pragma once

#include <postern/abi.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <unordered_map>

#include "core/base/mutex.h"
#include "core/ingest/reply.h"

namespace postern::extension {

class ReplyHandles {
 public:
  // Of one plugin at once. Each holds its request.
  static constexpr size_t kMaxDetached = 10'000;

  static ReplyHandles& instance();

  postern_reply* add(std::shared_ptr<ingest::Reply> reply, std::shared_ptr<std::atomic<size_t>> detached) EXCLUDES(mutex_);
  // Null when the handle has been given back.
  std::shared_ptr<ingest::Reply> find(postern_reply* handle) EXCLUDES(mutex_);
  // The reply outlives its handler. kLimit when the plugin has too many such, kGone when it is too late.
  Status detach(postern_reply* handle) EXCLUDES(mutex_);
  // The handler has returned: whether the handle was detached. If not, it is given back.
  bool on_return(postern_reply* handle) EXCLUDES(mutex_);
  // A detached handle was sent or dropped.
  void release_detached(postern_reply* handle) EXCLUDES(mutex_);

 private:
  struct Entry {
    std::shared_ptr<ingest::Reply> reply;
    std::shared_ptr<std::atomic<size_t>> count;  // of the plugin's detached ones
    bool detached = false;
  };

  Mutex mutex_;
  uintptr_t last_ GUARDED_BY(mutex_) = 0;
  std::unordered_map<uintptr_t, Entry> entries_ GUARDED_BY(mutex_);
};

}  // namespace postern::extension
