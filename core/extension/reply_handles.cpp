#include "core/extension/reply_handles.h"

#include <utility>

namespace postern::extension {
namespace {

uintptr_t number_of(postern_reply* handle) { return reinterpret_cast<uintptr_t>(handle); }

}  // namespace

ReplyHandles& ReplyHandles::instance() {
  static auto* handles = new ReplyHandles();  // never destroyed: a thread that is stuck in a plugin may still come back
  return *handles;
}

postern_reply* ReplyHandles::add(std::shared_ptr<ingest::Reply> reply, std::shared_ptr<std::atomic<size_t>> detached) {
  MutexLock lock(mutex_);
  uintptr_t number = ++last_;
  entries_.emplace(number, Entry{std::move(reply), std::move(detached)});
  return reinterpret_cast<postern_reply*>(number);
}

std::shared_ptr<ingest::Reply> ReplyHandles::find(postern_reply* handle) {
  MutexLock lock(mutex_);
  auto found = entries_.find(number_of(handle));
  return found == entries_.end() ? nullptr : found->second.reply;
}

Status ReplyHandles::detach(postern_reply* handle) {
  MutexLock lock(mutex_);
  auto found = entries_.find(number_of(handle));
  if (found == entries_.end()) return {Code::kGone, "the reply was given back before"};
  Entry& entry = found->second;
  if (entry.detached) return Status::ok();
  if (entry.count->fetch_add(1) >= kMaxDetached) {
    entry.count->fetch_sub(1);
    return {Code::kLimit, "too many replies are detached already"};
  }
  if (!entry.reply->detach()) {
    entry.count->fetch_sub(1);
    return {Code::kGone, "the reply has ended"};
  }
  entry.detached = true;
  return Status::ok();
}

bool ReplyHandles::on_return(postern_reply* handle) {
  Entry ended;  // goes after the lock
  MutexLock lock(mutex_);
  auto found = entries_.find(number_of(handle));
  if (found == entries_.end() || found->second.detached) return true;  // sent by another thread already, or still to be
  ended = std::move(found->second);
  entries_.erase(found);
  return false;
}

void ReplyHandles::release_detached(postern_reply* handle) {
  Entry ended;
  MutexLock lock(mutex_);
  auto found = entries_.find(number_of(handle));
  if (found == entries_.end() || !found->second.detached) return;
  ended = std::move(found->second);
  entries_.erase(found);
  ended.count->fetch_sub(1);
}

}  // namespace postern::extension
