// postern/client.hpp - calls to the outside: an upstream, what it is asked, what came of it. Part of plugin.hpp.
//
//   api_ = setup.upstream({.name = "api", .base_url = "https://api.example.com/v1"});           // in init
//   auto answer = api_.call(delivery, {.method = "POST", .url = "/orders", .body = json});      // in a handler
//   answer.or_throw();   // Retry, Postpone or Dead, as the answer says; a Retry-After comes along
//
// Errors: what came of a request is a ClientResponse, whatever it was; a call that the host refuses as such throws Error. Threads: an
// Upstream is a plain value for any thread, from activate on.
#pragma once

#include <algorithm>
#include <functional>
#include <limits>
#include <memory>
#include <vector>

#include "delivery.hpp"
#include "ext/client.h"

namespace postern::inline sdk {

// postern_upstream_desc, member for member: see ext/client.h. What is left out is the host's default.
struct UpstreamOptions {
  std::string_view name = {};
  std::string_view base_url = {};
  std::string_view allow_hosts = {};
  std::string_view ca_file = {};
  bool any_host = false;
  bool allow_http = false;
  uint32_t attempts = 0;
  milliseconds retry_base = {};
  milliseconds retry_cap = {};
  uint32_t breaker_failures = 0;
  milliseconds breaker_open = {};
  milliseconds connect = {};
  milliseconds attempt = {};
  milliseconds deadline = {};
  uint32_t max_in_flight = 0;
  uint32_t max_waiting = 0;
  uint32_t max_redirects = 0;
  uint64_t max_response = 0;
};

struct ClientRequest {
  std::string_view method = "GET";
  std::string_view url = {};  // "/orders": behind the base URL; else a whole one, held to allow_hosts
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::string_view body = {};
  std::string_view idempotency_key = {};  // empty: made for POST and PATCH
  milliseconds deadline = {};
};

// What came of a request: an answer, or why there is none.
class ClientResponse {
 public:
  ClientResponse(const postern_ext_client& table, const postern_client_response* handle)
      : verdict_(table.verdict(handle)),
        kind_(table.kind(handle)),
        status_(table.status(handle)),
        attempts_(table.attempts(handle)),
        retry_after_(static_cast<int64_t>(table.retry_after_ms(handle))),
        body_(to_view(table.body(handle))),
        error_(to_view(table.error(handle))) {
    postern_str name{}, value{};
    while (table.header_at(handle, headers_.size(), &name, &value) == POSTERN_OK) headers_.emplace_back(to_view(name), to_view(value));
  }

  bool ok() const { return verdict_ == POSTERN_OK; }  // 2xx
  uint32_t kind() const { return kind_; }             // POSTERN_RESPONSE_…
  uint32_t status() const { return status_; }         // HTTP; 0 without an answer
  const std::string& body() const { return body_; }
  const std::string& error() const { return error_; }
  uint32_t attempts() const { return attempts_; }
  milliseconds retry_after() const { return retry_after_; }
  const std::vector<std::pair<std::string, std::string>>& headers() const { return headers_; }
  // The first of that name, any case.
  std::optional<std::string_view> header(std::string_view name) const {
    auto same = [](char a, char b) { return lower(a) == lower(b); };
    for (const auto& [key, value] : headers_) {
      if (std::equal(key.begin(), key.end(), name.begin(), name.end(), same)) return value;
    }
    return std::nullopt;
  }

  // How a delivery ends that needed this answer.
  Outcome outcome() const {
    if (ok()) return Outcome::done();
    if (verdict_ == POSTERN_POSTPONE) return Outcome::postpone(error_, retry_after_);
    return verdict_ == POSTERN_DEAD ? Outcome::dead(error_) : Outcome::retry(error_, retry_after_);
  }
  // Throws Retry, Postpone or Dead unless it is ok: a handler that lets it pass waits for an open breaker without losing attempts.
  const ClientResponse& or_throw() const {
    if (ok()) return *this;
    if (verdict_ == POSTERN_DEAD) throw Dead(error_);
    if (verdict_ == POSTERN_POSTPONE) throw Postpone(error_, retry_after_);
    throw Retry(error_, retry_after_);
  }

 private:
  static char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

