#include "core/store/retention.h"

#include <algorithm>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/thread_name.h"

namespace postern::store {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPause(2);               // between two steps
constexpr milliseconds kLookAtSizeEvery(5000);
constexpr milliseconds kLookFor(50);
constexpr size_t kAtOnce = 200;      // events named to the committer
constexpr size_t kAtOnceBySize = 16;  // fewer: the size is looked at in between
constexpr uint64_t kShrinkAtOnce = 256 * 1024;
constexpr uint64_t kKeepFree = 16 * 1024 * 1024;

}  // namespace

Cutoff Retention::cutoff(const Policy& policy, int64_t now_ms) {
  return {policy.age.count() == 0 ? 0 : now_ms - policy.age.count(), policy.dead.count() == 0 ? 0 : now_ms - policy.dead.count()};
}

void Retention::start() {
  thread_ = std::thread([this] { run(); });
}

void Retention::stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void Retention::adopt(Policy policy) {
  MutexLock lock(mutex_);
  policy_ = policy;
}

Retention::Policy Retention::policy() const {
  MutexLock lock(mutex_);
  return policy_;
}

bool Retention::pause(milliseconds time) {
  MutexLock lock(mutex_);
  int64_t until = steady_ms() + time.count();
  for (int64_t now = steady_ms(); !stopping_ && now < until; now = steady_ms()) changed_.wait_for(mutex_, milliseconds(until - now));
  return !stopping_;
}

void Retention::run() {
  name_thread("retention");
  const milliseconds look_every = policy().look_every;
  int64_t next_pass = steady_ms() + look_every.count();
  while (pause(std::min(kLookAtSizeEvery, look_every))) {
    uint64_t before = removed();
    Status status = keep_size();
    if (status && steady_ms() >= next_pass) {
      status = remove_old();
      if (status) status = give_back();
      next_pass = steady_ms() + look_every.count();
    }
    if (uint64_t now = removed(); now > before) log::info("old events were removed", {{"events", now - before}});
    if (!status && status.code() != Code::kUnavailable) log::error("old events cannot be removed now", {{"error", status.message()}});
  }
}

template <typename Enough>
Status Retention::remove(const Cutoff& cutoff, size_t at_once, Enough enough) {
  Scan scan;
  scan.limit = at_once;
  scan.time = kLookFor;
  do {
    auto found = upkeep_.prunable(cutoff, scan);
    if (!found) return found.status();
    for (std::vector<int64_t> left = std::move(found->events); !left.empty();) {
      auto gone = upkeep_.prune(cutoff, left);
      if (!gone) return gone.status();
      removed_.fetch_add(gone->events, std::memory_order_relaxed);
      left.erase(left.begin(), left.begin() + static_cast<ptrdiff_t>(gone->handled));
      if (!pause(kPause)) return Status::ok();
      auto over = enough();
      if (!over) return over.status();
      if (*over) return Status::ok();
    }
    scan.after = found->next;
  } while (scan.after != 0 && pause(kPause));
  return Status::ok();
}

Status Retention::remove_old() {
  const Policy policy = this->policy();
  if (policy.age.count() == 0) return Status::ok();
  return remove(cutoff(policy, wall_ms()), kAtOnce, []() -> Result<bool> { return false; });
}

Status Retention::keep_size() {
  const Policy policy = this->policy();
  if (policy.size == 0) return Status::ok();
  auto size = upkeep_.size();
  if (!size) return size.status();
  if (size->used_bytes <= policy.size) return Status::ok();
  Cutoff any = cutoff(policy, wall_ms());
  any.until = INT64_MAX;
  uint64_t enough = policy.size / 100 * 95;  // so that not every new event calls for a pass
  return remove(any, kAtOnceBySize, [&]() -> Result<bool> {
    auto now = upkeep_.size();
    if (!now) return now.status();
    return now->used_bytes <= enough;
  });
}

Status Retention::give_back() {
  while (true) {
    auto size = upkeep_.size();
    if (!size) return size.status();
    if (size->free_bytes <= std::max(kKeepFree, size->used_bytes / 4)) return Status::ok();
    if (Status s = upkeep_.shrink(std::min(kShrinkAtOnce, size->free_bytes)); !s) return s;
    if (!pause(kPause)) return Status::ok();
  }
}

}  // namespace postern::store
