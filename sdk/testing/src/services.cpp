// What plugins do for one another: a test stands for the other one. The table of postern.services.
#include <algorithm>

#include "host_state.h"

namespace postern::testing {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint32_t kUsualDeadlineMs = 10'000;
constexpr uint64_t kLongestDelayMs = 24 * 3600 * 1000;
constexpr size_t kMaxServices = 100, kMaxName = 64;

thread_local uint32_t depth = 0;  // of calls of services on this thread

bool is_word(std::string_view text, bool with_capitals) {
  auto fits = [&](char c) {
    bool letter = (c >= 'a' && c <= 'z') || (with_capitals && c >= 'A' && c <= 'Z');
    return letter || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
  };
  return !text.empty() && text.size() <= kMaxName && std::all_of(text.begin(), text.end(), fits);
}

bool is_name(std::string_view text) {
  size_t slash = text.find('/');
  if (slash == std::string_view::npos || text.size() > kMaxName) return false;
  std::string_view name = text.substr(0, slash), revision = text.substr(slash + 1);
  bool numbered = !revision.empty() && revision[0] != '0' && revision.find_first_not_of("0123456789") == std::string_view::npos;
  return numbered && is_word(name, false) && name[0] >= 'a' && name[0] <= 'z';
}

postern_status publish(postern_host* handle, postern_str name, postern_service_function function, void* user) {
  HostState& host = HostState::of(handle);
  std::lock_guard lock(host.mutex);
  if (host.phase != Phase::kInit) return POSTERN_E_STATE;
  PublishedService service{to_string(name), function, user};
  bool twice = std::any_of(host.services.begin(), host.services.end(), [&](const auto& other) { return other.name == service.name; });
  if (!is_name(service.name)) return host.refuse("service '" + service.name + "': a name is like \"mail/1\"");
  if (function == nullptr || twice) return host.refuse("service " + service.name + ": it needs a function, and is published once");
  if (host.services.size() >= kMaxServices) return host.refuse("more than 100 services");
  host.services.push_back(std::move(service));
  return POSTERN_OK;
}

postern_status acquire(postern_host* handle, postern_str name, uint32_t flags, uint32_t* number) {
  HostState& host = HostState::of(handle);
  std::lock_guard lock(host.mutex);
  if (host.phase != Phase::kInit) return POSTERN_E_STATE;
  std::string wanted = to_string(name);
  if (number == nullptr || !is_name(wanted)) return host.refuse("service '" + wanted + "': a name is like \"mail/1\"");
  if ((flags & ~uint32_t{POSTERN_SERVICE_OPTIONAL}) != 0) return host.refuse("service " + wanted + ": unknown flags");
  auto& list = host.wanted_services;
  auto found = std::find_if(list.begin(), list.end(), [&](const auto& other) { return other.name == wanted; });
  if (found == list.end() && list.size() >= kMaxServices) return host.refuse("more than 100 services");
  if (found == list.end()) found = list.insert(list.end(), WantedService{std::move(wanted), false});
  found->required = found->required || (flags & POSTERN_SERVICE_OPTIONAL) == 0;
  *number = static_cast<uint32_t>(found - list.begin());
  return POSTERN_OK;
}

const PublishedService* own_service(const HostState& host, std::string_view name) {
  auto found = std::find_if(host.services.begin(), host.services.end(), [&](const auto& other) { return other.name == name; });
  return found == host.services.end() ? nullptr : &*found;
}

int32_t available(postern_host* handle, uint32_t number) {
  HostState& host = HostState::of(handle);
  std::lock_guard lock(host.mutex);
  if (number >= host.wanted_services.size()) return 0;
  const WantedService& wanted = host.wanted_services[number];
  return wanted.required || host.served.contains(wanted.name) || own_service(host, wanted.name) != nullptr ? 1 : 0;
}

// Who answers the call, noted; null with the reason in `answered`. With the mutex held.
std::function<ServiceAnswered(const ServiceCalled&)> find_service(HostState& host, const postern_service_request& r, ServiceCalled& called,
                                                                  ServiceAnswered& answered) {
  auto fails = [&](postern_status status, std::string why) {
    answered = {status, {}, std::move(why), 0};
    return nullptr;
  };
  if (host.phase != Phase::kReady) return fails(POSTERN_E_STATE, "services are called after activate");
  if (r.service >= host.wanted_services.size()) return fails(POSTERN_E_INVALID, "there is no such service");
  const WantedService& wanted = host.wanted_services[r.service];
  called = {wanted.name, to_string(r.method), {}, r.deadline_ms, 0};
  if (!is_word(called.method, true)) return fails(POSTERN_E_INVALID, "a method is 1 to 64 bytes of a-z, A-Z, 0-9, '_', '-', '.'");
  if (r.body.len > POSTERN_SERVICE_MAX_BYTES) return fails(POSTERN_E_LIMIT, "the request to " + wanted.name + " is too large");
  called.request = to_string(r.body);
  if (r.delivery != nullptr) {
    const Attempt& attempt = *reinterpret_cast<const Attempt*>(r.delivery);
    if (attempt.completed) host.misuses.push_back("a call of a service on behalf of a delivery that was completed");
    called.delivery = attempt.delivery->number;
  }
  host.service_calls.push_back(called);
  if (depth >= POSTERN_SERVICE_MAX_DEPTH) return fails(POSTERN_E_LIMIT, "services call one another too deep");
  if (auto served = host.served.find(wanted.name); served != host.served.end()) return served->second;
  if (const PublishedService* own = own_service(host, wanted.name)) {
    return [&host, service = *own](const ServiceCalled& c) { return host.run_service(service, c, host.options.name); };
  }
  return fails(wanted.required ? POSTERN_E_GONE : POSTERN_E_NOT_FOUND, "the test serves no " + wanted.name);
}

postern_status call(postern_host* handle, const postern_service_request* request, postern_service_callback on_answer, void* user) {
  HostState& host = HostState::of(handle);
  if (on_answer == nullptr || request == nullptr) return POSTERN_E_INVALID;
  ServiceCalled called;
  ServiceAnswered answered;
  std::function<ServiceAnswered(const ServiceCalled&)> function;
  {
    std::lock_guard lock(host.mutex);
    function = find_service(host, read_sized(request), called, answered);
  }
  if (function) {
    ++depth;
    answered = function(called);
    --depth;
  }
  if (!answered.ok() && answered.error.empty()) answered.error = called.service + ": failed (" + std::to_string(answered.status) + ")";
  postern_service_answer answer{};
  answer.struct_size = sizeof answer;
  answer.status = answered.status;
  if (answered.ok()) answer.body = to_abi(answered.body);
  if (!answered.ok()) answer.error = to_abi(answered.error);
  if (answered.status == POSTERN_RETRY) answer.retry_after_ms = answered.retry_after_ms;
  on_answer(host.instance, user, &answer);
  return answered.status;
}

// The call behind a handle; null, and noted, when its function has returned.
ServiceCallState* state_of(const postern_service_call* handle) {
  auto* state = reinterpret_cast<ServiceCallState*>(const_cast<postern_service_call*>(handle));
  std::lock_guard lock(state->host->mutex);
  if (!state->ended) return state;
  state->host->misuses.push_back("a call of a service was used after its function had returned");
  return nullptr;
}

postern_str method(const postern_service_call* handle) {
  ServiceCallState* state = state_of(handle);
  return state == nullptr ? postern_str{nullptr, 0} : to_abi(state->method);
}
postern_str request(const postern_service_call* handle) {
  ServiceCallState* state = state_of(handle);
  return state == nullptr ? postern_str{nullptr, 0} : to_abi(state->request);
}
postern_str caller(const postern_service_call* handle) {
  ServiceCallState* state = state_of(handle);
  return state == nullptr ? postern_str{nullptr, 0} : to_abi(state->caller);
}
uint64_t remaining_ms(const postern_service_call* handle) {
  ServiceCallState* state = state_of(handle);
  if (state == nullptr) return 0;
  auto left = std::chrono::duration_cast<std::chrono::milliseconds>(state->until - Clock::now()).count();
  return static_cast<uint64_t>(std::max<int64_t>(0, left));
}
postern_status answer(postern_service_call* handle, postern_str bytes) {
  ServiceCallState* state = state_of(handle);
  if (state == nullptr) return POSTERN_E_GONE;
  state->too_large = bytes.len > POSTERN_SERVICE_MAX_BYTES;
  if (state->too_large) return POSTERN_E_LIMIT;
  state->answer = to_string(bytes);
  return POSTERN_OK;
}
postern_status retry_after(postern_service_call* handle, uint64_t ms) {
  ServiceCallState* state = state_of(handle);
  if (state == nullptr) return POSTERN_E_GONE;
  state->retry_after_ms = std::min(ms, kLongestDelayMs);
  return POSTERN_OK;
}

}  // namespace

