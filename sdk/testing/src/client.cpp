// Calls to the outside: nothing goes out, a test's script answers. The table of postern.client.
#include <algorithm>

#include "host_state.h"

namespace postern::testing {
namespace {

uint32_t kind_of(const OutboundAnswer& answer) {
  if (answer.kind) return *answer.kind;
  if (answer.status == 0) return POSTERN_RESPONSE_CONNECT;
  if (answer.status >= 200 && answer.status < 300) return POSTERN_RESPONSE_OK;
  bool later = answer.status == 408 || answer.status == 429 || answer.status >= 500;
  return later ? POSTERN_RESPONSE_FAILED : POSTERN_RESPONSE_REJECTED;
}

// The answer behind a handle, for a view; noted when its callback has returned.
const OutboundAnswer& view(const postern_client_response* handle) {
  const auto& response = *reinterpret_cast<const ResponseState*>(handle);
  std::lock_guard lock(response.host->mutex);
  if (response.ended) response.host->misuses.push_back("a response was used after its callback had returned");
  return response.answer;
}

postern_status add_upstream(postern_host* handle, const postern_upstream_desc* theirs, uint32_t* upstream) {
  HostState& host = HostState::of(handle);
  std::lock_guard lock(host.mutex);
  if (host.phase != Phase::kInit) return POSTERN_E_STATE;
  postern_upstream_desc d = read_sized(theirs);
  UpstreamDeclaration u{to_string(d.name), to_string(d.base_url), to_string(d.allow_hosts), to_string(d.ca_file), d.flags, d.attempts,
                        d.retry_base_ms,   d.retry_cap_ms,        d.breaker_failures,       d.breaker_open_ms,    d.connect_ms,
                        d.attempt_ms,      d.deadline_ms,         d.max_in_flight,          d.max_waiting,        d.max_redirects,
                        d.max_response};
  bool leads_anywhere = !u.base_url.empty() || !u.allow_hosts.empty() || (u.flags & POSTERN_UPSTREAM_ANY_HOST) != 0;
  bool twice = std::any_of(host.upstreams.begin(), host.upstreams.end(), [&](const auto& other) { return other.name == u.name; });
  if (u.name.empty() || twice) return host.refuse("upstream '" + u.name + "': it needs a name that no other has");
  if (!leads_anywhere) return host.refuse("upstream '" + u.name + "': it needs a base URL, allowed hosts or leave to call any");
  host.upstreams.push_back(std::move(u));
  *upstream = static_cast<uint32_t>(host.upstreams.size() - 1);
  return POSTERN_OK;
}

// Notes the request; the upstream's name comes back. With the mutex held.
postern_status take(HostState& host, const postern_client_request& r, bool waited, std::string& upstream) {
  if (host.phase != Phase::kReady) return POSTERN_E_STATE;
  if (r.upstream >= host.upstreams.size() || r.headers_len % 2 != 0) return POSTERN_E_INVALID;
  upstream = host.upstreams[r.upstream].name;
  OutboundRequest request{upstream, r.method.len == 0 ? "GET" : to_string(r.method), to_string(r.url), to_string(r.body),
                          to_string(r.idempotency_key), {}, r.deadline_ms, 0, waited};
  for (size_t i = 0; i < r.headers_len; i += 2) request.headers.emplace_back(to_string(r.headers[i]), to_string(r.headers[i + 1]));
  if (r.delivery != nullptr) {
    const Attempt& attempt = *reinterpret_cast<const Attempt*>(r.delivery);
    if (attempt.completed) host.misuses.push_back("a request on behalf of a delivery that was completed");
    request.delivery = attempt.delivery->number;
  }
  host.outbound.push_back(std::move(request));
  return POSTERN_OK;
}

postern_status call(postern_host* handle, const postern_client_request* request, postern_client_callback callback, void* user) {
  HostState& host = HostState::of(handle);
  std::string upstream;
  {
    std::lock_guard lock(host.mutex);
    if (callback == nullptr) return POSTERN_E_INVALID;
    if (auto status = take(host, read_sized(request), true, upstream); status != POSTERN_OK) return status;
  }
  host.respond(upstream, callback, user, false);
  return POSTERN_OK;
}

postern_status send(postern_host* handle, const postern_client_request* request, postern_client_callback callback, void* user,
                    uint64_t* request_id) {
  HostState& host = HostState::of(handle);
  std::lock_guard lock(host.mutex);
  if (callback == nullptr) return POSTERN_E_INVALID;
  std::string upstream;
  if (auto status = take(host, read_sized(request), false, upstream); status != POSTERN_OK) return status;
  host.waiting_requests.push_back({host.outbound.size(), std::move(upstream), callback, user, false});
  if (request_id != nullptr) *request_id = host.outbound.size();
  return POSTERN_OK;
}

void cancel(postern_host* handle, uint64_t request_id) {
  HostState& host = HostState::of(handle);
  std::lock_guard lock(host.mutex);
  for (WaitingRequest& waiting : host.waiting_requests) waiting.cancelled = waiting.cancelled || waiting.number == request_id;
}

postern_status verdict(const postern_client_response* response) {
  switch (kind_of(view(response))) {
    case POSTERN_RESPONSE_OK: return POSTERN_OK;
    case POSTERN_RESPONSE_REJECTED:
    case POSTERN_RESPONSE_TOO_LARGE:
    case POSTERN_RESPONSE_REFUSED: return POSTERN_DEAD;
    case POSTERN_RESPONSE_BREAKER_OPEN: return POSTERN_POSTPONE;
    default: return POSTERN_RETRY;
  }
}

uint32_t kind(const postern_client_response* response) { return kind_of(view(response)); }
uint32_t status(const postern_client_response* response) { return view(response).status; }

postern_status header(const postern_client_response* response, postern_str name, size_t nth, postern_str* value) {
  for (const auto& [key, text] : view(response).headers) {
    if (!same_name(key, to_view(name)) || nth-- > 0) continue;
    *value = to_abi(text);
    return POSTERN_OK;
  }
  return POSTERN_E_NOT_FOUND;
}

postern_status header_at(const postern_client_response* response, size_t nth, postern_str* name, postern_str* value) {
  const auto& headers = view(response).headers;
  if (nth >= headers.size()) return POSTERN_E_NOT_FOUND;
  *name = to_abi(headers[nth].first);
  *value = to_abi(headers[nth].second);
  return POSTERN_OK;
}

postern_str body(const postern_client_response* response) { return to_abi(view(response).body); }
postern_str error(const postern_client_response* response) { return to_abi(view(response).error); }
uint32_t attempts(const postern_client_response* response) { return view(response).attempts; }
uint64_t retry_after_ms(const postern_client_response* response) { return view(response).retry_after_ms; }

}  // namespace

void HostState::respond(const std::string& upstream, postern_client_callback callback, void* user, bool cancelled) {
  ResponseState* response = nullptr;
  {
    std::lock_guard lock(mutex);
    response = &responses.emplace_back();
    response->host = this;
    auto script = answers.find(upstream);
    if (cancelled) {
      response->answer = {.status = 0, .kind = POSTERN_RESPONSE_CANCELLED, .error = "given up", .attempts = 0};
    } else if (script == answers.end() || script->second.empty()) {
      response->answer = {.status = 0, .error = "nobody listens: the test gave no answer for the upstream '" + upstream + "'"};
    } else {
      response->answer = std::move(script->second.front());
      script->second.pop_front();
    }
    bool fine = kind_of(response->answer) == POSTERN_RESPONSE_OK;
    if (!fine && response->answer.error.empty()) response->answer.error = "answered " + std::to_string(response->answer.status);
  }
  callback(instance, user, reinterpret_cast<const postern_client_response*>(response));
  std::lock_guard lock(mutex);
  response->ended = true;
}

void FakeHost::answer(std::string_view upstream, OutboundAnswer answer) {
  std::lock_guard lock(state_->mutex);
  state_->answers[std::string(upstream)].push_back(std::move(answer));
}

void FakeHost::run_callbacks() {
  for (;;) {
    WaitingRequest next;
    {
      std::lock_guard lock(state_->mutex);
      if (state_->waiting_requests.empty()) return;
      next = std::move(state_->waiting_requests.front());
      state_->waiting_requests.pop_front();
    }
    state_->respond(next.upstream, next.callback, next.user, next.cancelled);
  }
}

void FakeHost::cancel_requests() {
  std::lock_guard lock(state_->mutex);
  for (WaitingRequest& waiting : state_->waiting_requests) waiting.cancelled = true;
}

std::vector<OutboundRequest> FakeHost::outbound() const {
  std::lock_guard lock(state_->mutex);
  return state_->outbound;
}

const std::vector<UpstreamDeclaration>& FakeHost::upstreams() const { return state_->upstreams; }

const postern_ext_client kClient = {&add_upstream, &call,   &send,      &cancel, &verdict, &kind,    &status,
                                    &header,       &header_at, &body, &error,  &attempts, &retry_after_ms};

}  // namespace postern::testing