  postern_status verdict_;
  uint32_t kind_, status_, attempts_;
  milliseconds retry_after_;
  std::string body_, error_;
  std::vector<std::pair<std::string, std::string>> headers_;
};

namespace detail {

// What waits behind the `user` of send(); its callback frees it.
struct Sent {
  HostTables tables;
  std::function<void(const ClientResponse&)> on_response;
};

inline void run_sent(postern_instance*, void* user, const postern_client_response* handle) noexcept {
  std::unique_ptr<Sent> sent(static_cast<Sent*>(user));
  auto warn = [&](std::string_view why) {
    if (sent->tables.log == nullptr) return;
    std::string text = "a callback of a request failed: " + std::string(why);
    sent->tables.log->write(sent->tables.host, POSTERN_LOG_WARN, to_abi(text));
  };
  try {
    sent->on_response(ClientResponse(*sent->tables.client, handle));
  } catch (const std::exception& error) {
    warn(error.what());
  } catch (...) {
    warn("unknown exception");
  }
}

struct Called {
  const postern_ext_client* table;
  std::optional<ClientResponse> response;
};

inline void run_called(postern_instance*, void* user, const postern_client_response* handle) noexcept {
  auto& called = *static_cast<Called*>(user);
  try {
    called.response.emplace(*called.table, handle);
  } catch (...) {  // out of memory: call() says that there is none
  }
}

}  // namespace detail

// Somebody whom the plugin calls. Setup::upstream() makes it.
class Upstream {
 public:
  Upstream() = default;
  Upstream(const detail::HostTables& tables, uint32_t number) : tables_(tables), number_(number) {}

  // Waits for the response. On behalf of a delivery it ends shortly before that's deadline, and a POST's idempotency key is the same when
  // the handler runs again.
  ClientResponse call(const ClientRequest& request) const { return call(nullptr, request); }
  ClientResponse call(const DeliveryContext& delivery, const ClientRequest& request) const { return call(delivery.handle(), request); }

  // Does not wait. `on_response` runs once, on a thread that serves only this plugin's callbacks. Throws Retry when too many requests wait
  // already, Error otherwise; then it does not run. Gives a number for cancel().
  uint64_t send(const ClientRequest& request, std::function<void(const ClientResponse&)> on_response) const {
    return send(nullptr, request, std::move(on_response));
  }
  uint64_t send(const DeliveryContext& delivery, const ClientRequest& request,
                std::function<void(const ClientResponse&)> on_response) const {
    return send(delivery.handle(), request, std::move(on_response));
  }
  // Its callback still runs, soon.
  void cancel(uint64_t request) const { table().cancel(tables_.host, request); }

 private:
  // The ABI's view of a request; borrows from it.
  struct Borrowed {
    Borrowed(const ClientRequest& request, uint32_t upstream, const postern_delivery* delivery) {
      for (const auto& [name, value] : request.headers) {
        headers.push_back(to_abi(name));
        headers.push_back(to_abi(value));
      }
      abi.struct_size = sizeof abi;
      abi.upstream = upstream;
      abi.method = to_abi(request.method);
      abi.url = to_abi(request.url);
      abi.headers = headers.data();
      abi.headers_len = headers.size();
      abi.body = to_abi(request.body);
      abi.idempotency_key = to_abi(request.idempotency_key);
      abi.delivery = delivery;
      abi.deadline_ms = static_cast<uint32_t>(std::clamp<int64_t>(request.deadline.count(), 0, std::numeric_limits<uint32_t>::max()));
    }
    std::vector<postern_str> headers;
    postern_client_request abi{};
  };

  const postern_ext_client& table() const { return detail::need(tables_.client, POSTERN_EXT_CLIENT); }

  ClientResponse call(const postern_delivery* delivery, const ClientRequest& request) const {
    Borrowed borrowed(request, number_, delivery);
    detail::Called called{&table(), {}};
    detail::check(table().call(tables_.host, &borrowed.abi, &detail::run_called, &called), "call of an upstream");
    if (!called.response) throw Error(POSTERN_E_INTERNAL, "call of an upstream: no memory for its response");
    return std::move(*called.response);
  }

  uint64_t send(const postern_delivery* delivery, const ClientRequest& request,
                std::function<void(const ClientResponse&)> on_response) const {
    Borrowed borrowed(request, number_, delivery);
    const postern_ext_client& client = table();
    auto sent = std::make_unique<detail::Sent>(detail::Sent{tables_, std::move(on_response)});
    uint64_t id = 0;
    postern_status status = client.send(tables_.host, &borrowed.abi, &detail::run_sent, sent.get(), &id);
    if (status == POSTERN_E_LIMIT) throw Retry("too many requests wait for the upstream already");
    detail::check(status, "request to an upstream");
    static_cast<void>(sent.release());  // its callback has it, and may have freed it already
    return id;
  }

  detail::HostTables tables_;
  uint32_t number_ = std::numeric_limits<uint32_t>::max();
};

}  // namespace postern::inline sdk