ServiceAnswered HostState::run_service(const PublishedService& service, const ServiceCalled& called, std::string caller) {
  ServiceCallState* state = nullptr;
  {
    std::lock_guard lock(mutex);
    state = &calls_of_services.emplace_back();
    state->host = this;
    state->method = called.method;
    state->request = called.request;
    state->caller = std::move(caller);
    state->until = Clock::now() + std::chrono::milliseconds(called.deadline_ms == 0 ? kUsualDeadlineMs : called.deadline_ms);
    take_error();
  }
  postern_status status = service.call(instance, service.user, reinterpret_cast<postern_service_call*>(state));
  std::lock_guard lock(mutex);
  state->ended = true;
  std::string said = take_error();
  if (status == POSTERN_OK && state->too_large) status = POSTERN_E_LIMIT, said = "its answer is too large";
  if (status == POSTERN_PENDING || status > POSTERN_DEAD || status < POSTERN_E_NOT_FOUND) {
    misuses.push_back("the service " + service.name + " returned the status " + std::to_string(status));
    status = POSTERN_E_INTERNAL;
  }
  if (status == POSTERN_OK) return {POSTERN_OK, state->answer, {}, 0};
  return {status, {}, std::move(said), status == POSTERN_RETRY ? state->retry_after_ms : 0};
}

