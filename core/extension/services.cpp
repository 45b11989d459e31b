// postern.services/1
#include "core/extension/services.h"

#include <postern/ext/services.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>

#include "core/base/clock.h"
#include "core/extension/convert.h"
#include "core/extension/handles.h"
#include "core/extension/table.h"

namespace postern::extension {
namespace {

using plugin::Service;
using plugin::ServiceWish;
using Phase = postern_host::Phase;

constexpr size_t kMaxServices = 100;  // of a plugin, published and wanted each
constexpr size_t kMaxName = 64;       // of a service or a method
constexpr int64_t kUsualDeadlineMs = 10'000;
constexpr uint64_t kLongestDelayMs = 24 * 3600 * 1000;

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_mark(char c) { return c == '_' || c == '-' || c == '.'; }

Status check_name(std::string_view text) {
  size_t slash = text.find('/');
  std::string_view name = text.substr(0, slash), revision = slash == std::string_view::npos ? "" : text.substr(slash + 1);
  auto fits = [](char c) { return is_lower(c) || is_digit(c) || is_mark(c); };
  bool named = !name.empty() && is_lower(name[0]) && std::all_of(name.begin(), name.end(), fits);
  bool numbered = !revision.empty() && revision[0] != '0' && std::all_of(revision.begin(), revision.end(), is_digit);
  if (named && numbered && text.size() <= kMaxName) return Status::ok();
  return {Code::kInvalid, "service '" + std::string(text.substr(0, kMaxName)) +
                              "': a name is like \"mail/1\": a-z, 0-9, '_', '-', '.' from a letter on, and a revision; at most 64 bytes"};
}

bool is_method(std::string_view text) {
  auto fits = [](char c) { return is_lower(c) || (c >= 'A' && c <= 'Z') || is_digit(c) || is_mark(c); };
  return !text.empty() && text.size() <= kMaxName && std::all_of(text.begin(), text.end(), fits);
}

postern_status publish(postern_host* host, postern_str name, postern_service_function function, void* user) {
  return contained([&]() -> postern_status {
    if (!in_init(host)) return fail(POSTERN_E_STATE, "services are published in init");
    if (Status s = check_name(view(name)); !s) return refuse(host, s);
    auto& services = host->registrations.services;
    auto same = [&](const auto& other) { return other->name() == view(name); };
    if (function == nullptr) return refuse(host, {Code::kInvalid, "service " + copy(name) + " has no function"});
    if (std::any_of(services.begin(), services.end(), same)) {
      return refuse(host, {Code::kInvalid, "service " + copy(name) + " was published before"});
    }
    if (services.size() >= kMaxServices) return refuse(host, {Code::kLimit, "a plugin publishes at most 100 services"});
    services.push_back(std::make_shared<Service>(copy(name), host->name, host->self, function, user, host->crash_number));
    return POSTERN_OK;
  });
}

postern_status acquire(postern_host* host, postern_str name, uint32_t flags, uint32_t* number) {
  return contained([&]() -> postern_status {
    if (number == nullptr) return fail(POSTERN_E_INVALID, "a service needs a place for its number");
    if (!in_init(host)) return fail(POSTERN_E_STATE, "services are acquired in init");
    if (Status s = check_name(view(name)); !s) return refuse(host, s);
    if ((flags & ~uint32_t{POSTERN_SERVICE_OPTIONAL}) != 0) {
      return refuse(host, {Code::kInvalid, "service " + copy(name) + " is acquired with unknown flags"});
    }
    auto& wishes = host->registrations.wishes;
    auto wish = std::find_if(wishes.begin(), wishes.end(), [&](const ServiceWish& other) { return other.name == view(name); });
    if (wish == wishes.end()) {
      if (wishes.size() >= kMaxServices) return refuse(host, {Code::kLimit, "a plugin acquires at most 100 services"});
      wish = wishes.insert(wishes.end(), ServiceWish{copy(name), false, nullptr});
    }
    wish->required = wish->required || (flags & POSTERN_SERVICE_OPTIONAL) == 0;
    *number = static_cast<uint32_t>(wish - wishes.begin());
    return POSTERN_OK;
  });
}

int32_t available(postern_host* host, uint32_t number) {
  const auto& wishes = host->registrations.wishes;
  return host->phase != Phase::kInit && number < wishes.size() && wishes[number].service ? 1 : 0;
}

// One call, from its start to its end. Those of a thread are a chain.
struct Frame {
  explicit Frame(Frame* o) : outer(o), depth(o == nullptr ? 1 : o->depth + 1) {}
  Frame* const outer;
  const uint32_t depth;
  uint64_t number = 0;  // what the plugin has as its handle: one that it has kept is none later
  std::string service, caller, method, request;
  int64_t until_ms = 0;  // steady
  std::string answer;
  bool too_large = false;
  uint64_t retry_after_ms = 0;
};
thread_local Frame* innermost = nullptr;

// The chain of this thread, with one call more.
class Entered {
 public:
  explicit Entered(Frame& frame) { innermost = &frame; }
  ~Entered() { innermost = innermost->outer; }
  Entered(const Entered&) = delete;
  Entered& operator=(const Entered&) = delete;
};

Frame* frame_of(const postern_service_call* handle) {
  bool current = innermost != nullptr && innermost->number == reinterpret_cast<uintptr_t>(handle);
  return current ? innermost : nullptr;
}

postern_service_call* new_handle(Frame& frame) {
  static std::atomic<uint64_t> last{0};
  frame.number = ++last;
  return reinterpret_cast<postern_service_call*>(static_cast<uintptr_t>(frame.number));
}

// "a/1 → b/1 → a/1"
std::string chain_of(const Frame& frame) { return (frame.outer == nullptr ? "" : chain_of(*frame.outer) + " → ") + frame.service; }

// What came of a call.
struct Outcome {
  postern_status status = POSTERN_OK;
  std::string error;
};

Outcome check(const postern_host& host, const postern_service_request& theirs, const ServiceWish& wish) {
  if (!wish.service) return {POSTERN_E_NOT_FOUND, "no plugin publishes the service " + wish.name};
  if (!is_method(view(theirs.method))) return {POSTERN_E_INVALID, "a method is 1 to 64 bytes of a-z, A-Z, 0-9, '_', '-', '.'"};
  if (theirs.body.len > POSTERN_SERVICE_MAX_BYTES) {
    return {POSTERN_E_LIMIT, "the request to " + wish.name + " is over " + std::to_string(POSTERN_SERVICE_MAX_BYTES) + " bytes"};
  }
  switch (host.phase) {
    case Phase::kActive: return {};
    case Phase::kDown: return {POSTERN_E_GONE, "the plugin that calls " + wish.name + " has been deactivated"};
    default: return {POSTERN_E_STATE, "services are called after activate"};
  }
}

int64_t deadline_of(const postern_service_request& theirs) {
  int64_t within = theirs.deadline_ms > 0 ? theirs.deadline_ms : kUsualDeadlineMs;
  if (theirs.delivery != nullptr) within = std::min(within, time_left(delivery_of(theirs.delivery)));
  int64_t until = steady_ms() + within;
  return innermost == nullptr ? until : std::min(until, innermost->until_ms);
}

std::string words_for(postern_status status) {
  if (status == POSTERN_RETRY) return "it asks to be called again later";
  if (status == POSTERN_DEAD) return "it can never do that";
  return "it failed (status " + std::to_string(status) + "); the log may say how";
}

Outcome ended(const Service& service, const Frame& frame, const Service::Ended& end) {
  std::string who = service.name() + " (plugin " + service.plugin() + "): ";
  if (end.status == POSTERN_OK && frame.too_large) {
    return {POSTERN_E_LIMIT, who + "its answer is over " + std::to_string(POSTERN_SERVICE_MAX_BYTES) + " bytes"};
  }
  if (end.status == POSTERN_OK) return {};
  return {end.status, who + (end.error.empty() ? words_for(end.status) : end.error)};
}

Outcome run(Service& service, Frame& frame) {
  if (frame.depth > POSTERN_SERVICE_MAX_DEPTH) {
    std::string most = std::to_string(POSTERN_SERVICE_MAX_DEPTH);
    return {POSTERN_E_LIMIT, "services call one another more than " + most + " deep: " + chain_of(frame)};
  }
  if (steady_ms() >= frame.until_ms) return {POSTERN_E_TIMEOUT, "no time is left to call the service " + service.name()};
  postern_service_call* handle = new_handle(frame);
  Entered entered(frame);
  auto end = service.call(handle);
  if (end) return ended(service, frame, *end);
  bool gone = end.status().code() == Code::kGone;
  return {gone ? POSTERN_E_GONE : POSTERN_E_STATE, "service " + service.name() + ": " + end.status().message()};
}

postern_status tell(postern_host* host, postern_service_callback on_answer, void* user, const Outcome& outcome, const Frame& frame) {
  postern_service_answer answer{};
  answer.struct_size = sizeof answer;
  answer.status = outcome.status;
  if (outcome.status == POSTERN_OK) answer.body = borrow(frame.answer);
  answer.error = borrow(outcome.error);
  if (outcome.status == POSTERN_RETRY) answer.retry_after_ms = frame.retry_after_ms;
  if (outcome.status != POSTERN_OK) plugin::leave_error(outcome.error);  // the callback may know better
  on_answer(host->self, user, &answer);
  return outcome.status;
}

postern_status call(postern_host* host, const postern_service_request* request, postern_service_callback on_answer, void* user) {
  return contained([&]() -> postern_status {
    if (on_answer == nullptr) return fail(POSTERN_E_INVALID, "a call of a service needs a callback");
    postern_service_request theirs = sized(request);
    Frame frame(innermost);
    if (host->phase == Phase::kInit) return tell(host, on_answer, user, {POSTERN_E_STATE, "services are called after activate"}, frame);
    const auto& wishes = host->registrations.wishes;
    if (theirs.service >= wishes.size()) return tell(host, on_answer, user, {POSTERN_E_INVALID, "there is no such service"}, frame);
    const ServiceWish& wish = wishes[theirs.service];
    Outcome outcome = check(*host, theirs, wish);
    std::shared_ptr<Service> service = wish.service;  // beyond the plugin that publishes it
    if (outcome.status == POSTERN_OK) {
      frame.service = wish.name;
      frame.caller = host->name;
      frame.method = copy(theirs.method);
      frame.request = copy(theirs.body);
      frame.until_ms = deadline_of(theirs);
      std::string own = plugin::take_error();  // the caller's, of before
      outcome = run(*service, frame);
      plugin::leave_error(own);
    }
    if (service) service->count(outcome.status);
    return tell(host, on_answer, user, outcome, frame);
  });
}

postern_str method(const postern_service_call* handle) {
  const Frame* frame = frame_of(handle);
  return frame == nullptr ? postern_str{nullptr, 0} : borrow(frame->method);
}

postern_str request(const postern_service_call* handle) {
  const Frame* frame = frame_of(handle);
  return frame == nullptr ? postern_str{nullptr, 0} : borrow(frame->request);
}

postern_str caller(const postern_service_call* handle) {
  const Frame* frame = frame_of(handle);
  return frame == nullptr ? postern_str{nullptr, 0} : borrow(frame->caller);
}

uint64_t remaining_ms(const postern_service_call* handle) {
  const Frame* frame = frame_of(handle);
  return frame == nullptr ? 0 : static_cast<uint64_t>(std::max<int64_t>(0, frame->until_ms - steady_ms()));
}

postern_status answer(postern_service_call* handle, postern_str bytes) {
  return contained([&]() -> postern_status {
    Frame* frame = frame_of(handle);
    if (frame == nullptr) return fail(POSTERN_E_GONE, "the call of the service has ended");
    frame->too_large = bytes.len > POSTERN_SERVICE_MAX_BYTES;
    if (frame->too_large) return fail(POSTERN_E_LIMIT, "the answer of a service is too large");
    frame->answer.assign(view(bytes));
    return POSTERN_OK;
  });
}

postern_status retry_after(postern_service_call* handle, uint64_t ms) {
  Frame* frame = frame_of(handle);
  if (frame == nullptr) return POSTERN_E_GONE;
  frame->retry_after_ms = std::min(ms, kLongestDelayMs);
  return POSTERN_OK;
}

}  // namespace

std::optional<int64_t> service_time_left() {
  if (innermost == nullptr) return std::nullopt;
  return std::max<int64_t>(0, innermost->until_ms - steady_ms());
}

const void* services() {
  static const postern_ext_services table{publish, acquire, available, call, method, request, caller, remaining_ms, answer, retry_after};
  return &table;
}

}  // namespace postern::extension
