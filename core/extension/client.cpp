// postern.client/1
#include <postern/ext/client.h>

#include <algorithm>
#include <string>

#include "core/base/digest.h"
#include "core/extension/convert.h"
#include "core/extension/handles.h"
#include "core/extension/services.h"
#include "core/extension/table.h"
#include "core/plugin/crash_record.h"

namespace postern::extension {
namespace {

using client::Outcome;
using client::Request;
using client::Upstream;

const Outcome& outcome_of(const postern_client_response* handle) { return *reinterpret_cast<const Outcome*>(handle); }
const postern_client_response* handle_of(const Outcome& outcome) { return reinterpret_cast<const postern_client_response*>(&outcome); }

std::vector<std::string> split_hosts(std::string_view text) {
  std::vector<std::string> hosts;
  while (!text.empty()) {
    size_t comma = text.find(',');
    std::string_view host = text.substr(0, comma);
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    while (host.starts_with(' ')) host.remove_prefix(1);
    while (host.ends_with(' ')) host.remove_suffix(1);
    if (!host.empty()) hosts.emplace_back(host);
  }
  return hosts;
}

// Zero leaves the default.
template <typename Ours, typename Theirs>
void set(Ours& ours, Theirs theirs) {
  if (theirs != 0) ours = static_cast<Ours>(theirs);
}

Upstream describe(const postern_upstream_desc& theirs) {
  Upstream ours;
  ours.name = copy(theirs.name);
  ours.base_url = copy(theirs.base_url);
  ours.allow_hosts = split_hosts(view(theirs.allow_hosts));
  ours.any_host = (theirs.flags & POSTERN_UPSTREAM_ANY_HOST) != 0;
  ours.allow_http = (theirs.flags & POSTERN_UPSTREAM_ALLOW_HTTP) != 0;
  ours.ca_file = copy(theirs.ca_file);
  set(ours.attempts, theirs.attempts);
  set(ours.backoff.base_ms, theirs.retry_base_ms);
  set(ours.backoff.cap_ms, theirs.retry_cap_ms);
  set(ours.breaker_failures, theirs.breaker_failures);
  set(ours.breaker_open_ms, theirs.breaker_open_ms);
  set(ours.connect_ms, theirs.connect_ms);
  set(ours.attempt_ms, theirs.attempt_ms);
  set(ours.deadline_ms, theirs.deadline_ms);
  set(ours.max_in_flight, theirs.max_in_flight);
  set(ours.max_waiting, theirs.max_waiting);
  set(ours.max_redirects, theirs.max_redirects);
  set(ours.max_response, theirs.max_response);
  return ours;
}

postern_status add_upstream(postern_host* host, const postern_upstream_desc* desc, uint32_t* upstream) {
  return contained([&]() -> postern_status {
    if (!in_init(host)) return fail(POSTERN_E_STATE, "upstreams are added in init");
    if (upstream == nullptr) return fail(POSTERN_E_INVALID, "an upstream needs a place for its number");
    postern_upstream_desc theirs = sized(desc);
    if ((theirs.flags & ~uint32_t{POSTERN_UPSTREAM_ANY_HOST | POSTERN_UPSTREAM_ALLOW_HTTP}) != 0) {
      return refuse(host, {Code::kInvalid, "upstream '" + copy(theirs.name) + "' has unknown flags"});
    }
    auto added = host->client.add_upstream(describe(theirs));
    if (!added) return refuse(host, added.status());
    *upstream = *added;
    return POSTERN_OK;
  });
}

// The same request on behalf of the same delivery has the same key; two requests of one delivery have two.
std::string key_of(const dispatch::Delivery& delivery, const Request& request) {
  constexpr size_t kDigits = 16;
  Sha256Stream stream;
  for (std::string_view part : {std::string_view(request.method), std::string_view(request.url)}) {
    stream.add(part);
    stream.add("\n");
  }
  stream.add(request.body);
  Sha256 digest = stream.finish();
  std::string key = delivery.idempotency_key() + "-";
  for (size_t i = 0; i < kDigits / 2; ++i) {
    constexpr char kHex[] = "0123456789abcdef";
    key += kHex[digest[i] >> 4];
    key += kHex[digest[i] & 15];
  }
  return key;
}

Result<Request> read_request(const postern_client_request& theirs) {
  if (theirs.headers == nullptr && theirs.headers_len > 0) return Status(Code::kInvalid, "headers have a length, but are not there");
  if (theirs.headers_len % 2 != 0) return Status(Code::kInvalid, "headers come in pairs of name and value");
  Request ours;
  if (theirs.method.len > 0) ours.method = copy(theirs.method);
  ours.url = copy(theirs.url);
  for (size_t i = 0; i < theirs.headers_len; i += 2) ours.headers.emplace_back(copy(theirs.headers[i]), copy(theirs.headers[i + 1]));
  ours.body = copy(theirs.body);
  ours.idempotency_key = copy(theirs.idempotency_key);
  ours.deadline_ms = theirs.deadline_ms;
  return ours;
}

Result<Request> read_request(const postern_host& host, const postern_client_request& theirs) {
  auto ours = read_request(theirs);
  if (!ours || theirs.delivery == nullptr || theirs.upstream >= host.client.upstreams().size()) return ours;
  const dispatch::Delivery& delivery = delivery_of(theirs.delivery);
  int64_t own = ours->deadline_ms > 0 ? ours->deadline_ms : host.client.upstreams()[theirs.upstream].deadline_ms;
  ours->deadline_ms = std::min(own, std::max<int64_t>(1, time_left(delivery)));
  bool keyed = ours->idempotency_key.empty() && (ours->method == "POST" || ours->method == "PATCH");
  if (keyed) ours->idempotency_key = key_of(delivery, *ours);
  return ours;
}

// A service that waits for an answer has no more time than its own caller.
void keep_to_service(const postern_host& host, uint32_t upstream, Request& request) {
  std::optional<int64_t> left = service_time_left();
  if (!left || upstream >= host.client.upstreams().size()) return;
  int64_t own = request.deadline_ms > 0 ? request.deadline_ms : host.client.upstreams()[upstream].deadline_ms;
  request.deadline_ms = std::min(own, std::max<int64_t>(1, *left));
}

postern_status refused(const Status& why) {
  switch (why.code()) {
    case Code::kUnavailable: return fail(POSTERN_E_STATE, why.message());
    case Code::kNotFound: return fail(POSTERN_E_INVALID, why.message());
    default: return to_abi(why);
  }
}

postern_status call(postern_host* host, const postern_client_request* request, postern_client_callback callback, void* user) {
  return contained([&]() -> postern_status {
    if (callback == nullptr) return fail(POSTERN_E_INVALID, "a call needs a callback");
    postern_client_request theirs = sized(request);
    auto ours = read_request(*host, theirs);
    if (!ours) return to_abi(ours.status());
    keep_to_service(*host, theirs.upstream, *ours);
    auto outcome = host->client.call(theirs.upstream, std::move(*ours));
    if (!outcome) return refused(outcome.status());
    callback(host->self, user, handle_of(*outcome));
    return POSTERN_OK;
  });
}

postern_status send(postern_host* host, const postern_client_request* request, postern_client_callback callback, void* user,
                    uint64_t* request_id) {
  return contained([&]() -> postern_status {
    if (callback == nullptr) return fail(POSTERN_E_INVALID, "a request that is sent needs a callback");
    postern_client_request theirs = sized(request);
    auto ours = read_request(*host, theirs);
    if (!ours) return to_abi(ours.status());
    auto sent = host->client.send(theirs.upstream, std::move(*ours), [host, callback, user](const Outcome& outcome) {
      log::PluginScope scope(host->name);
      plugin::Inside inside({host->crash_number, plugin::EntryPoint::kAnswer});
      contained([&] {
        callback(host->self, user, handle_of(outcome));
        return POSTERN_OK;
      });
    });
    if (!sent) return refused(sent.status());
    if (request_id != nullptr) *request_id = *sent;
    return POSTERN_OK;
  });
}

void cancel(postern_host* host, uint64_t request_id) {
  contained([&] {
    host->client.cancel(request_id);
    return POSTERN_OK;
  });
}

postern_status verdict(const postern_client_response* handle) {
  switch (outcome_of(handle).verdict()) {
    case Outcome::Verdict::kDone: return POSTERN_OK;
    case Outcome::Verdict::kRetry: return POSTERN_RETRY;
    case Outcome::Verdict::kPostpone: return POSTERN_POSTPONE;
    case Outcome::Verdict::kDead: return POSTERN_DEAD;
  }
  return POSTERN_RETRY;
}

postern_status header(const postern_client_response* handle, postern_str name, size_t nth, postern_str* value) {
  const std::string* found = outcome_of(handle).header(view(name), nth);
  if (found == nullptr) return POSTERN_E_NOT_FOUND;
  *value = borrow(*found);
  return POSTERN_OK;
}

postern_status header_at(const postern_client_response* handle, size_t nth, postern_str* name, postern_str* value) {
  const client::Headers& headers = outcome_of(handle).headers;
  if (nth >= headers.size()) return POSTERN_E_NOT_FOUND;
  *name = borrow(headers[nth].first);
  *value = borrow(headers[nth].second);
  return POSTERN_OK;
}

}  // namespace

const void* client() {
  static const postern_ext_client table = [] {
    postern_ext_client t{};
    t.add_upstream = add_upstream;
    t.call = call;
    t.send = send;
    t.cancel = cancel;
    t.verdict = verdict;
    t.kind = [](const postern_client_response* r) { return static_cast<uint32_t>(outcome_of(r).kind); };
    t.status = [](const postern_client_response* r) { return static_cast<uint32_t>(outcome_of(r).status); };
    t.header = header;
    t.header_at = header_at;
    t.body = [](const postern_client_response* r) { return borrow(outcome_of(r).body); };
    t.error = [](const postern_client_response* r) { return borrow(outcome_of(r).error); };
    t.attempts = [](const postern_client_response* r) { return outcome_of(r).attempts; };
    t.retry_after_ms = [](const postern_client_response* r) { return static_cast<uint64_t>(outcome_of(r).retry_after_ms); };
    return t;
  }();
  return &table;
}

}  // namespace postern::extension