void FakeHost::serve(std::string_view service, std::function<ServiceAnswered(const ServiceCalled&)> function) {
  std::lock_guard lock(state_->mutex);
  state_->served[std::string(service)] = std::move(function);
}

std::vector<ServiceCalled> FakeHost::service_calls() const {
  std::lock_guard lock(state_->mutex);
  return state_->service_calls;
}

ServiceAnswered FakeHost::call_service(std::string_view service, std::string_view method, std::string_view request,
                                       std::chrono::milliseconds deadline) {
  const PublishedService* own = nullptr;
  {
    std::lock_guard lock(state_->mutex);
    own = own_service(*state_, service);
    if (state_->phase != Phase::kReady) return {POSTERN_E_GONE, {}, "the plugin does not run", 0};
  }
  if (own == nullptr) return {POSTERN_E_NOT_FOUND, {}, "the plugin publishes no " + std::string(service), 0};
  auto ms = static_cast<uint32_t>(std::clamp<int64_t>(deadline.count(), 1, INT32_MAX));
  return state_->run_service(*own, {std::string(service), std::string(method), std::string(request), ms, 0}, "caller");
}

std::vector<std::string> FakeHost::services() const {
  std::lock_guard lock(state_->mutex);
  std::vector<std::string> names;
  for (const PublishedService& service : state_->services) names.push_back(service.name);
  return names;
}

std::vector<WantedService> FakeHost::wanted_services() const {
  std::lock_guard lock(state_->mutex);
  return state_->wanted_services;
}

const postern_ext_services kServices = {&publish, &acquire,      &available, &call,  &method,
                                        &request, &caller, &remaining_ms, &answer, &retry_after};

}  // namespace postern::testing
