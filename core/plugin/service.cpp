#include "core/plugin/service.h"

#include <algorithm>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/plugin/call.h"

namespace postern::plugin {
namespace {

struct Named {
  postern_status status;
  const char* name;
};
constexpr Named kNames[Service::kStatuses] = {
    {POSTERN_OK, "ok"},
    {POSTERN_RETRY, "retry"},
    {POSTERN_DEAD, "dead"},
    {POSTERN_E_INVALID, "invalid"},
    {POSTERN_E_UNSUPPORTED, "unsupported"},
    {POSTERN_E_STATE, "state"},
    {POSTERN_E_TIMEOUT, "timeout"},
    {POSTERN_E_LIMIT, "limit"},
    {POSTERN_E_GONE, "gone"},
    {POSTERN_E_DENIED, "denied"},
    {POSTERN_E_NOT_FOUND, "not_found"},
    {POSTERN_E_INTERNAL, "internal"},  // and whatever is none of these
};

size_t index_of(postern_status status) {
  size_t i = 0;
  while (i + 1 < Service::kStatuses && kNames[i].status != status) ++i;
  return i;
}

}  // namespace

void Service::move_to(Door door) {
  MutexLock lock(mutex_);
  if (door_ != Door::kClosed) door_ = door;
}

Status Service::enter() {
  MutexLock lock(mutex_);
  if (door_ == Door::kNotYet) return {Code::kUnavailable, "plugin " + plugin_ + " is not active yet"};
  if (door_ == Door::kClosed) return {Code::kGone, "plugin " + plugin_ + " has been deactivated"};
  ++inside_;
  return Status::ok();
}

void Service::leave() {
  MutexLock lock(mutex_);
  if (--inside_ == 0) changed_.notify_all();
}

bool Service::wait_until_empty(int64_t until_ms) {
  MutexLock lock(mutex_);
  while (inside_ > 0 && steady_ms() < until_ms) {
    changed_.wait_for(mutex_, std::chrono::milliseconds(std::max<int64_t>(1, until_ms - steady_ms())));
  }
  return inside_ == 0;
}

Result<Service::Ended> Service::call(postern_service_call* handle) {
  if (Status s = enter(); !s) return s;
  log::PluginScope scope(plugin_);
  Ended ended;
  bool threw = false;
  {
    struct Inside {
      Service& service;
      ~Inside() { service.leave(); }
    } inside{*this};
    ended.status = guarded({crash_number_, EntryPoint::kService}, [&] { return function_(self_, user_, handle); }, &threw);
  }
  std::string said = take_error();
  if (kNames[index_of(ended.status)].status != ended.status) {
    said = "it returned the unknown status " + std::to_string(ended.status);
    ended.status = POSTERN_E_INTERNAL;
  }
  if (threw) {
    log::warn("a service let an exception out", {{"service", name_}, {"error", said}});
  } else if (ended.status != POSTERN_OK) {
    ended.error = std::move(said);
  }
  return ended;
}

const char* Service::status_name(size_t index) { return kNames[index].name; }
void Service::count(postern_status status) { calls_[index_of(status)].add(); }

}  // namespace postern::plugin
