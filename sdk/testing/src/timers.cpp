// Timers: durable ones are effects, and fire when the test says so; for those in memory the test lets time pass. The table of
// postern.timers.
#include <algorithm>

#include "host_state.h"

namespace postern::testing {
namespace {

constexpr size_t kMaxTypes = 100, kMaxType = 200, kMaxName = 1024, kMaxBody = 64 * 1024, kMaxInMemory = 10'000;
constexpr int64_t kLongestMs = 10LL * 366 * 24 * 3600 * 1000;

bool is_name(const std::string& name) { return !name.empty() && name.size() <= kMaxName && name.find('\0') == std::string::npos; }

postern_status declare(postern_host* handle, postern_str type) {
  HostState& host = HostState::of(handle);
  std::lock_guard lock(host.mutex);
  if (host.phase != Phase::kInit) return POSTERN_E_STATE;
  std::string name = to_string(type);
  if (name.empty() || name.size() > kMaxType || name.find('*') != std::string::npos) {
    return host.refuse("timer type '" + name + "': 1 to 200 bytes, without *");
  }
  if (host.timer_types.size() >= kMaxTypes) return host.refuse("timer type " + name + ": more than 100");
  host.timer_types.push_back(std::move(name));
  return POSTERN_OK;
}

std::string fault_of(const HostState& host, const postern_timer_desc& d, const DurableTimer& timer) {
  if ((d.flags & ~uint32_t{POSTERN_TIMER_UNORDERED}) != 0) return "unknown flags";
  if (!is_name(timer.name)) return "its name has not 1 to 1024 bytes, none of them NUL";
  const auto& types = host.timer_types;
  if (std::find(types.begin(), types.end(), timer.type) == types.end()) return "its type '" + timer.type + "' was not declared in init";
  if (timer.body.size() > kMaxBody) return "its body has more than 65536 bytes";
  if (timer.order_key.size() > kMaxName) return "its order key has more than 1024 bytes";
  if (d.delay_ms < 0 || d.delay_ms > kLongestMs) return "its delay is negative, or more than ten years";
  return {};
}

postern_status set(postern_host* handle, postern_delivery* delivery, const postern_timer_desc* theirs) {
  HostState& host = HostState::of(handle);
  std::lock_guard lock(host.mutex);
  Attempt& attempt = *reinterpret_cast<Attempt*>(delivery);
  postern_timer_desc d = read_sized(theirs);
  DurableTimer timer{to_string(d.name), to_string(d.type), to_string(d.body), to_string(d.order_key), d.delay_ms};
  if (std::string fault = fault_of(host, d, timer); !fault.empty()) {
    host.errors[std::this_thread::get_id()] = "timer: " + fault;
    return POSTERN_E_INVALID;
  }
  if (timer.order_key.empty()) timer.order_key = attempt.delivery->event.order_key;
  if ((d.flags & POSTERN_TIMER_UNORDERED) != 0) timer.order_key.clear();
  size_t bytes = timer.name.size() + timer.type.size() + timer.order_key.size() + timer.body.size();
  if (postern_status status = begin_effect(attempt, "set of a timer", bytes); status != POSTERN_OK) return status;
  attempt.timers.push_back({std::move(timer), false});
  return POSTERN_OK;
}

postern_status remove(postern_delivery* delivery, postern_str name) {
  Attempt& attempt = *reinterpret_cast<Attempt*>(delivery);
  std::lock_guard lock(attempt.host->mutex);
  DurableTimer timer{to_string(name), {}, {}, {}, 0};
  if (!is_name(timer.name)) return POSTERN_E_INVALID;
  if (postern_status status = begin_effect(attempt, "remove of a timer", timer.name.size()); status != POSTERN_OK) return status;
  attempt.timers.push_back({std::move(timer), true});
  return POSTERN_OK;
}

postern_status start(postern_host* handle, int64_t delay_ms, postern_timer_callback callback, void* user, uint64_t* timer) {
  HostState& host = HostState::of(handle);
  std::lock_guard lock(host.mutex);
  if (callback == nullptr || delay_ms < 0 || delay_ms > kLongestMs) return POSTERN_E_INVALID;
  if (host.timers_ended) return POSTERN_E_GONE;
  if (host.phase != Phase::kReady) return POSTERN_E_STATE;
  if (host.memory_timers.size() >= kMaxInMemory) return POSTERN_E_LIMIT;
  host.memory_timers.emplace(host.time_ms + delay_ms, MemoryTimer{++host.last_timer, callback, user});
  if (timer != nullptr) *timer = host.last_timer;
  return POSTERN_OK;
}

postern_status cancel(postern_host* handle, uint64_t timer) {
  HostState& host = HostState::of(handle);
  std::lock_guard lock(host.mutex);
  auto found = std::find_if(host.memory_timers.begin(), host.memory_timers.end(), [&](const auto& t) { return t.second.number == timer; });
  if (found == host.memory_timers.end()) return POSTERN_E_NOT_FOUND;
  host.memory_timers.erase(found);
  return POSTERN_OK;
}

}  // namespace

std::vector<std::string> FakeHost::timer_types() const { return state_->timer_types; }

std::vector<DurableTimer> FakeHost::timers() const {
  std::lock_guard lock(state_->mutex);
  std::vector<DurableTimer> list;
  for (const auto& [name, timer] : state_->timers) list.push_back(timer);
  return list;
}

Settled FakeHost::fire(std::string_view name) {
  Event event;
  {
    std::lock_guard lock(state_->mutex);
    auto found = state_->timers.find(std::string(name));
    if (found == state_->timers.end()) return {0, false, POSTERN_E_NOT_FOUND, "no such timer", {}, {}, {}, 0, 0};
    event.provider = state_->options.name;
    event.type = found->second.type;  // as given
    event.body = found->second.body;
    event.order_key = found->second.order_key;
    event.external_id = found->second.name;
    event.method = event.target = event.remote = "";
    state_->timers.erase(found);
  }
  return deliver_as_it_is(std::move(event));
}

size_t FakeHost::timers_in_memory() const {
  std::lock_guard lock(state_->mutex);
  return state_->memory_timers.size();
}

size_t FakeHost::pass(std::chrono::milliseconds time) {
  HostState& s = *state_;
  int64_t until = s.time_ms + time.count();
  for (size_t ran = 0;; ++ran) {
    MemoryTimer next;
    SessionState* session = nullptr;
    {
      std::lock_guard lock(s.mutex);
      auto first = s.memory_timers.begin();
      const bool due = first != s.memory_timers.end() && first->first <= until;
      session = s.due_session(due ? first->first : until);
      if (s.instance == nullptr || (!due && session == nullptr)) {
        s.time_ms = until;
        return ran;
      }
      if (session != nullptr) {
        s.time_ms = *std::exchange(session->view.armed_ms, std::nullopt);
      } else {
        s.time_ms = first->first;
        next = first->second;
        s.memory_timers.erase(first);
      }
      s.take_error();
    }
    if (session != nullptr) {
      s.run_timer(*session);
      continue;
    }
    postern_status status = next.callback(s.instance, next.user);
    std::lock_guard lock(s.mutex);
    std::string why = s.take_error();
    if (status < 0) s.log.push_back({POSTERN_LOG_WARN, "a timer's callback has failed: " + why});
  }
}

const postern_ext_timers kTimers = {&declare, &set, &remove, &start, &cancel};

}  // namespace postern::testing
