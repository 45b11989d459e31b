// postern.timers/1
#include <postern/ext/timers.h>

#include <algorithm>

#include "core/extension/convert.h"
#include "core/extension/handles.h"
#include "core/extension/table.h"
#include "core/http/target.h"
#include "core/plugin/call.h"

namespace postern::extension {
namespace {

constexpr size_t kMaxTypes = 100, kMaxType = 200, kMaxName = 1024, kMaxBody = 64 * 1024;
constexpr int64_t kLongestMs = 10LL * 366 * 24 * 3600 * 1000;

bool is_fit(postern_str name) { return name.len > 0 && name.len <= kMaxName && view(name).find('\0') == std::string_view::npos; }

// Types are in log lines, metrics and on screens.
bool is_type(std::string_view type) {
  auto is_odd = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '*'; };
  return !type.empty() && type.size() <= kMaxType && std::none_of(type.begin(), type.end(), is_odd) && http::is_utf8(type);
}

Status check_delay(int64_t delay_ms) {
  if (delay_ms < 0) return {Code::kInvalid, "a timer's delay is not negative, as " + std::to_string(delay_ms) + " ms is"};
  if (delay_ms <= kLongestMs) return Status::ok();
  return {Code::kInvalid, "a timer's delay is at most ten years; " + std::to_string(delay_ms) + " ms is more"};
}

postern_status declare(postern_host* host, postern_str type) {
  return contained([&]() -> postern_status {
    if (!in_init(host)) return fail(POSTERN_E_STATE, "timers' types are declared in init");
    if (!is_type(view(type))) return refuse(host, {Code::kInvalid, "a timer's type is one line of UTF-8 of 1 to 200 bytes, without *"});
    std::vector<std::string>& types = host->registrations.timer_types;
    if (std::find(types.begin(), types.end(), view(type)) != types.end()) return POSTERN_OK;
    if (types.size() >= kMaxTypes) return refuse(host, {Code::kLimit, "a plugin has at most 100 types of timers"});
    types.push_back(copy(type));
    return POSTERN_OK;
  });
}

Status check(const postern_host& host, const dispatch::Delivery& delivery, const postern_timer_desc& timer) {
  if (delivery.subscriber().plugin != host.name) return {Code::kInvalid, "the delivery is another plugin's"};
  if ((timer.flags & ~uint32_t{POSTERN_TIMER_UNORDERED}) != 0) return {Code::kInvalid, "a timer has unknown flags"};
  if (!is_fit(timer.name)) return {Code::kInvalid, "a timer's name has 1 to 1024 bytes, none of them NUL"};
  const std::vector<std::string>& types = host.registrations.timer_types;
  if (std::find(types.begin(), types.end(), view(timer.type)) == types.end()) {
    constexpr size_t kShown = 100;
    return {Code::kInvalid, "the type '" + std::string(view(timer.type).substr(0, kShown)) + "' of a timer was not declared in init"};
  }
  if (timer.body.len > kMaxBody) {
    return {Code::kInvalid, "a timer's body has at most 65536 bytes, not " + std::to_string(timer.body.len) + "; keep it in a record"};
  }
  if (timer.order_key.len > kMaxName) return {Code::kInvalid, "a timer's order key has at most 1024 bytes"};
  return check_delay(timer.delay_ms);
}

postern_status set(postern_host* host, postern_delivery* handle, const postern_timer_desc* desc) {
  return contained([&]() -> postern_status {
    dispatch::Delivery& delivery = delivery_of(handle);
    postern_timer_desc theirs = sized(desc);
    if (Status s = check(*host, delivery, theirs); !s) return to_abi(s);
    store::TimerWrite timer;
    timer.name = copy(theirs.name);
    timer.delay_ms = theirs.delay_ms;
    timer.type = copy(theirs.type);
    timer.body = copy(theirs.body);
    bool unordered = (theirs.flags & POSTERN_TIMER_UNORDERED) != 0;
    if (!unordered) timer.order_key = theirs.order_key.len > 0 ? copy(theirs.order_key) : delivery.event().order_key;
    return to_abi(delivery.write_timer(std::move(timer)));
  });
}

postern_status remove(postern_delivery* handle, postern_str name) {
  return contained([&]() -> postern_status {
    if (!is_fit(name)) return fail(POSTERN_E_INVALID, "a timer's name has 1 to 1024 bytes, none of them NUL");
    store::TimerWrite timer;
    timer.name = copy(name);
    timer.remove = true;
    return to_abi(delivery_of(handle).write_timer(std::move(timer)));
  });
}

// On one of the threads of the plugin's timers.
void run(postern_host* host, postern_timer_callback callback, void* user) {
  log::PluginScope scope(host->name);
  postern_status status = plugin::guarded({host->crash_number, plugin::EntryPoint::kTimer}, [&] { return callback(host->self, user); });
  if (status < 0) log::warn("a timer's callback has failed", {{"error", plugin::explain(status)}});
}

postern_status start(postern_host* host, int64_t delay_ms, postern_timer_callback callback, void* user, uint64_t* timer) {
  return contained([&]() -> postern_status {
    if (callback == nullptr) return fail(POSTERN_E_INVALID, "a timer in memory needs a callback");
    if (Status s = check_delay(delay_ms); !s) return to_abi(s);
    auto started = host->timers.start(delay_ms, [host, callback, user] { run(host, callback, user); });
    if (!started) {
      bool early = started.status().code() == Code::kUnavailable;
      return early ? fail(POSTERN_E_STATE, started.status().message()) : to_abi(started.status());
    }
    if (timer != nullptr) *timer = *started;
    return POSTERN_OK;
  });
}

postern_status cancel(postern_host* host, uint64_t timer) {
  return contained([&]() -> postern_status { return host->timers.cancel(timer) ? POSTERN_OK : POSTERN_E_NOT_FOUND; });
}

}  // namespace

const void* timers() {
  static const postern_ext_timers table{declare, set, remove, start, cancel};
  return &table;
}

}  // namespace postern::extension
